"""Access rules and counts of visible records: the cluster in memory that simulations use, and a real one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from replicator.clock import Deadline
from replicator.errors import OperationFailed
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import TopicSpec
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import TailCount
from replicator.wire import RawClient
from replicator.wire import count_visible as count_on_brokers
from tests.conftest import Names
from tests.simulation.brokers import Broker
from tests.simulation.ports import Line, SimCluster, SimRaw
from tests.simulation.ports import count_visible as count_in_memory
from tests.simulation.wires import Process, SimClock, Wires

KINDS = ["memory", pytest.param("kafka", marks=pytest.mark.lab)]
Counting = Callable[[TopicPartition, int, int], TailCount]


def soon() -> Deadline:
    """Return a budget that a healthy cluster never needs."""
    return Deadline.after(60)


def line_in_memory(*, has_authorizer: bool) -> Line:
    """Return a line to a fresh broker in memory."""
    clock = SimClock()
    process = Process(Wires({}, random.Random(0), clock), "contract")
    return Line(Broker("west", has_authorizer=has_authorizer), process, clock, lambda *_: None)


@pytest.fixture(params=KINDS)
def guarded(request: pytest.FixtureRequest) -> Iterator[KafkaCluster]:
    """A cluster of each kind that checks rights."""
    if request.param == "memory":
        yield SimCluster(line_in_memory(has_authorizer=True))
        return
    with KafkaCluster(request.getfixturevalue("secure_lab").access("west", "admin")) as real:
        yield real


@dataclass(frozen=True, slots=True)
class Counter:
    """A cluster and the way in which what is visible in it is counted."""

    cluster: KafkaCluster
    count: Counting


@pytest.fixture(params=KINDS)
def counter(request: pytest.FixtureRequest) -> Iterator[Counter]:
    """A cluster of each kind whose records are counted without being read."""
    if request.param == "memory":
        line = line_in_memory(has_authorizer=False)
        yield Counter(
            SimCluster(line),
            lambda tp, start, stop: count_in_memory(
                SimRaw(line), tp, from_offset=start, to_offset=stop, deadline=soon()
            ),
        )
        return
    lab: Lab = request.getfixturevalue("lab")
    with KafkaCluster(lab.west) as cluster, RawClient(lab.west, client_id="contract") as raw:
        yield Counter(
            cluster,
            lambda tp, start, stop: count_on_brokers(raw, tp, from_offset=start, to_offset=stop, deadline=soon()),
        )


def rule(
    names: Names, right: Right = Right.WRITE, *, user: str = "app", permission: Permission = Permission.DENY
) -> AclBinding:
    """Return a rule about a topic of this test alone."""
    return AclBinding(
        principal=f"User:{user}",
        resource_type=ResourceType.TOPIC,
        name=names.topic("ruled"),
        pattern=PatternType.LITERAL,
        right=right,
        permission=permission,
    )


def rules_of(cluster: KafkaCluster, names: Names, *, principal: str | None = None) -> tuple[AclBinding, ...]:
    """Return this test's rules, as they are listed."""
    found = cluster.acls.list(soon(), principal=principal)
    return tuple(one for one in found if one.name.startswith(names.prefix))


def await_rules(cluster: KafkaCluster, names: Names, wanted: tuple[AclBinding, ...]) -> None:
    """Return once exactly these are listed, sorted: a broker learns of a change a moment after it was made."""
    deadline = soon()
    while rules_of(cluster, names) != wanted:
        deadline.check("the rules")
        deadline.clock.sleep(0.05)


def test_a_secured_cluster_says_so_and_asking_leaves_nothing(guarded: KafkaCluster, names: Names) -> None:
    """It is asked without a trace."""
    before = guarded.acls.list(soon())
    assert guarded.acls.has_authorizer(soon())
    assert guarded.acls.list(soon()) == before


def test_rules_are_made_once_listed_sorted_and_told_when_they_go(guarded: KafkaCluster, names: Names) -> None:
    """Made twice they stand once; what is deleted is told, and what did not stand is not; the others stay."""
    first, second = sorted((rule(names), rule(names, Right.READ, permission=Permission.ALLOW)))
    guarded.acls.create([second, first], soon())
    guarded.acls.create([first], soon())
    await_rules(guarded, names, (first, second))
    elsewhere = replace(first, host="192.0.2.1")
    assert guarded.acls.delete([elsewhere], soon()) == set()
    assert guarded.acls.delete([first, elsewhere], soon()) == {first}
    await_rules(guarded, names, (second,))
    assert guarded.acls.delete([first], soon()) == set()
    assert guarded.acls.delete([], soon()) == set()
    assert guarded.acls.delete([second], soon()) == {second}
    await_rules(guarded, names, ())


