"""Plans: what is missing, what drifted, what is refused; and that an applied plan leaves nothing to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from replicator.connect import SOURCE_CLASS, StoredConnector
from replicator.flow import Act, JournalFacts, Plan
from replicator.model.connectors import ConfigFinding, Connector
from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, OperationId, TopicName, TopicPartition
from replicator.supervisor.decide.drift import drift_of

ORDERS = TopicPartition(TopicName("orders"), 0)


def acts(plan: Plan) -> list[tuple[str, str]]:
    """What a plan does, to what."""
    return [(change.act.value, change.name) for change in plan.changes]


def refusals(plan: Plan) -> str:
    """All refusals as text."""
    return "\n".join(f"{refusal.line} → {refusal.hint}" for refusal in plan.refusals)


def test_an_empty_target_gets_everything_in_order(world: Any) -> None:
    """Topics come before connectors, connectors before their start; nothing else is touched."""
    plan = world.plan()
    assert acts(plan) == [
        ("create topic", "heartbeats"),
        ("create topic", "mm2-offset-syncs.east.internal"),
        ("create topic", "east.checkpoints.internal"),
        ("create topic", "east.heartbeats"),
        ("create topic", "orders"),
        ("create topic", "pay.x"),
        ("create connector", "shop.source"),
        ("create connector", "shop.checkpoint"),
        ("start connector", "shop.source"),
        ("start connector", "shop.checkpoint"),
    ]
    assert plan.refusals == ()
    assert [change.cluster for change in plan.changes][:2] == ["east", "west"]


def test_an_applied_plan_leaves_nothing_to_do(world: Any) -> None:
    """Planning after applying is empty: apply is idempotent."""
    world.apply()
    assert world.plan().is_empty


@pytest.mark.parametrize("done", range(11))
def test_killed_anywhere_the_next_plan_holds_the_rest(world: Any, done: int) -> None:
    """Whatever part of a plan was carried out, planning again leads to the same end."""
    whole = acts(world.plan())
    original = world.plan
    world.plan = lambda: replace(original(), changes=original().changes[:done])
    world.apply()
    world.plan = original
    assert acts(world.plan()) == whole[done:]


def test_internal_topics_keep_their_history(world: Any) -> None:
    """The syncs topic has one partition, is compacted, and keeps every sync for weeks."""
    spec = world.desired().internal_topics["mm2-offset-syncs.east.internal"]
    assert spec.partitions == 1
    assert spec.configs["cleanup.policy"] == "compact"
    assert int(spec.configs["min.compaction.lag.ms"]) >= 14 * 24 * 3600 * 1000


def test_replicas_follow_the_clusters(world: Any) -> None:
    """Our topics get three replicas where there are brokers for it, remote topics what the source has."""
    world.brokers = 5
    world.add_source("orders", 3, replicas=2)
    desired = world.desired()
    assert desired.internal_topics["mm2-offset-syncs.east.internal"].replication_factor == 3
    assert desired.remote_topics["orders"].spec.replication_factor == 2
    assert desired.connectors["shop.source"]["replication.factor"] == "3"


def test_remote_settings_are_the_sources_where_they_belong_to_the_data(world: Any) -> None:
    """Own settings and the effect of retention travel; what belongs to a cluster does not."""
    configs = world.desired().remote_topics["pay.x"].spec.configs
    assert configs["cleanup.policy"] == "compact"
    assert configs["retention.ms"] == "604800000"
    assert "min.insync.replicas" not in configs
    assert "message.timestamp.type" not in configs
    assert configs["message.timestamp.after.max.ms"] == str(2**63 - 1)


def test_a_topic_of_large_records_has_room(world: Any) -> None:
    """The producer takes the largest record any mirrored topic accepts, and has the memory for it."""
    assert world.desired().connectors["shop.source"]["producer.override.max.request.size"] == str(16 * 1024 * 1024)
    world.add_source("pay.big", max_message_bytes="50000000")
    config = world.desired().connectors["shop.source"]
    assert config["producer.override.max.request.size"] == "50000000"
    assert int(config["producer.override.buffer.memory"]) >= 50_000_000


def test_a_changed_topic_setting_shows(world: Any) -> None:
    """Shorter retention on the standby is a drift with both values told; standby-only settings are left."""
    world.apply()
    world.target["orders"][1].update({"retention.ms": "1000", "segment.ms": "77"})
    plan = world.plan()
    assert acts(plan) == [("alter topic", "orders")]
    assert "retention.ms: 1000 → -1" in plan.changes[0].line
    assert "segment.ms" not in plan.changes[0].line


def test_a_setting_the_flow_excludes_may_differ(world: Any, flow_of: Callable[..., Flow]) -> None:
    """`config.properties.exclude` makes a difference an intended one."""
    world.flow = flow_of(connector={"config.properties.exclude": r"retention\..*"})
    world.apply()
    world.target["orders"][1]["retention.ms"] = "1000"
    assert world.plan().is_empty


def test_more_partitions_on_the_source_grow_the_copy(world: Any) -> None:
    """A grown topic is grown on the target, not refused."""
    world.apply()
    world.add_source("orders", 5, retention_ms="-1")
    plan = world.plan()
    assert acts(plan) == [("grow topic", "orders")]
    assert "partitions: 3 → 5" in plan.changes[0].line


def test_fewer_partitions_on_the_source_are_told(world: Any) -> None:
    """Nothing can shrink a topic; after a failover keys would go elsewhere, so it is said."""
    world.apply()
    world.add_source("orders", 2, retention_ms="-1")
    plan = world.plan()
    assert plan.changes == ()
    assert any("keys go to other partitions" in warning for warning in plan.warnings)
    (told,) = drift_of(plan)
    assert (told.kind, told.name) == ("topic", "orders")
    assert "3 partitions, 2 on east" in told.told


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("producer.override.batch.size", "1", "producer.override.batch.size: 1 → 524288"),
        ("value.converter", "x", "value.converter: x → org.apache.kafka"),
        ("errors.tolerance", "all", "errors.tolerance: all → unset"),
    ],
)
def test_a_hand_changed_connector_key_shows(world: Any, key: str, value: str, told: str) -> None:
    """A key changed, or added, behind our back is a difference with both values."""
    world.apply()
    actual = world.connectors["shop.source"]
    world.connectors["shop.source"] = replace(actual, config={**actual.config, key: value})
    plan = world.plan()
    assert acts(plan) == [("update connector", "shop.source")]
    assert told in plan.changes[0].line


def test_what_was_stopped_stays_stopped(world: Any, connector_of: Callable[..., Connector]) -> None:
    """A connector that mirrored something and is STOPPED was stopped by somebody: apply must not start it."""
    world.apply()
    config = world.connectors["shop.source"].config
    world.connectors["shop.source"] = connector_of("shop.source", config, "STOPPED")
    world.connectors["shop.checkpoint"] = connector_of(
        "shop.checkpoint", world.connectors["shop.checkpoint"].config, "STOPPED"
    )
    world.positions = {ORDERS: 10}
    assert world.plan().is_empty
    world.positions = {}
    assert acts(world.plan()) == [("start connector", "shop.source"), ("start connector", "shop.checkpoint")]


def test_a_flow_stopped_before_its_first_record_stays_stopped(
    world: Any, connector_of: Callable[..., Connector]
) -> None:
    """The label of `flow stop` holds even where nothing was mirrored, and an update keeps it."""
    world.apply()
    for name in ("shop.source", "shop.checkpoint"):
        config = {**world.connectors[name].config, "replicator.asked": "stopped"}
        world.connectors[name] = connector_of(name, config, "STOPPED")
    assert world.plan().is_empty
    edited = {**world.connectors["shop.source"].config, "offset.lag.max": "5"}
    world.connectors["shop.source"] = connector_of("shop.source", edited, "STOPPED")
    plan = world.plan()
    assert acts(plan) == [("update connector", "shop.source")]
    assert plan.changes[0].config["replicator.asked"] == "stopped"


def test_foreign_records_on_the_target_are_refused(world: Any) -> None:
    """A topic that holds records nobody mirrored is not ours to write into."""
    world.add_target("orders", 3)
    world.foreign = frozenset({"orders"})
    assert "topic orders on west: holds records that this flow did not write" in refusals(world.plan())
    world.foreign = frozenset()
    assert world.plan().refusals == ()


def test_a_lost_copy_is_told(world: Any) -> None:
    """A topic deleted on the standby comes back empty, and mirroring goes on behind the hole: said, not hidden."""
    world.apply()
    del world.target["orders"]
    world.positions = {ORDERS: 7}
    plan = world.plan()
    assert acts(plan) == [("create topic", "orders")]
    assert any("will not come again" in warning for warning in plan.warnings)


def test_the_other_direction_is_refused(world: Any, flow_of: Callable[..., Flow]) -> None:
    """Two flows of one configuration must not carry a topic both ways."""
    world.others = (flow_of("back", "west", "east", topics=Selection(("orders",))),)
    assert "topic orders: flow back (west → east) carries it back" in refusals(world.plan())


def test_one_topic_has_one_writer(world: Any, flow_of: Callable[..., Flow]) -> None:
    """Two flows must not write one topic."""
    world.others = (flow_of("twin", topics=Selection(("pay.x",))),)
    assert "topic pay.x: flow twin (east → west) writes it too" in refusals(world.plan())


def test_opposite_flows_on_different_topics_live_together(world: Any, flow_of: Callable[..., Flow]) -> None:
    """One identity flow and one prefix flow the other way are fine as long as their topics differ."""
    world.others = (flow_of("audit", "west", "east", topics=Selection(("audit.*",)), naming=Naming.PREFIX),)
    assert world.plan().refusals == ()


def opposite(topics: str, state: str, **config: str) -> dict[str, StoredConnector]:
    """A mirror kept by the Connect beside the source."""
    settings = {"connector.class": SOURCE_CLASS, "topics": topics, "source.cluster.alias": "west"}
    stored = StoredConnector(name="byhand", config={**settings, **config}, target_state=state)
    return {"byhand": stored}


@pytest.mark.parametrize(
    ("found", "is_refused"),
    [
        (opposite("orders", "STARTED"), True),
        (opposite(".*", "PAUSED"), True),
        (opposite("ord(", "STARTED"), True),
        (opposite("orders", "STOPPED"), False),
        (opposite("other", "STARTED"), False),
        (opposite(".*", "STARTED", **{"topics.exclude": "orders,pay.*,heartbeats"}), False),
        (opposite("orders", "STARTED", **{"source.cluster.alias": "north"}), False),
        (
            opposite(
                "orders",
                "STARTED",
                **{"source.cluster.alias": "b", "source.cluster.bootstrap.servers": "x:1,WEST:9092"},
            ),
            True,
        ),
        (opposite("orders", "STARTED", **{"connector.class": "FileStreamSource"}), False),
    ],
)
def test_the_connect_beside_the_source_is_heard(
    world: Any,
    found: dict[str, StoredConnector],
    is_refused: bool,
) -> None:
    """A mirror back that may run refuses the flow, whether or not its worker is alive now."""
    world.opposite = found
    assert ("connector byhand beside east" in refusals(world.plan())) is is_refused


def test_a_second_mirror_on_the_same_connect_is_refused(world: Any, connector_of: Callable[..., Connector]) -> None:
    """Somebody's own MirrorSourceConnector that writes our topics is not overlooked."""
    config = {
        "connector.class": SOURCE_CLASS,
        "topics": "orders",
        "source.cluster.alias": "east",
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
    }
    world.connectors["byhand"] = connector_of("byhand", config)
    assert "connector byhand beside west: writes orders too" in refusals(world.plan())


