"""Groups of every kind are seen as what they are; what waits on the standby does not expire and goes only by policy."""

from __future__ import annotations

import json
import socket
import struct
import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from replicator.cli.context import App
from replicator.cli.main import run
from replicator.clock import Deadline
from replicator.journal import Observations
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import DeletedGroups, Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState, GroupType, ListedGroup, share_groups
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.flows.upkeep import GroupUpkeep
from replicator.supervisor.observe.groups import GroupsObserver
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import GroupsSample, TranslationsSample
from replicator.wire import RawClient
from tests.lab.flows.conftest import wait_until

pytestmark = pytest.mark.lab
SHARE_HEARTBEAT, STREAMS_HEARTBEAT = (76, 1), (88, 0)


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _varint(number >> 7)


def _text(text: str) -> bytes:
    return _varint(len(text) + 1) + text.encode()


NULL, END, NONE = b"\x00", b"\x00", b"\x01"


def _ask(cluster: KafkaCluster, api: tuple[int, int], body: bytes) -> int:
    """Send one request as a client that no library here knows, and return the answer's error code."""
    host, port = cluster.access.bootstrap.split(",")[0].rsplit(":", 1)
    frame = struct.pack(">hhih", *api, 1, 4) + b"test" + END + body
    with socket.create_connection((host, int(port)), timeout=20) as opened:
        opened.sendall(struct.pack(">i", len(frame)) + frame)
        answer = opened.recv(4096)
    return int(struct.unpack(">h", answer[13:15])[0])


def join_share(cluster: KafkaCluster, group: str, topic: str) -> None:
    """Have a member join a share group. Source: ShareGroupHeartbeatRequest.json, version 1."""
    body = _text(group) + _text(str(uuid.uuid4())) + struct.pack(">i", 0) + NULL + _varint(2) + _text(topic) + END
    wait_until(lambda: _ask(cluster, SHARE_HEARTBEAT, body) == 0, what="no share group was made")


def join_streams(cluster: KafkaCluster, group: str, topic: str, *, member: str, epoch: int) -> None:
    """Have a member join (epoch 0) or leave (-1) a Streams group. Source: StreamsGroupHeartbeatRequest.json."""
    head = _text(group) + _text(member) + struct.pack(">ii", epoch, 0) + NULL + NULL + struct.pack(">i", 60_000)
    subtopology = _text("0") + _varint(2) + _text(topic) + NONE * 5 + END
    topology = b"\x01" + struct.pack(">i", 1) + _varint(2) + subtopology + END
    body = head + (topology if epoch == 0 else b"\xff") + (NONE * 3 if epoch == 0 else NULL * 3)
    body += _text("process") + b"\xff" + (NONE if epoch == 0 else NULL) + NULL + NULL + b"\x00" + END
    wait_until(lambda: _ask(cluster, STREAMS_HEARTBEAT, body) == 0, what=f"the Streams member's epoch {epoch} failed")


def flow_of(names: Any, deleted: DeletedGroups = DeletedGroups.KEEP) -> Flow:
    """Return a flow over this test's names."""
    return Flow(
        name=FlowName(names.flow("kinds")),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((f"{names.prefix}.*",)),
        groups=Selection((f"{names.prefix}.*",)),
        deleted_groups=deleted,
    )


def test_streams_and_static_members_are_seen_as_what_they_are(lab: Lab, names: Any) -> None:
    """librdkafka's list leaves Streams groups out; ours has them, and moves their positions."""
    flow, topic = flow_of(names), TopicName(names.topic("orders"))
    tp = TopicPartition(topic, 0)
    streams, share, static = (GroupName(f"{names.prefix}.{kind}") for kind in ("streams", "share", "static"))
    with KafkaCluster(lab.access("east")) as east, RawClient(lab.access("east")) as raw:
        east.topics.create([TopicSpec(name=topic, partitions=1, configs={})], Deadline.after(30))
        east.groups.commit(static, {tp: 0}, Deadline.after(60))  # with its first group a cluster makes its coordinator
        member = str(uuid.uuid4())
        join_share(east, share, topic)
        join_streams(east, streams, topic, member=member, epoch=0)
        listed = raw.list_groups(Deadline.after(30))
        assert (listed[streams].type, listed[streams].state) == (GroupType.STREAMS, GroupState.ACTIVE)
        assert (listed[share].type, listed[share].has_positions) == (GroupType.SHARE, False)
        assert not {share, streams} & set(east.groups.list(Deadline.after(30)))
        join_streams(east, streams, topic, member=member, epoch=-1)
        east.groups.commit(streams, {tp: 0}, Deadline.after(30))
        observer = GroupsObserver(flow, east, topic_prefix="__x", list_groups=raw.list_groups)
        with east.subscribe(static, [topic], instance_id="till-1") as consumer:
            consumer.wait_for_assignment(Deadline.after(60))
            consumer.commit()
            assert east.groups.committed([static], Deadline.after(30))[static].static_members == 1
        sample = observer.observe(Deadline.after(30))
    found = sample.groups
    assert (found[streams].type, found[streams].state, found[streams].committed) == (
        GroupType.STREAMS,
        GroupState.EMPTY,
        {tp: 0},
    )
    assert share not in found
    assert (sample.shares[share].type, sample.shares[share].committed) == (GroupType.SHARE, {})


