"""What the steps of a runbook rely on of a cluster: the one in memory that simulations use, and a real one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from replicator.clock import Deadline
from replicator.errors import Fenced, NotFound, OperationFailed, PreflightBlocked
from replicator.kafka import KafkaCluster, Outgoing
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupState
from tests.simulation.brokers import Broker, Group
from tests.simulation.ports import Line, SimCluster
from tests.simulation.wires import Process, SimClock, Wires


def soon() -> Deadline:
    """Return a budget that a healthy cluster never needs."""
    return Deadline.after(60)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.lab)])
def cluster(request: pytest.FixtureRequest) -> Iterator[KafkaCluster]:
    """A cluster of each kind; only the real one starts a lab."""
    if request.param == "memory":
        clock = SimClock()
        process = Process(Wires({}, random.Random(0), clock), "contract")
        yield SimCluster(Line(Broker("west", has_authorizer=False), process, clock, lambda *_: None))
        return
    with KafkaCluster(request.getfixturevalue("lab").west) as real:
        yield real


@pytest.fixture
def topic(cluster: KafkaCluster, names) -> TopicName:
    """A fresh topic of two partitions."""
    name = names.topic("door")
    assert cluster.topics.create([TopicSpec(name=name, partitions=2)], soon()) == {name}
    return name


def out(topic: TopicName, text: str, partition: int = 0) -> Outgoing:
    """Return one record to write."""
    return Outgoing(topic, None, text.encode(), partition=partition)


def test_a_topic_is_made_once_and_described(cluster: KafkaCluster, topic: TopicName) -> None:
    """Making it again makes nothing; a topic that nobody made is left out of the description."""
    assert cluster.topics.create([TopicSpec(name=topic, partitions=2)], soon()) == set()
    described = cluster.topics.describe([topic, TopicName(f"{topic}.none")], soon())
    assert set(described) == {topic}
    assert [p.partition for p in described[topic].partitions] == [0, 1]
    assert cluster.topics.configs([topic], soon())[topic]["cleanup.policy"].value == "delete"


def test_a_plain_writer_says_where_it_wrote(cluster: KafkaCluster, topic: TopicName) -> None:
    """`flush` returns the highest acknowledged offset of each partition, and the ends follow."""
    writer = cluster.writer("contract", acks="all")
    for text in ("a", "b"):
        writer.send(out(topic, text))
    writer.send(out(topic, "c", partition=1))
    assert writer.flush(soon()) == {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 0}
    writer.close()
    ends = cluster.positions.ends([TopicPartition(topic, 0)], soon())[TopicPartition(topic, 0)]
    assert (ends.log_start, ends.last_stable, ends.end) == (0, 2, 2)


def test_a_transaction_leaves_a_marker_and_an_aborted_one_no_record(
    cluster: KafkaCluster, topic: TopicName, names
) -> None:
    """Committed records are seen, aborted ones never; both kinds of marker take an offset."""
    tp = TopicPartition(topic, 0)
    writer = cluster.transactional_writer(names.prefix, soon())
    assert writer.append([out(topic, "a"), out(topic, "b")], soon()) == [0, 1]
    writer.abandon([out(topic, "lost")], soon())
    assert writer.append([out(topic, "c")], soon()) == [5]
    deadline = soon()
    while cluster.positions.ends([tp], soon())[tp].last_stable < 7:
        deadline.check("the last marker")
        deadline.clock.sleep(0.05)
    seen = cluster.read_range(tp, 0, 7, deadline=soon())
    assert [(record.offset, record.value) for record in seen.records] == [(0, b"a"), (1, b"b"), (5, b"c")]
    assert seen.is_complete
    all_of_it = cluster.read_range(tp, 0, 7, deadline=soon(), is_committed_only=False)
    assert [record.value for record in all_of_it.records] == [b"a", b"b", b"lost", b"c"]


def test_a_writer_with_nothing_to_write_writes_nothing(cluster: KafkaCluster, topic: TopicName) -> None:
    """`flush` may be called in any case."""
    writer = cluster.writer("contract")
    assert writer.flush(soon()) == {}
    writer.close()
    tp = TopicPartition(topic, 0)
    assert cluster.positions.ends([tp], soon())[tp].end == 0


def test_a_topic_made_anew_is_another_one(cluster: KafkaCluster, topic: TopicName) -> None:
    """Deleted, it is described no more; the one that is made in its place has an id of its own."""
    first = cluster.topics.describe([topic], soon())[topic].topic_id
    cluster.topics.delete([topic], soon())
    deadline = soon()
    while cluster.topics.describe([topic], soon()):
        deadline.check("the topic to go")
        deadline.clock.sleep(0.05)
    assert cluster.topics.create([TopicSpec(name=topic, partitions=1)], soon()) == {topic}
    while topic not in cluster.topics.describe([topic], soon()):
        deadline.check("the topic to come")
        deadline.clock.sleep(0.05)
    assert cluster.topics.describe([topic], soon())[topic].topic_id != first


def test_a_range_is_cut_off_and_told_so(cluster: KafkaCluster, topic: TopicName) -> None:
    """With more records than asked for the read says where it goes on; an offset beyond the end is refused."""
    writer = cluster.writer("contract")
    for text in "abcd":
        writer.send(out(topic, text))
    writer.flush(soon())
    writer.close()
    tp = TopicPartition(topic, 0)
    read = cluster.read_range(tp, 1, 4, deadline=soon(), records_max=2)
    assert [record.value for record in read.records] == [b"b", b"c"]
    assert not read.is_complete
    assert read.next_offset == 3
    with pytest.raises(OperationFailed):
        cluster.read_range(tp, 9, 12, deadline=soon())
    with pytest.raises((NotFound, OperationFailed)):
        cluster.positions.ends([TopicPartition(topic, 7)], soon())


def test_a_tail_goes_on_where_it_stopped(cluster: KafkaCluster, topic: TopicName, names) -> None:
    """Each call hands out what is new; a topic that does not exist yet gives nothing."""
    tail = cluster.tail([names.topic("later"), topic])
    assert tail.poll_to_end(soon()) == []
    writer = cluster.writer("contract")
    for text in ("a", "b"):
        writer.send(out(topic, text))
        writer.flush(soon())
        assert [record.value for record in tail.poll_to_end(soon())] == [text.encode()]
    writer.close()
    tail.close()


def test_a_new_owner_fences_the_old(cluster: KafkaCluster, topic: TopicName, names) -> None:
    """Whoever takes the transactional id last writes; the other is refused for ever."""
    old = cluster.transactional_writer(names.prefix, soon())
    old.append([out(topic, "a")], soon())
    new = cluster.transactional_writer(names.prefix, soon())
    with pytest.raises(Fenced):
        old.append([out(topic, "late")], soon())
    assert new.append([out(topic, "b")], soon()) == [2]
    cluster.fence_transactional_ids([names.prefix], soon())
    with pytest.raises(Fenced):
        new.append([out(topic, "late too")], soon())


def test_an_empty_group_is_set_read_back_and_deleted(cluster: KafkaCluster, topic: TopicName, names) -> None:
    """A group that nobody made is DEAD; set, it is EMPTY and stands there; more positions leave the others be."""
    group, first, second = names.group("readers"), TopicPartition(topic, 0), TopicPartition(topic, 1)
    assert cluster.groups.committed([group], soon())[group].state is GroupState.DEAD
    cluster.groups.commit(group, {first: 3}, soon())
    cluster.groups.commit(group, {second: 1}, soon())
    seen = cluster.groups.committed([group], soon())[group]
    assert (seen.state, dict(seen.committed)) == (GroupState.EMPTY, {first: 3, second: 1})
    cluster.groups.delete([group], soon())
    cluster.groups.delete([group], soon())
    assert cluster.groups.committed([group], soon())[group].state is GroupState.DEAD


def test_a_group_with_members_is_refused(cluster: KafkaCluster, topic: TopicName, names) -> None:
    """The positions of a live group are its own."""
    group, tp = names.group("live"), TopicPartition(topic, 0)
    with live_member(cluster, group, topic):
        assert cluster.groups.committed([group], soon())[group].state is GroupState.ACTIVE
        with pytest.raises(PreflightBlocked):
            cluster.groups.commit(group, {tp: 1}, soon())


@contextmanager
def live_member(cluster: KafkaCluster, group: GroupName, topic: TopicName) -> Iterator[None]:
    """Give the group a member meanwhile."""
    if isinstance(cluster, SimCluster):
        cluster._line.broker.groups[group] = Group(members=1)
        yield
        return
    member = cluster.subscribe(group, [topic])
    try:
        member.wait_for_assignment(soon())
        yield
    finally:
        member.close()


def test_an_unsecured_cluster_says_that_it_has_no_authorizer(cluster: KafkaCluster) -> None:
    """No rule can fence it."""
    assert not cluster.acls.has_authorizer(soon())


def test_an_election_has_one_winner_and_is_given_back(cluster: KafkaCluster, topic: TopicName, names) -> None:
    """The first candidate holds it until it lets go; then the next one does."""
    one_partition = names.topic("election")
    cluster.topics.create([TopicSpec(name=one_partition, partitions=1)], soon())
    first = cluster.elect(names.group("lease"), topic=one_partition, session_seconds=6.0)
    assert first.wait_for_answer(soon())
    first.release()
    assert not first.is_held
    second = cluster.elect(names.group("lease"), topic=one_partition, session_seconds=6.0)
    assert second.wait_for_answer(soon())
    assert second.is_held
    second.release()


def test_ranges_of_many_partitions_are_read_at_once_and_again(cluster: KafkaCluster, topic: TopicName) -> None:
    """Each range is whole, cut at its limit, or left out where it is empty; the partitions can be read again."""
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    writer = cluster.writer("contract", acks="all")
    for number in range(6):
        writer.send(out(topic, f"a{number}"))
        writer.send(out(topic, f"b{number}", partition=1))
    writer.flush(soon())
    writer.close()
    for _ in range(3):
        read = cluster.read_ranges({first: (1, 3), second: (2, 6)}, deadline=soon())
        assert [r.value for r in read[first].records] == [b"a1", b"a2"]
        assert [r.value for r in read[second].records] == [b"b2", b"b3", b"b4", b"b5"]
        assert read[first].is_complete
        assert read[second].is_complete
    cut = cluster.read_ranges({first: (0, 6), second: (4, 4)}, deadline=soon(), records_max=2)
    assert [r.value for r in cut[first].records] == [b"a0", b"a1"]
    assert not cut[first].is_complete
    assert second not in cut
    assert len(cluster.read_range(first, 0, 6, deadline=soon()).records) == 6


def test_many_groups_are_set_side_by_side_and_each_refusal_is_its_own(
    cluster: KafkaCluster, topic: TopicName, names
) -> None:
    """Every empty group stands where it was put; one with members is left alone and told, before each one is asked."""
    tp = TopicPartition(topic, 0)
    wanted = {names.group(f"many{number}"): {tp: number} for number in range(5)}
    live = names.group("live")
    asked: list[None] = []
    with live_member(cluster, live, topic):
        refused = cluster.groups.commit_all({**wanted, live: {tp: 1}}, soon(), before_each=lambda: asked.append(None))
    assert isinstance(refused.pop(live), PreflightBlocked)
    assert not refused
    assert len(asked) >= len(wanted)
    seen = cluster.groups.committed(wanted, soon())
    assert {group: dict(found.committed) for group, found in seen.items()} == wanted


def test_a_lease_that_is_lost_stops_the_groups_that_were_not_set_yet(
    cluster: KafkaCluster, topic: TopicName, names
) -> None:
    """What `before_each` raises comes through, and the groups behind it stand nowhere."""
    tp = TopicPartition(topic, 0)
    groups = [names.group("kept"), names.group("left")]
    asked: list[None] = []

    def permit() -> None:
        asked.append(None)
        if len(asked) == 2:
            raise Fenced("the lease is lost")

    with pytest.raises(Fenced):
        cluster.groups.commit_all({group: {tp: 0} for group in groups}, soon(), before_each=permit)
    assert cluster.groups.committed([groups[1]], soon())[groups[1]].state is GroupState.DEAD
