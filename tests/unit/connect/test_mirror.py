"""The MM2 templates: what a flow becomes in a connector's configuration."""

from __future__ import annotations

import re

import pytest

from replicator.connect import MirrorSides, checkpoint_config, secret_text, source_config
from replicator.errors import ConfigInvalid
from replicator.model.cluster import ClusterAccess, Secret, Security, SecurityProtocol
from replicator.model.flow import Delivery, Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName

EAST = ClusterAccess(name=ClusterName("east"), bootstrap="e1:9092,e2:9092")
WEST = ClusterAccess(name=ClusterName("west"), bootstrap="w1:9092")
SIDES = MirrorSides(source=EAST, target=WEST, replication_factor=3)
SCRAM = Security(
    protocol=SecurityProtocol.SASL_SSL,
    mechanism="SCRAM-SHA-512",
    username="mm2",
    password=Secret("env:PASSWORD", "canary-7f3a"),
    ca_file="/etc/ca.pem",
)


def make_flow(**changes: object) -> Flow:
    """A flow from east to west."""
    values: dict[str, object] = {
        "name": FlowName("shop"),
        "source": ClusterName("east"),
        "target": ClusterName("west"),
        "topics": Selection(("orders", "pay.*"), ("pay.tmp*",)),
        **changes,
    }
    return Flow(**values)  # type: ignore[arg-type] # the table gives each field its type


def matches(config: dict[str, str], topic: str) -> bool:
    """Whether MM2's filter with this configuration lets a topic pass."""
    included = any(re.fullmatch(p, topic) for p in config["topics"].split(","))
    return included and not any(re.fullmatch(p, topic) for p in config["topics.exclude"].split(","))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("exactly.once.support", "required"),
        ("source.consumer.isolation.level", "read_committed"),
        ("offset-syncs.topic.location", "target"),
        ("key.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("value.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("header.converter", "org.apache.kafka.connect.converters.ByteArrayConverter"),
        ("replication.policy.class", "org.apache.kafka.connect.mirror.IdentityReplicationPolicy"),
        ("sync.topic.acls.enabled", "false"),
        ("sync.topic.configs.enabled", "false"),
        ("source.consumer.allow.auto.create.topics", "false"),
        ("refresh.topics.interval.seconds", "30"),
        ("replication.factor", "3"),
        ("offset-syncs.topic.replication.factor", "3"),
        ("producer.override.batch.size", "524288"),
        ("source.cluster.alias", "east"),
        ("target.cluster.alias", "west"),
        ("source.cluster.bootstrap.servers", "e1:9092,e2:9092"),
        ("replicator.flow", "shop"),
        ("replicator.epoch", "0"),
    ],
)
def test_the_source_template_holds_its_promises(key: str, value: str) -> None:
    """Each key that a promise rests on has its value."""
    assert source_config(make_flow(), SIDES)[key] == value


def test_the_checkpoint_template_never_commits_for_groups() -> None:
    """Checkpoints read the same syncs, and MM2's own group sync, which can rewind live groups, is off."""
    config = checkpoint_config(make_flow(groups=Selection(("billing-*",))), SIDES)
    assert config["sync.group.offsets.enabled"] == "false"
    assert config["offset-syncs.topic.location"] == "target"
    assert config["groups"] == r"billing\-.*"
    assert config["replication.policy.class"].endswith("IdentityReplicationPolicy")
    assert config["topics"] == source_config(make_flow(), SIDES)["topics"]


def test_at_least_once_is_idempotent_and_reads_committed_data() -> None:
    """Without exactly-once, retries still neither duplicate nor reorder, and aborted records stay out."""
    config = source_config(make_flow(delivery=Delivery.AT_LEAST_ONCE), SIDES)
    assert "exactly.once.support" not in config
    assert config["producer.override.enable.idempotence"] == "true"
    assert config["source.consumer.isolation.level"] == "read_committed"


def test_prefix_naming_is_mm2s_default_policy() -> None:
    """Prefix naming is what MM2 calls its default policy."""
    config = source_config(make_flow(naming=Naming.PREFIX), SIDES)
    assert config["replication.policy.class"].endswith("DefaultReplicationPolicy")


