"""Buckets of another cloud, for the suites that every store must pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.clouds import Cloud, azurite


@pytest.fixture(scope="session")
def azure(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Azurite, fetched once and kept beside pytest's own cache."""
    with azurite(request.config.cache.mkdir("azurite"), tmp_path_factory.mktemp("azurite")) as server:
        yield server