def test_share_groups_are_told_of_when_the_source_is_dead(
    lab: Lab, names: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A share group is listed and shown as last observed, with its age and its fate; one that had gone is not."""
    now = datetime.now(UTC)
    share, gone = (GroupName(f"{names.prefix}.{kind}") for kind in ("share", "gone"))
    listed = ListedGroup(group=share, type=GroupType.SHARE, state=GroupState.ACTIVE, protocol_type="share")
    seen = share_groups({share: listed}, cluster=ClusterName("east"), seen_at=now)[share]
    board = board_of(lab, {}, {})
    board.put_groups(GroupsSample(began_at=now, groups={}, shares={share: seen, gone: replace(seen, group=gone)}))
    board.put_groups(GroupsSample(began_at=now, groups={}, shares={share: seen}))
    flow = flow_of(names)
    with KafkaCluster(lab.access("west")) as west:
        observations = Observations(west)
        observations.ensure_topic(Deadline.after(30))
        observations.write(flow.name, board.groups_to_record().values(), Deadline.after(30))
        observations.close()
    config = config_without_source(lab, flow, tmp_path)
    for argv in (("list", str(flow.name)), ("show", str(share), "--flow", str(flow.name))):
        assert run(["-c", str(config), "group", *argv, "-o", "json"], app=App(environ={})) == 0
        (row,) = json.loads(capsys.readouterr().out)["items"]
        assert (row["group"], row["type"], row["grade"], row["known_from"]) == (share, "share", None, "observations")
        assert row["age_seconds"] >= 0
        assert "no offsets to translate" in row["note"]


def config_without_source(lab: Lab, flow: Flow, folder: Path) -> Path:
    """Return a configuration of the flow in which nobody listens at the source's address."""
    flows = {
        flow.name: {
            "source": flow.source,
            "target": flow.target,
            "topics": {"include": list(flow.topics.include)},
            "groups": {"include": list(flow.groups.include)},
        }
    }
    text = lab.config_path.read_text(encoding="utf-8")
    text = text.replace("flows: {}", f"flows: {json.dumps(flows)}").replace(lab.east.bootstrap, "127.0.0.1:1")
    path = folder / "replicator.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def board_of(
    lab: Lab, groups: Mapping[GroupName, GroupObservation], translations: Mapping[GroupName, GroupTranslation]
) -> FlowBoard:
    """Return a board on which these groups of the source, and where they resume, were just seen."""
    now = datetime.now(UTC)
    board = FlowBoard(source_watch=ClusterWatch(lab.access("east")), target_watch=ClusterWatch(lab.access("west")))
    board.groups = GroupsSample(began_at=now, groups=groups)
    board.translations = TranslationsSample(began_at=now, translations=translations, active_on_target=frozenset())
    return board


def test_positions_on_the_standby_are_committed_again_and_deleted_groups_go_by_policy(lab: Lab, names: Any) -> None:
    """The same positions are written anew; a deleted group goes where that is wanted, never with members or commits
    of its own."""
    topic = TopicName(names.topic("orders"))
    tp = TopicPartition(topic, 0)
    waits, gone, ahead, busy = (GroupName(f"{names.prefix}.{kind}") for kind in ("waits", "gone", "ahead", "busy"))
    with KafkaCluster(lab.access("west")) as west:
        west.topics.create([TopicSpec(name=topic, partitions=1, configs={})], Deadline.after(30))
        for group in (waits, gone, ahead, busy):
            west.groups.commit(group, {tp: 9 if group == ahead else 5}, Deadline.after(30))
        row = Translation(
            partition=tp,
            target_partition=tp,
            source_offset=Offset(7),
            target_offset=Offset(7),
            grade=Grade.EXACT,
            reread_records_max=0,
            rule="rank",
        )
        seen = GroupObservation(
            cluster=ClusterName("east"), group=waits, state=GroupState.EMPTY, observed_at=datetime.now(UTC)
        )
        groups = {g: replace(seen, group=g, state=GroupState.DEAD) for g in (gone, ahead, busy)} | {waits: seen}
        flow = flow_of(names, DeletedGroups.DELETE)
        board = board_of(lab, groups, {g: GroupTranslation(flow.name, g, (row,)) for g in groups})
        with west.subscribe(busy, [topic]) as member:
            member.wait_for_assignment(Deadline.after(60))
            before = commits_count(west)
            GroupUpkeep(flow, west, board).keep(Deadline.after(60))
            assert west.groups.committed([busy], Deadline.after(30))[busy].state is GroupState.ACTIVE
        stands = west.groups.committed([waits, gone, ahead], Deadline.after(30))
        assert commits_count(west) > before
    assert {g: dict(one.committed) for g, one in stands.items()} == {waits: {tp: 5}, gone: {}, ahead: {tp: 9}}
    assert stands[gone].state is GroupState.DEAD


def commits_count(cluster: KafkaCluster) -> int:
    """Return how many records the topic of committed positions has had."""
    described = cluster.topics.describe([TopicName("__consumer_offsets")], Deadline.after(30))
    partitions = [TopicPartition(name, p.partition) for name, one in described.items() for p in one.partitions]
    return sum(one.end for one in cluster.positions.ends(partitions, Deadline.after(30)).values())
