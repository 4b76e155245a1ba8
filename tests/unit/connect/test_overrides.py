"""Raw overrides: which break a promise, which are unknown, which are fine."""

from __future__ import annotations

import pytest

from replicator.connect import lint_overrides, require_sound_overrides
from replicator.errors import ConfigInvalid


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("errors.tolerance", "all", "dropped in silence"),
        ("value.converter", "org.apache.kafka.connect.json.JsonConverter", "byte for byte"),
        ("header.converter.type", "x", "byte for byte"),
        ("sync.group.offsets.enabled", "true", "rewind a live group"),
        ("replication.policy.class", "x", "naming"),
        ("offset-syncs.topic.location", "source", "lost together"),
        ("emit.offset-syncs.enabled", "false", "offset map"),
        ("exactly.once.support", "requested", "delivery"),
        ("source.consumer.isolation.level", "read_uncommitted", "aborted"),
        ("source.consumer.auto.offset.reset", "latest", "skipped"),
        ("topics", ".*", "what travels"),
        ("transforms", "a", "no copy"),
        ("transforms.a.type", "x", "no copy"),
        ("source.cluster.bootstrap.servers", "x:1", "clusters{}"),
        ("producer.override.bootstrap.servers", "x:1", "clusters{}"),
        ("producer.override.sasl.jaas.config", "secret", "clusters{}"),
        ("source.consumer.ssl.truststore.location", "x", "clusters{}"),
        ("producer.override.acks", "1", "in-sync"),
        ("producer.override.max.in.flight.requests.per.connection", "6", "order"),
        ("producer.override.max.in.flight.requests.per.connection", "many", "1 to 5"),
        ("replicator.epoch", "9", "ours"),
        ("task.max", "3", "did you mean tasks.max"),
        ("nonsense", "3", "does not know"),
        ("offset.lag.max", "1\n2", "control character"),
        ("connector.class", "x", "MirrorMaker 2"),
        ("sync.topic.acls.enabled", "true", "plan manages"),
    ],
)
def test_an_override_that_hurts_is_refused_by_name(key: str, value: str, why: str) -> None:
    """The refusal names the key and says why."""
    refused = lint_overrides({key: value})
    assert [entry.key for entry in refused] == [key]
    assert why in refused[0].why
    with pytest.raises(ConfigInvalid, match=r"flows\.shop\.connector") as error:
        require_sound_overrides("shop", {key: value})
    assert why in error.value.message


@pytest.mark.parametrize(
    "key",
    [
        "tasks.max",
        "offset.lag.max",
        "producer.override.batch.size",
        "producer.override.compression.type",
        "source.consumer.max.poll.records",
        "transaction.boundary",
        "emit.checkpoints.interval.seconds",
        "config.properties.exclude",
        "admin.timeout.ms",
        "target.consumer.fetch.max.bytes",
    ],
)
def test_tuning_is_allowed(key: str) -> None:
    """Keys that only tune are taken."""
    assert lint_overrides({key: "1"}) == ()


def test_all_refusals_are_listed() -> None:
    """The detail holds every refused key, not only the first."""
    with pytest.raises(ConfigInvalid) as error:
        require_sound_overrides("shop", {"topics": "x", "enabled": "false", "tasks.max": "2"})
    assert error.value.detail is not None
    assert len(error.value.detail.splitlines()) == 2
