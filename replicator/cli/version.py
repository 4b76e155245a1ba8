"""`replicator version`: which versions of the parts that matter are installed here."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click

from replicator import __version__
from replicator.cli.context import App, pass_app
from replicator.cli.output import API_VERSION, emit

_PARTS = ("confluent-kafka", "kafka-python", "obstore", "pydantic", "textual", "docker")


@click.command()
@pass_app
def version(app: App) -> None:
    """Versions of replicator and of its formats."""
    item = {
        "version": __version__,
        "config": API_VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "parts": {part: _installed(part) for part in _PARTS},
    }
    emit("Version", item=item, output=app.output)


def _installed(part: str) -> str | None:
    try:
        return version_of(part)
    except PackageNotFoundError:
        return None