def test_a_connector_that_is_not_ours_is_not_taken_over(world: Any, connector_of: Callable[..., Connector]) -> None:
    """The same name without our label was made by somebody else."""
    world.connectors["shop.source"] = connector_of("shop.source", {"connector.class": SOURCE_CLASS})
    assert "was not made for this flow" in refusals(world.plan())


def test_a_later_epoch_is_respected(world: Any) -> None:
    """Connectors of a later failover are not set back."""
    world.epoch = 3
    world.apply()
    world.epoch = 2
    assert "belongs to the later epoch 3" in refusals(world.plan())


def test_a_flow_that_failed_over_is_not_applied(world: Any) -> None:
    """Mirroring the old active onto the new one would overwrite the truth."""
    world.journal = JournalFacts(active=ClusterName("west"))
    assert "replicator failback shop" in refusals(world.plan())
    world.journal = JournalFacts(active=ClusterName("east"))
    assert world.plan().refusals == ()


def test_an_open_operation_holds_the_flow(world: Any) -> None:
    """While an operation is not finished nothing else changes the flow."""
    world.journal = JournalFacts(operation_id=OperationId("op-1"))
    assert "operation op-1 is not finished" in refusals(world.plan())


def test_one_cluster_under_two_names_is_refused(world: Any) -> None:
    """A flow into its own source would never end."""
    world.source_id = "id-west"
    assert "one and the same cluster" in refusals(world.plan())


