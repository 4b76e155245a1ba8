"""The Kafka door against real brokers: what it answers is what the cluster holds."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from replicator.clock import Deadline
from replicator.errors import Fenced, PreflightBlocked, Unreachable, WrongCluster
from replicator.kafka import KafkaCluster, Outgoing, probe_listeners
from replicator.model.cluster import TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupState, Reachability

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def east(lab) -> Iterator[KafkaCluster]:
    """The lab's east cluster."""
    with KafkaCluster(lab.east) as cluster:
        yield cluster


@pytest.fixture
def topic(east: KafkaCluster, names) -> TopicName:
    """A fresh topic with two partitions."""
    name = TopicName(names.topic("t"))
    assert east.topics.create([TopicSpec(name=name, partitions=2)], Deadline.after(30)) == {name}
    return name


def write(cluster: KafkaCluster, topic: TopicName, count: int, *, partition: int = 0, start: int = 0) -> None:
    """Write numbered records to one partition."""
    writer = cluster.writer("test")
    for number in range(start, start + count):
        writer.send(Outgoing(topic, b"k", str(number).encode(), partition=partition))
    writer.flush(Deadline.after(30))


def values(records) -> list[int]:
    """Return the numbers of records."""
    return [int(record.value) for record in records]


def test_topics_are_described_configured_grown_and_deleted(east: KafkaCluster, topic: TopicName) -> None:
    """A topic reads back as it was made; the id changes when it is made again."""
    deadline = Deadline.after(30)
    first = east.topics.describe([topic, TopicName("not-there")], deadline)
    assert set(first) == {topic}
    assert [p.partition for p in first[topic].partitions] == [0, 1]
    assert east.topics.create([TopicSpec(name=topic, partitions=2)], deadline) == set()
    east.topics.alter_configs(topic, {"retention.ms": "12345"}, deadline)
    config = east.topics.configs([topic], deadline)[topic]
    assert config["retention.ms"].value == "12345"
    assert not config["retention.ms"].is_default
    assert config["cleanup.policy"].is_default
    east.topics.alter_configs(topic, {"retention.ms": None}, deadline)
    assert east.topics.configs([topic], deadline)[topic]["retention.ms"].is_default
    east.topics.grow(topic, partitions=3, deadline=deadline)
    assert len(east.topics.describe([topic], deadline)[topic].partitions) == 3
    east.topics.delete([topic, TopicName("not-there")], deadline)
    while topic in east.topics.names(deadline):
        deadline.check("the topic is still there")
    east.topics.create([TopicSpec(name=topic, partitions=1)], deadline)
    assert east.topics.describe([topic], deadline)[topic].topic_id != first[topic].topic_id


def test_open_transactions_hold_the_last_stable_offset(east: KafkaCluster, topic: TopicName, names) -> None:
    """Markers take offsets, aborted records are never read, and a range with a trailing marker ends."""
    tp = TopicPartition(topic, 0)
    writer = east.transactional_writer(names.topic("tx"), Deadline.after(30))
    assert writer.append([Outgoing(topic, None, b"1", partition=0)], Deadline.after(30)) == [0]
    writer.abandon([Outgoing(topic, None, b"2", partition=0)], Deadline.after(30))
    deadline = Deadline.after(30)
    while (ends := east.positions.ends([tp], deadline)[tp]).end < 4:
        deadline.check("the coordinator answers before it writes the marker of the abort")
    assert (ends.log_start, ends.last_stable, ends.end) == (0, 4, 4)
    assert east.positions.stable_ends([tp], Deadline.after(30)) == {tp: 4}
    read = east.read_range(tp, 0, 4, deadline=Deadline.after(30))
    assert (values(read.records), read.is_complete, read.next_offset) == ([1], True, 4)
    seen = east.read_range(tp, 0, 4, deadline=Deadline.after(30), is_committed_only=False)
    assert values(seen.records) == [1, 2]


def test_a_bounded_read_says_that_it_is_not_complete(east: KafkaCluster, topic: TopicName) -> None:
    """The cap on records holds, and the next offset is where to go on."""
    write(east, topic, 10)
    tp = TopicPartition(topic, 0)
    read = east.read_range(tp, 2, 9, deadline=Deadline.after(30), records_max=3)
    assert (values(read.records), read.is_complete, read.next_offset) == ([2, 3, 4], False, 5)
    rest = east.read_range(tp, read.next_offset, 9, deadline=Deadline.after(30))
    assert (values(rest.records), rest.is_complete) == ([5, 6, 7, 8], True)


def test_a_tail_goes_on_where_it_stopped(east: KafkaCluster, topic: TopicName, names) -> None:
    """Each call gives the new records once, also over transactions that leave only markers behind."""
    tail = east.tail([topic])
    assert tail.poll_to_end(Deadline.after(30)) == []
    write(east, topic, 5)
    assert values(tail.poll_to_end(Deadline.after(30))) == [0, 1, 2, 3, 4]
    writer = east.transactional_writer(names.topic("tx"), Deadline.after(30))
    writer.abandon([Outgoing(topic, None, b"99", partition=0)], Deadline.after(30))
    assert tail.poll_to_end(Deadline.after(30)) == []
    write(east, topic, 2, start=5)
    write(east, topic, 1, partition=1, start=7)
    assert sorted(values(tail.poll_to_end(Deadline.after(30)))) == [5, 6, 7]
    tail.close()