@pytest.mark.parametrize(
    ("pattern", "topic", "is_meant"),
    [
        ("a.b", "a.b", True),
        ("a.b", "aXb", False),
        ("a+b", "a+b", True),
        ("a+b", "aab", False),
        ("pay.*", "pay.x", True),
        ("pay.*", "payX", False),
        ("t?", "t1", True),
        ("t?", "t12", False),
        ("re:o[0-9]+", "o12", True),
        ("*", "__consumer_offsets", False),
        ("*", "mm2-offset-syncs.east.internal", False),
        ("*", "heartbeats", False),
    ],
)
def test_globs_mean_what_they_say(pattern: str, topic: str, is_meant: bool) -> None:
    """MM2's expressions select exactly what the flow's patterns select."""
    flow = make_flow(topics=Selection((pattern,)))
    assert matches(source_config(flow, SIDES), topic) is is_meant
    assert flow.carries_topic(topic) is is_meant


@pytest.mark.parametrize("pattern", ["a,b", "re:a{1,2}", "a\nb"])
def test_patterns_mm2_would_take_apart_are_refused(pattern: str) -> None:
    """A comma would split a pattern in two, a control character has no business in one."""
    with pytest.raises(ConfigInvalid, match="comma or control"):
        source_config(make_flow(topics=Selection((pattern,))), SIDES)


def test_no_list_holds_an_entry_twice() -> None:
    """MM2 4.2 refuses lists with duplicates."""
    config = source_config(make_flow(topics=Selection(("a", "a"), ("__*", "b"))), SIDES)
    for key in ("topics", "topics.exclude"):
        entries = config[key].split(",")
        assert len(entries) == len(set(entries))


def test_overrides_reach_the_connector_they_belong_to() -> None:
    """Raw overrides win over the template, each in its connector."""
    overrides = {"tasks.max": "7", "emit.checkpoints.interval.seconds": "5", "source.admin.retries": "3"}
    flow = make_flow(connector=overrides)
    source, checkpoint = source_config(flow, SIDES), checkpoint_config(flow, SIDES)
    assert (source["tasks.max"], checkpoint["tasks.max"]) == ("7", "1")
    assert checkpoint["emit.checkpoints.interval.seconds"] == "5"
    assert "emit.checkpoints.interval.seconds" not in source
    assert source["source.admin.retries"] == checkpoint["source.admin.retries"] == "3"


def test_settings_that_may_differ_are_added_to_ours() -> None:
    """`config.properties.exclude` adds to what is never copied and takes nothing away."""
    config = source_config(make_flow(connector={"config.properties.exclude": r"retention\.ms"}), SIDES)
    entries = config["config.properties.exclude"].split(",")
    assert r"retention\.ms" in entries
    assert r"min\.insync\.replicas" in entries


def test_secrets_are_references_and_never_values() -> None:
    """A secured cluster's password stands in the worker's file, not in the configuration."""
    secured = ClusterAccess(name=ClusterName("east"), bootstrap="e1:9093", security=SCRAM)
    sides = MirrorSides(source=secured, target=WEST, replication_factor=1, secrets_folder="/run/secrets")
    config = source_config(make_flow(), sides)
    assert config["source.cluster.sasl.jaas.config"] == "${file:/run/secrets/east.properties:sasl.jaas.config}"
    assert config["source.cluster.security.protocol"] == "SASL_SSL"
    assert config["source.cluster.ssl.truststore.location"] == "/etc/ca.pem"
    assert "canary" not in repr(config)
    assert "canary-7f3a" in secret_text(secured)
    assert secret_text(secured).startswith("sasl.jaas.config=")


def test_a_secret_without_a_place_is_refused() -> None:
    """Without a folder of the worker there is no safe way to hand over a password."""
    secured = ClusterAccess(name=ClusterName("east"), bootstrap="e1:9093", security=SCRAM)
    with pytest.raises(ConfigInvalid, match="no secrets folder"):
        source_config(make_flow(), MirrorSides(source=secured, target=WEST, replication_factor=1))