def test_a_worker_that_writes_elsewhere_is_refused(world: Any) -> None:
    """A worker writes to its own bootstrap.servers, whatever the connector says."""
    world.worker_cluster = "id-north"
    assert "the worker writes to cluster id-north" in refusals(world.plan())


def test_what_the_worker_objects_to_is_refused(world: Any) -> None:
    """A worker without exactly-once support is told before anything is made, with the setting to change."""
    finding = ConfigFinding("exactly.once.support", ("not enabled",))
    world.findings = {"shop.source": (finding,)}
    assert "exactly.once.source.support=enabled" in refusals(world.plan())


def test_overrides_that_hurt_are_refused(world: Any, flow_of: Callable[..., Flow]) -> None:
    """A raw override that breaks a promise is named in the plan."""
    world.flow = flow_of(connector={"errors.tolerance": "all"})
    assert "flows.shop.connector.errors.tolerance: refused" in refusals(world.plan())


def test_a_flow_without_topics_is_told(world: Any, flow_of: Callable[..., Flow]) -> None:
    """Patterns that match nothing are no error, but said; so is a literal topic that is missing."""
    world.flow = flow_of(topics=Selection(("nothing.*",)))
    assert any("no topic of east matches" in warning for warning in world.plan().warnings)
    world.flow = flow_of(topics=Selection(("orders", "ordrs")))
    assert any("topic ordrs does not exist" in warning for warning in world.plan().warnings)


def test_every_change_is_one_line_with_its_why(world: Any) -> None:
    """People read a plan line by line."""
    for change in world.plan().changes:
        assert "\n" not in change.line
        assert change.why
        assert isinstance(change.act, Act)