def test_rules_of_one_principal_are_listed_alone(guarded: KafkaCluster, names: Names) -> None:
    """Those of another are not among them, nor those of everybody."""
    own, other, all_of_them = rule(names, user="app"), rule(names, user="mm2"), rule(names, user="*")
    guarded.acls.create([own, other, all_of_them], soon())
    await_rules(guarded, names, tuple(sorted((own, other, all_of_them))))
    assert rules_of(guarded, names, principal="User:app") == (own,)
    assert rules_of(guarded, names, principal="User:nobody") == ()
    guarded.acls.delete([own, other, all_of_them], soon())


def test_a_cluster_without_an_authorizer_has_no_rules_and_takes_none(counter: Counter, names: Names) -> None:
    """None are listed; making or deleting one is refused, so that nobody believes in a rule that is not there."""
    acls = counter.cluster.acls
    assert acls.list(soon()) == ()
    with pytest.raises(OperationFailed):
        acls.create([rule(names)], soon())
    with pytest.raises(OperationFailed):
        acls.delete([rule(names)], soon())


def make_topic(counter: Counter, names: Names) -> TopicPartition:
    """Return the one partition of a fresh topic."""
    name = names.topic("counted")
    counter.cluster.topics.create([TopicSpec(name=name, partitions=1)], soon())
    return TopicPartition(name, 0)


def out(topic: TopicName, text: str) -> Outgoing:
    """Return one record to write."""
    return Outgoing(topic, None, text.encode(), partition=0)


def await_stable(counter: Counter, tp: TopicPartition, offset: int) -> None:
    """Return once nothing below an offset is open."""
    deadline = soon()
    while counter.cluster.positions.ends([tp], soon())[tp].last_stable < offset:
        deadline.check("the last marker")
        deadline.clock.sleep(0.05)


def counted(counter: Counter, tp: TopicPartition, start: int, stop: int) -> tuple[int, int, int]:
    """Return from where, to where and how many records were counted."""
    found = counter.count(tp, start, stop)
    return found.from_offset, found.to_offset, found.visible_records


def test_markers_and_aborted_records_are_not_counted(counter: Counter, names: Names) -> None:
    """a b M | x A | c M: three are seen, whichever part is asked for."""
    tp = make_topic(counter, names)
    writer = counter.cluster.transactional_writer(names.prefix, soon())
    writer.append([out(tp.topic, "a"), out(tp.topic, "b")], soon())
    writer.abandon([out(tp.topic, "x")], soon())
    writer.append([out(tp.topic, "c")], soon())
    await_stable(counter, tp, 7)
    assert counted(counter, tp, 0, 7) == (0, 7, 3)
    assert counted(counter, tp, 1, 7) == (1, 7, 2)
    assert counted(counter, tp, 2, 5) == (2, 5, 0)
    assert counted(counter, tp, 3, 6) == (3, 6, 1)
    assert counted(counter, tp, 6, 7) == (6, 7, 0)


def test_plain_records_are_counted_one_by_one(counter: Counter, names: Names) -> None:
    """Whatever span of a batch is asked for; an empty span holds nothing."""
    tp = make_topic(counter, names)
    writer = counter.cluster.writer("contract", acks="all")
    for text in "abcde":
        writer.send(out(tp.topic, text))
    writer.flush(soon())
    writer.close()
    assert counted(counter, tp, 0, 5) == (0, 5, 5)
    assert counted(counter, tp, 2, 4) == (2, 4, 2)
    assert counted(counter, tp, 3, 3) == (3, 3, 0)


def test_counting_goes_no_further_than_what_is_stable(counter: Counter, names: Names) -> None:
    """The answer says how far it came when more is asked for than there is."""
    tp = make_topic(counter, names)
    writer = counter.cluster.transactional_writer(names.prefix, soon())
    writer.append([out(tp.topic, "a")], soon())
    await_stable(counter, tp, 2)
    assert counted(counter, tp, 0, 9) == (0, 2, 1)


def delete_before(cluster: KafkaCluster, tp: TopicPartition, offset: int) -> None:
    """Leave nothing of a partition below an offset."""
    if isinstance(cluster, SimCluster):
        cluster._line.broker.log(tp).log_start = offset
        return
    cluster.positions.delete_records({tp: offset}, soon())


def test_what_retention_took_cannot_be_counted(counter: Counter, names: Names) -> None:
    """Nor what lies beyond the end: both are refused."""
    tp = make_topic(counter, names)
    writer = counter.cluster.writer("contract", acks="all")
    for text in "abc":
        writer.send(out(tp.topic, text))
    writer.flush(soon())
    writer.close()
    delete_before(counter.cluster, tp, 2)
    assert counted(counter, tp, 2, 3) == (2, 3, 1)
    for start, stop in ((0, 3), (7, 9)):
        with pytest.raises(OperationFailed):
            counter.count(tp, start, stop)
