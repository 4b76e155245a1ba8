"""Part of a snapshot, under other names: some partitions, up to an offset, up to a time; remapped and exact."""

from __future__ import annotations

import re

import pytest

from replicator.clock import Deadline
from replicator.errors import PreflightBlocked
from replicator.kafka import Outgoing
from replicator.model.archive.restores import OffsetRule, RestoreAction
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import Extent, RestoreRequest
from tests.lab.snapshots.test_exact import look
from tests.lab.snapshots.test_round_trip import LONG_AGO

pytestmark = pytest.mark.lab

WAYS = [OffsetRule.REMAP, OffsetRule.EXACT]


def write_times(desk, topic: TopicName, *times: int) -> None:
    """One record a time in partition 0, several batches; and as many in partition 1."""
    for start in range(0, len(times), 3):
        own = times[start : start + 3]
        desk.write(
            [
                Outgoing(topic, b"k", b"%d" % (start + n), partition=number, timestamp_ms=LONG_AGO + time)
                for number in (0, 1)
                for n, time in enumerate(own)
            ]
        )


@pytest.mark.parametrize("way", WAYS)
def test_up_to_a_time_and_an_offset(desk, names, way: OffsetRule) -> None:
    """Each partition is a beginning of what was captured; a group beyond it stands at its end; what an earlier time
    behind the stop has is told; another extent does not go on with it."""
    topic = desk.make_topic(names.topic("t"))
    write_times(desk, topic, 10, 20, 30, 25, 50, 15, 60, 70)
    first = TopicPartition(topic, 0)
    desk.cluster().positions.delete_records({first: 1}, Deadline.after(30))
    group = names.group("g")
    desk.cluster().groups.commit(group, {first: 7, TopicPartition(topic, 1): 2}, Deadline.after(30))
    original = look(desk, topic, "east", 2)
    manifest = desk.create(topic)
    target = names.topic("back")
    extent = Extent(until_ms=LONG_AGO + 40, stops={TopicPartition(topic, 1): 2})
    request = RestoreRequest(
        topics=Selection(include=(topic,)),
        renames={topic: target},
        extent=extent,
        groups=Selection(include=(group,)),
        offsets=way,
    )
    plan = desk.restorer().plan(manifest.id, request)
    assert plan.topics[0].stops == {0: 4, 1: 2}
    assert plan.records == 3 + 2
    assert any("1 records of an earlier time" in warning for warning in plan.warnings)
    desk.restorer().apply(plan)
    found = look(desk, target, "west", 2)
    assert [[r[1:] for r in part[3]] for part in found] == [
        [r[1:] for r in original[0][3][:3]],
        [r[1:] for r in original[1][3][:2]],
    ]
    exact = way is OffsetRule.EXACT
    assert [part[:3] for part in found] == [(1, 4, 4) if exact else (0, 3, 3), (0, 2, 2)]
    stand = desk.cluster("west").groups.committed([group], Deadline.after(30))[group].committed
    assert stand == {TopicPartition(target, 0): 4 if exact else 3, TopicPartition(target, 1): 2}
    assert desk.restorer().plan(manifest.id, request).topics[0].action is RestoreAction.COMPARE


@pytest.mark.parametrize("way", WAYS)
def test_some_partitions_under_rewritten_names(desk, names, way: OffsetRule) -> None:
    """The others exist and are empty, groups stand on the restored ones alone, and names follow pattern and prefix."""
    topics = [desk.make_topic(names.topic(f"{name}-{way}"), partitions=2) for name in ("a", "b")]
    for topic in topics:
        write_times(desk, topic, 1, 2, 3, 4)
    group = names.group("g")
    everywhere = {TopicPartition(topic, number): 3 for topic in topics for number in (0, 1)}
    desk.cluster().groups.commit(group, everywhere, Deadline.after(30))
    manifest = desk.create(*topics)
    request = RestoreRequest(
        rename_patterns=((re.compile(rf"({re.escape(names.prefix)}.*)b-(.*)"), r"\1c-\2"),),
        prefix="old.",
        topics=Selection(include=tuple(topics)),
        extent=Extent(partitions=frozenset({1})),
        groups=Selection(include=(group,)),
        offsets=way,
    )
    plan = desk.restorer().plan(manifest.id, request)
    targets = [TopicName(f"old.{topics[0]}"), TopicName(f"old.{topics[1]}".replace("b-", "c-"))]
    assert [topic.target for topic in plan.topics] == targets
    desk.restorer().apply(plan)
    for topic, target in zip(topics, targets, strict=True):
        assert look(desk, target, "west", 2) == [(0, 0, 0, []), look(desk, topic, "east", 2)[1]]
    stand = desk.cluster("west").groups.committed([group], Deadline.after(30))[group].committed
    assert stand == {TopicPartition(target, 1): 3 for target in targets}
    with pytest.raises(PreflightBlocked, match="not empty"):
        desk.restore(manifest.id, {topics[0]: targets[0]})