def test_a_tail_waits_for_a_topic_that_is_not_there_yet(east: KafkaCluster, names) -> None:
    """A missing topic gives nothing; once made, it is read from its start."""
    name = TopicName(names.topic("later"))
    tail = east.tail([name])
    assert tail.poll_to_end(Deadline.after(30)) == []
    east.topics.create([TopicSpec(name=name, partitions=1)], Deadline.after(30))
    write(east, name, 1)
    deadline = Deadline.after(30)
    found: list[int] = []
    while not found:
        deadline.check("the record was not read")
        found = values(tail.poll_to_end(Deadline.after(30)))
    assert found == [0]
    tail.close()


def test_the_newer_transactional_writer_fences_the_older(east: KafkaCluster, topic: TopicName, names) -> None:
    """An old holder that wakes up cannot write; nothing of its attempt is visible."""
    transactional_id = names.topic("tx")
    old = east.transactional_writer(transactional_id, Deadline.after(30))
    old.append([Outgoing(topic, None, b"1", partition=0)], Deadline.after(30))
    new = east.transactional_writer(transactional_id, Deadline.after(30))
    with pytest.raises(Fenced):
        old.append([Outgoing(topic, None, b"2", partition=0)], Deadline.after(30))
    new.append([Outgoing(topic, None, b"3", partition=0)], Deadline.after(30))
    tp, deadline = TopicPartition(topic, 0), Deadline.after(30)
    while (ends := east.positions.ends([tp], deadline)[tp]).last_stable < ends.end:
        deadline.check("the coordinator answers before it writes the marker")
    assert values(east.read_range(tp, 0, ends.end, deadline=Deadline.after(30)).records) == [1, 3]


def test_fencing_many_ids_stops_their_writers(east: KafkaCluster, topic: TopicName, names) -> None:
    """Every id handed over is fenced."""
    ids = [names.topic(f"tx-{n}") for n in range(3)]
    writers = [east.transactional_writer(i, Deadline.after(30)) for i in ids]
    east.fence_transactional_ids(ids, Deadline.after(30))
    for writer in writers:
        with pytest.raises(Fenced):
            writer.append([Outgoing(topic, None, b"1", partition=0)], Deadline.after(30))


def test_committed_positions_read_back_and_active_groups_are_refused(
    east: KafkaCluster, topic: TopicName, names
) -> None:
    """An empty or new group takes a position; a group with a member keeps its own."""
    group, tp = GroupName(names.group("g")), TopicPartition(topic, 0)
    write(east, topic, 5)
    east.groups.commit(group, {tp: 3}, Deadline.after(30))
    seen = east.groups.committed([group], Deadline.after(30))[group]
    assert (seen.state, dict(seen.committed)) == (GroupState.EMPTY, {tp: 3})
    with east.subscribe(group, [topic]) as member:
        first = member.wait_for_assignment(Deadline.after(30))
        deadline = Deadline.after(30)
        while not first:
            deadline.check("nothing was handed out")
            first = member.poll(timeout_seconds=0.5)
        assert values(first)[0] == 3
        with pytest.raises(PreflightBlocked):
            east.groups.commit(group, {tp: 0}, Deadline.after(30))
        assert east.groups.committed([group], Deadline.after(30))[group].state is GroupState.ACTIVE
    assert east.groups.committed([group], Deadline.after(30))[group].committed == {tp: 3}
    assert east.groups.list(Deadline.after(30))[group].state is GroupState.EMPTY
    east.groups.delete([group], Deadline.after(30))
    assert east.groups.committed([group], Deadline.after(30))[group].state is GroupState.DEAD


def test_a_live_holder_keeps_the_lease_and_a_released_one_passes_on(east: KafkaCluster, names) -> None:
    """A newcomer learns that somebody holds the lease, and gets it once it is released."""
    election, topic = names.group("lease"), TopicName(names.topic("election"))
    east.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(30))
    with east.elect(election, topic=topic, session_seconds=6) as holder:
        assert holder.wait_for_answer(Deadline.after(20))
        with east.elect(election, topic=topic, session_seconds=6) as newcomer:
            assert not newcomer.wait_for_answer(Deadline.after(20))
            assert holder.is_held
            holder.release()
            assert newcomer.wait_until_held(Deadline.after(20))


def test_another_cluster_at_the_address_is_refused(lab) -> None:
    """The id in the configuration must be the one that answers."""
    with KafkaCluster(replace(lab.east, cluster_id="somebody-else")) as cluster, pytest.raises(WrongCluster):
        cluster.verify_identity(Deadline.after(30))


def test_nobody_listening_is_unreachable_and_refused(lab) -> None:
    """A closed port is told as unreachable long before the deadline, and as refused by a probe."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    deadline = Deadline.after(300)
    refused = pytest.raises(Unreachable, match="refuses connections")
    with KafkaCluster(replace(lab.east, bootstrap=address)) as cluster, refused:
        cluster.describe(deadline)
    assert not deadline.is_over, "nobody waits for a broker that is not there"
    assert probe_listeners([address]) is Reachability.REFUSED
    assert probe_listeners(lab.east.bootstrap.split(",")) is Reachability.REACHABLE
    assert probe_listeners([]) is Reachability.SILENT
