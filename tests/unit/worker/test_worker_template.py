"""The worker's properties."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.model.cluster import ClusterAccess, Secret, Security, SecurityProtocol
from replicator.model.names import ClusterName
from replicator.worker import WorkerSpec, worker_properties

SECURE = Security(
    protocol=SecurityProtocol.SASL_SSL,
    mechanism="SCRAM-SHA-512",
    username="mm2",
    password=Secret("env:X", "canary"),
    ca_file="/ca.pem",
)


PLAIN = Security()


def make_spec(security: Security = PLAIN, **more: object) -> WorkerSpec:
    """Return a worker beside west."""
    access = ClusterAccess(name=ClusterName("west"), bootstrap="127.0.0.1:9092", security=security)
    return WorkerSpec(cluster=access, group_id="__replicator.connect.west", rest_port=8083, **more)  # type: ignore[arg-type]  # named fields of one dataclass


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exactly.once.source.support", "enabled"),
        ("header.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("key.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("scheduled.rebalance.max.delay.ms", "10000"),
        ("offset.flush.interval.ms", "5000"),
        ("listeners", "http://127.0.0.1:8083"),
        ("admin.listeners", ""),
        ("plugin.discovery", "service_load"),
        ("offset.storage.topic", "__replicator.connect.west.offsets"),
        ("config.storage.topic", "__replicator.connect.west.configs"),
        ("status.storage.topic", "__replicator.connect.west.status"),
    ],
)
def test_the_template_holds_what_mirroring_needs(key: str, value: str) -> None:
    """Each key that a promise rests on has its value."""
    assert worker_properties(make_spec())[key] == value


def test_named_topics_win() -> None:
    """A worker whose topics have other names keeps them; the rest are ours."""
    found = worker_properties(make_spec(topics={"offsets": "old-offsets"}))
    assert found["offset.storage.topic"] == "old-offsets"
    assert found["config.storage.topic"] == "__replicator.connect.west.configs"


def test_every_client_of_the_worker_proves_itself() -> None:
    """The worker's own clients and those it makes for connectors log in alike: they inherit nothing."""
    found = worker_properties(make_spec(SECURE))
    for prefix in ("", "producer.", "consumer.", "admin."):
        assert found[f"{prefix}security.protocol"] == "SASL_SSL"
        assert "canary" in found[f"{prefix}sasl.jaas.config"]


def test_no_file_may_be_read_unless_a_folder_is_named() -> None:
    """Connectors may name secrets in one folder, or in none."""
    assert not any(key.startswith("config.providers") for key in worker_properties(make_spec()))
    found = worker_properties(make_spec(secrets_folder=Path("/secrets/mm2")))
    assert found["config.providers.file.param.allowed.paths"] == "/secrets/mm2"
