"""At-least-once with prefixed names and task restarts, and groups of both protocols: a ledger judges each move."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.flow import read_positions
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Delivery, Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.model.offsets import GroupTranslation
from replicator.offsets import OffsetHistory, commit_group, survey_groups
from tests.lab.flows.conftest import OpenFlow, open_flow_on, wait_until
from tests.lab.offsets.conftest import id_of, read_all

pytestmark = pytest.mark.lab
BATCH = 400


def write(east: KafkaCluster, topic: TopicName, start: int, count: int) -> None:
    """Append numbered records to the topic's only partition: a record's id is its offset."""
    writer = east.writer("states-test")
    for number in range(start, start + count):
        writer.send(Outgoing(topic, b"k", str(number).encode(), partition=0))
    writer.flush(Deadline.after(60))
    writer.close()


def translate(opened: OpenFlow, seen: list[GroupObservation]) -> dict[GroupName, GroupTranslation]:
    """Return the groups' translations from the target alone."""
    handles, name = opened.handles, opened.flow.source_connector
    answers = survey_groups(
        opened.flow,
        seen,
        target=handles.target,
        source=None,
        read_map=OffsetHistory(handles.target, opened.flow).refresh,
        read_mirrored=lambda deadline: read_positions(handles.target, handles.offsets_topic, name, deadline),
        deadline=Deadline.after(60),
    )
    return {answer.group: answer for answer in answers}


def consume(cluster: KafkaCluster, group: GroupName, topic: TopicName, *, count: int, protocol: str) -> list[str]:
    """Return what a member of the group is handed until so many records came, committed behind the last."""
    handed: list[str] = []
    deadline = Deadline.after(90)
    with cluster.subscribe(group, [topic], start="earliest", protocol=protocol) as member:
        while len(handed) < count:
            deadline.check(f"{group} was handed {len(handed)} of {count}")
            handed += [id_of(record) for record in member.poll(timeout_seconds=0.5, records_max=50)]
        member.commit()
    return handed


def test_groups_move_under_at_least_once_with_prefixed_names(lab: Lab, names: Any) -> None:
    """Through a task restart nothing is skipped and every bound holds, for groups of both protocols."""
    flow = Flow(
        name=FlowName(names.flow("states")),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((f"{names.prefix}.*",)),
        groups=Selection((f"{names.prefix}.*",)),
        naming=Naming.PREFIX,
        delivery=Delivery.AT_LEAST_ONCE,
    )
    with open_flow_on(lab, flow) as opened:
        judge_moves(opened, names)


def judge_moves(opened: OpenFlow, names: Any) -> None:
    """Mirror through a restart, let groups of both protocols read a half on east, move them, and read on."""
    topic = TopicName(names.topic("orders"))
    east, west = opened.handles.source, opened.handles.target
    east.topics.create([TopicSpec(name=topic, partitions=1, configs={"retention.ms": "-1"})], Deadline.after(30))
    opened.apply()
    write(east, topic, 0, BATCH)
    opened.wait_mirrored(topic, BATCH)
    opened.handles.connect.restart(opened.flow.source_connector, Deadline.after(60), tasks_min=1)
    write(east, topic, BATCH, BATCH)
    opened.wait_mirrored(topic, 2 * BATCH)
    groups = {protocol: GroupName(f"{names.prefix}.{protocol}") for protocol in ("classic", "consumer")}
    for protocol, group in groups.items():
        consume(east, group, topic, count=BATCH // 2, protocol=protocol)
    wait_until(lambda: _are_empty(east, list(groups.values())), what="the groups did not become empty on east")
    seen = list(east.groups.committed(groups.values(), Deadline.after(30)).values())
    copy = TopicPartition(TopicName(f"east.{topic}"), 0)
    ids = [int(id_of(record)) for record in read_all(west, copy)]
    for protocol, group in groups.items():
        moved = translate(opened, seen)[group]
        answer = moved.translations[0]
        assert answer.target_partition == copy
        commit_group(west, moved, Deadline.after(30))
        wanted = {number for number in ids if number >= answer.source_offset}
        place = int(answer.target_offset or 0)
        expected = sum(1 for record in read_all(west, copy) if record.offset >= place)
        handed = [int(one) for one in consume(west, group, copy.topic, count=expected, protocol=protocol)]
        assert wanted - set(handed) == set()
        assert answer.reread_records_max is not None
        assert sum(number < answer.source_offset for number in handed) <= answer.reread_records_max


def _are_empty(cluster: KafkaCluster, groups: list[GroupName]) -> bool:
    return all(seen.members == 0 for seen in cluster.groups.committed(groups, Deadline.after(30)).values())
