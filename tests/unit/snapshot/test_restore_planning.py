"""What a restore would do to each target topic, by table; nothing is touched to decide it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from replicator.errors import NotFound, UsageError
from replicator.model.archive.restores import RestoreAction
from replicator.model.archive.snapshots import (
    CapturedCluster,
    CapturedPartition,
    CapturedTopic,
    Chunk,
    ChunkEncoding,
    ChunkFacts,
    Consistency,
    Gap,
    GapReason,
    Manifest,
    StoredChunk,
    Totals,
)
from replicator.model.flow import Selection
from replicator.model.names import ClusterName, SnapshotId, TopicName
from replicator.model.observations import PartitionEnds
from replicator.snapshot.restore.naming import Renaming, name_targets
from replicator.snapshot.restore.planning import (
    HOLDING_SETTINGS,
    MARK_KEY,
    TargetTopic,
    TargetView,
    is_mark,
    make_mark,
    plan_restore,
    settle,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)
STORED = StoredChunk(
    id="a" * 64, encoding=ChunkEncoding.NONE, plain_bytes=1000, stored_bytes=1000, stored_sha256="a" * 64
)


def partition(number: int, records: int, *, largest: int = 1000, newest: int | None = None) -> CapturedPartition:
    """A captured partition of one chunk."""
    facts = ChunkFacts(batches=2, records=records, rebuilds=1, largest_batch_bytes=largest, max_timestamp_ms=newest)
    chunk = Chunk(start=0, stop=records, stored=STORED, pack="b" * 64, offset=0, facts=facts)
    return CapturedPartition(
        partition=number,
        start=0,
        end=records,
        high_watermark=records,
        leader_epoch=0,
        chunks=(chunk,) if records else (),
    )


def topic(name: str = "orders", *records: int, replicas: int = 1, **kwargs: int) -> CapturedTopic:
    """A captured topic with so many records in its partitions."""
    return CapturedTopic(
        name=TopicName(name),
        topic_id="id",
        replication_factor=replicas,
        is_compacted=False,
        partitions=tuple(partition(n, count, **kwargs) for n, count in enumerate(records or (10, 0))),
    )


def manifest(*topics: CapturedTopic) -> Manifest:
    """A snapshot of these topics."""
    return Manifest(
        id=SnapshotId("20261122T000000Z-abcdef"), repository="r", parent=None, created_at=NOW, tool="t", tags=(),
        cluster=CapturedCluster(name=ClusterName("east"), id="E", brokers=1), flow=None, include=("*",), exclude=(),
        consistency=Consistency(groups_read_at=NOW, cut_at=NOW, cut_skew_ms=0, finished_at=NOW), states={},
        topics=topics, pack_sizes={"b" * 64: 5000}, missing=(), warnings=(), not_captured=(),
        totals=Totals(
            records=0, bytes=0, stored_bytes=0, chunks=0, new_bytes=0, new_stored_bytes=0, new_chunks=0, new_packs=0
        ),
    )  # fmt: skip


def target(*counts: int, start: int = 0, **settings: str) -> TargetTopic:
    """A topic that is on the target, with so many offsets in its partitions."""
    ends = {
        n: PartitionEnds(partition=n, log_start=start, last_stable=start + count, end=start + count)
        for n, count in enumerate(counts)
    }
    return TargetTopic(ends, {key.replace("_", "."): value for key, value in settings.items()})


SNAPSHOT = manifest(topic())
MARK = make_mark(SNAPSHOT, TopicName("orders"))
OTHER_MARK = make_mark(SNAPSHOT, TopicName("others"))

ACTIONS = [
    ("absent", None, RestoreAction.CREATE, None),
    ("empty", target(0, 0), RestoreAction.FILL, None),
    ("emptied by retention", target(0, 0, start=500), RestoreAction.FILL, None),
    ("other number of partitions", target(0, 0, 0), RestoreAction.REFUSE, "3 partitions"),
    ("not empty", target(3, 0), RestoreAction.REFUSE, "not empty"),
    ("records elsewhere", target(0, 10), RestoreAction.REFUSE, "not empty"),
    ("as many records", target(10, 0), RestoreAction.COMPARE, None),
    ("ours, half done", target(4, 0, delete_retention_ms=MARK), RestoreAction.RESUME, None),
    ("ours, not begun", target(0, 0, delete_retention_ms=MARK), RestoreAction.RESUME, None),
    ("another restore's", target(4, 0, delete_retention_ms=OTHER_MARK), RestoreAction.REFUSE, "half restored"),
    ("real tombstone time", target(0, 0, delete_retention_ms="86400000"), RestoreAction.FILL, None),
]


@pytest.mark.parametrize(("there", "action", "refusal"), [a[1:] for a in ACTIONS], ids=[a[0] for a in ACTIONS])
def test_what_happens_to_a_target_topic(there: TargetTopic | None, action: RestoreAction, refusal: str | None) -> None:
    """Each state of the target has one answer, and nothing that holds other records is ever touched."""
    view = TargetView(ClusterName("west"), 3, {} if there is None else {TopicName("orders"): there})
    plan = plan_restore(SNAPSHOT, {TopicName("orders"): TopicName("orders")}, configs={}, view=view, now=NOW)
    assert plan.topics[0].action is action
    assert (plan.topics[0].refusal is None) == (refusal is None)
    assert refusal is None or refusal in str(plan.topics[0].refusal)
    assert bool(plan.refusals) == (refusal is not None)


def plan_one(captured: CapturedTopic, *, brokers: int = 3, **configs: str):
    """The plan of one absent topic."""
    view = TargetView(ClusterName("west"), brokers, {})
    settings = {key.replace("_", "."): value for key, value in configs.items()}
    plan = plan_restore(
        manifest(captured), {captured.name: TopicName("back")}, configs={captured.name: settings}, view=view, now=NOW
    )
    return plan.topics[0], plan.warnings


def test_settings_hold_everything_while_data_is_written() -> None:
    """Nothing may delete, compact, re-time or re-compress while the restore runs; afterwards nothing of it is left."""
    plan, _warnings = plan_one(topic(), cleanup_policy="compact", retention_ms="1000", segment_bytes="123456")
    assert dict(plan.settings).items() >= HOLDING_SETTINGS.items()
    assert is_mark(plan.settings[MARK_KEY])
    final = plan.final_settings
    assert (final["cleanup.policy"], final["retention.ms"], final["segment.bytes"]) == ("compact", "1000", "123456")
    assert all(final[key] is None for key in plan.settings if key not in ("cleanup.policy", "retention.ms"))


def test_captured_tombstone_time_replaces_the_mark() -> None:
    """A topic that has its own delete.retention.ms gets it back in the change that takes the mark."""
    assert settle({MARK_KEY: "77"}, replicas=3)[MARK_KEY] == "77"
    assert settle({}, replicas=3)[MARK_KEY] is None


def test_large_batches_get_room() -> None:
    """The target takes the largest captured batch, and a little more for one that is rebuilt."""
    plan, _warnings = plan_one(topic("orders", 10, largest=8_000_000))
    assert int(plan.settings["max.message.bytes"]) == 10_000_000
    plan, _warnings = plan_one(topic("orders", 10), max_message_bytes="3000000")
    assert int(plan.settings["max.message.bytes"]) == 3_000_000
    assert plan.final_settings["max.message.bytes"] == "3000000"


def test_fewer_brokers_mean_fewer_replicas_and_a_warning() -> None:
    """A topic of three replicas goes onto one broker, without the minimum it could never meet, and it is said."""
    plan, warnings = plan_one(topic(replicas=3), brokers=1, min_insync_replicas="2")
    assert plan.replication_factor == 1
    assert plan.final_settings["min.insync.replicas"] is None
    assert len([warning for warning in warnings if "replicas" in warning]) == 2


def test_gaps_and_expired_data_are_warned_of() -> None:
    """What is missing, and what the captured retention will delete at once, is said before."""
    broken = replace(partition(0, 10), gaps=(Gap(10, 20, GapReason.RETENTION),))
    _plan, warnings = plan_one(replace(topic(), partitions=(broken,)))
    assert any("1 gaps" in warning for warning in warnings)
    _plan, warnings = plan_one(topic("orders", 10, newest=1_357_000_000_000), retention_ms="86400000")
    assert any("older than its retention" in warning for warning in warnings)
    _plan, warnings = plan_one(topic("orders", 10, newest=1_357_000_000_000), retention_ms="-1")
    assert warnings == ()


def test_marks_are_of_one_snapshot_and_topic() -> None:
    """A mark says which topic of which snapshot of which repository, and no real setting looks like one."""
    other = replace(SNAPSHOT, id=SnapshotId("20261122T000001Z-abcdef"))
    marks = {
        MARK,
        OTHER_MARK,
        make_mark(other, TopicName("orders")),
        make_mark(replace(SNAPSHOT, repository="q"), TopicName("orders")),
    }
    assert len(marks) == 4
    assert all(is_mark(mark) and int(mark) < 2**63 for mark in marks)
    assert not any(is_mark(value) for value in ("86400000", "0", "9223372036854775807", "-1", "", "abc"))


def test_renames_are_checked() -> None:
    """Every selected topic has one target; collisions and renames of nothing are refused."""
    two = manifest(topic("a"), topic("b"))
    a, b = TopicName("a"), TopicName("b")
    assert name_targets(two, topics=Selection(), renaming=Renaming(names={a: TopicName("x")})) == {a: "x", b: "b"}
    assert name_targets(two, topics=Selection(include=("a",)), renaming=Renaming()) == {a: "a"}
    assert name_targets(two, topics=Selection(), renaming=Renaming(names={a: b, b: a})) == {a: "b", b: "a"}
    with pytest.raises(UsageError, match="two topics"):
        name_targets(two, topics=Selection(), renaming=Renaming(names={a: b}))
    with pytest.raises(UsageError, match="not restored"):
        name_targets(two, topics=Selection(include=("a",)), renaming=Renaming(names={b: TopicName("x")}))
    with pytest.raises(NotFound):
        name_targets(two, topics=Selection(include=("z",)), renaming=Renaming())


NAMES = [
    (Renaming(prefix="old."), ["old.shop.orders", "old.shop.bills", "old.log"]),
    (Renaming(patterns=((re.compile(r"shop\.(.*)"), r"\1-back"),)), ["orders-back", "bills-back", "log"]),
    (Renaming(patterns=((re.compile(r".*og"), "l"), (re.compile("log"), "m"))), ["shop.orders", "shop.bills", "l"]),
    (Renaming(patterns=((re.compile("shop"), "x"),)), ["shop.orders", "shop.bills", "log"]),
    (
        Renaming(names={TopicName("log"): TopicName("j")}, patterns=((re.compile("log"), "k"),), prefix="p-"),
        ["p-shop.orders", "p-shop.bills", "j"],
    ),
]
CLASHES = [
    (Renaming(patterns=((re.compile("shop.*"), "one"),)), "two topics"),
    (Renaming(patterns=((re.compile("log"), "shop_bills"),)), "two topics"),
    (Renaming(patterns=((re.compile("log"), r"\3"),)), "invalid group"),
    (Renaming(prefix="a/"), "no topic's name"),
    (Renaming(patterns=((re.compile("log"), ".."),)), "no topic's name"),
    (Renaming(prefix="x" * 249), "no topic's name"),
]
SHOP = manifest(topic("shop.orders"), topic("shop.bills"), topic("log"))


@pytest.mark.parametrize(("renaming", "names"), NAMES)
def test_prefix_and_patterns_name_topics(renaming: Renaming, names: list[str]) -> None:
    """The first pattern that matches a whole name counts, the prefix goes before all, an exact name beats both."""
    assert list(name_targets(SHOP, topics=Selection(), renaming=renaming).values()) == names


@pytest.mark.parametrize(("renaming", "told"), CLASHES)
def test_names_that_clash_or_are_none_are_refused(renaming: Renaming, told: str) -> None:
    """Two topics never become one, in a broker's eyes either; what no broker takes is told before."""
    with pytest.raises(UsageError, match=told):
        name_targets(SHOP, topics=Selection(), renaming=renaming)


def test_names_a_broker_has_taken_before_are_not_judged() -> None:
    """Topics that stood side by side under names that are nearly one may stand so again."""
    both = manifest(topic("a.b"), topic("a_b"))
    assert list(name_targets(both, topics=Selection(), renaming=Renaming()).values()) == ["a.b", "a_b"]
