"""Flows when parts of the world are gone, and flows in both directions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.connect import ConnectClient, source_config
from replicator.connect.mirror import MirrorSides
from replicator.errors import DeadlineExceeded
from replicator.flow import FlowLook, JournalFacts, look_at_flow
from replicator.kafka import Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow, FlowState, Naming, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition

pytestmark = pytest.mark.lab


def make_topic(opened: Any, name: TopicName, *, count: int) -> TopicPartition:
    """Make a topic on the flow's source with so many records."""
    source = opened.handles.source
    source.topics.create([TopicSpec(name=name, partitions=1)], Deadline.after(30))
    write(opened, name, count)
    return TopicPartition(name, 0)


def write(opened: Any, name: TopicName, count: int) -> None:
    """Write records to the flow's source."""
    writer = opened.handles.source.writer("test")
    for number in range(count):
        writer.send(Outgoing(name, None, str(number).encode(), partition=0))
    writer.flush(Deadline.after(30))
    writer.close()


def look(opened: Any, *, seconds: float = 12.0) -> FlowLook:
    """Look at a flow as `flow show` does."""
    return look_at_flow(
        opened.flow,
        handles=opened.handles,
        journal=JournalFacts(),
        now=SYSTEM_CLOCK.now(),
        deadline=Deadline.after(seconds),
    )


@pytest.fixture(scope="module")
def both_workers(private_lab: Lab) -> Iterator[Lab]:
    """A lab with a worker beside each cluster."""
    private_lab.start("east/connect", wait=Deadline.after(90))
    yield private_lab
    if private_lab.is_ready("east/connect"):
        private_lab.kill("east/connect")


def test_opposite_flows_on_different_topics_run_together(
    both_workers: Lab, names: Any, flow_on: Callable[..., Any]
) -> None:
    """One identity and one prefix flow in opposite directions mirror their own topics and nothing else."""
    orders, audit = names.topic("orders"), names.topic("audit")
    there = flow_on(both_workers, f"{names.prefix}.orders", name="there")
    back = flow_on(both_workers, f"{names.prefix}.audit", name="back", source="west", naming=Naming.PREFIX)
    there.others, back.others = (back.flow,), (there.flow,)
    make_topic(there, orders, count=5)
    make_topic(back, audit, count=7)
    there.apply()
    back.apply()
    there.wait_mirrored(orders, 5)
    back.wait_mirrored(audit, 7)
    assert there.plan().is_empty
    assert back.plan().is_empty
    deadline = Deadline.after(30)
    assert f"west.{audit}" in back.handles.target.topics.names(deadline)
    assert f"east.{orders}" not in there.handles.target.topics.names(deadline)
    ends = there.handles.source.positions.ends([TopicPartition(orders, 0)], deadline)
    assert ends[TopicPartition(orders, 0)].end == 5


def test_a_mirror_back_is_refused_even_with_its_worker_dead(
    both_workers: Lab, names: Any, flow_on: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """A connector beside the source that mirrors our topic back blocks the flow: it would start with its worker."""
    opened = flow_on(both_workers)
    make_topic(opened, names.topic("orders"), count=1)
    reverse = Flow(
        name=FlowName(names.flow("byhand")),
        source=ClusterName("west"),
        target=ClusterName("east"),
        topics=Selection((f"{names.prefix}.*",)),
    )
    sides = MirrorSides(source=opened.wiring.target, target=opened.wiring.source, replication_factor=1)
    name, config = reverse.source_connector, source_config(reverse, sides)
    with ConnectClient(both_workers.connect_url("east")) as connect:
        connect.create(name, config, deadline=Deadline.after(60))
        assert opened.plan().refusals == ()
        connect.resume(name, Deadline.after(60), tasks_min=1)
    refused = "\n".join(refusal.line for refusal in opened.plan().refusals)
    assert f"connector {name} beside east: mirrors {names.topic('orders')} from west back to east" in refused
    both_workers.kill("east/connect")
    eventually(lambda: not both_workers.is_ready("east/connect"), what="the worker still answers")
    assert f"connector {name}" in "\n".join(refusal.line for refusal in opened.plan().refusals)
    both_workers.start("east/connect", wait=Deadline.after(90))
    with ConnectClient(both_workers.connect_url("east")) as connect:
        eventually(lambda: connect.find(name, Deadline.after(30)), what="the connector did not come back")
        connect.delete(name, Deadline.after(60))
    assert opened.plan().refusals == ()


def test_positions_outlive_the_worker(
    private_lab: Lab, names: Any, flow_on: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """With Connect dead the mirrored positions and the lag are still read through Kafka, and the state says UNKNOWN."""
    opened = flow_on(private_lab)
    partition = make_topic(opened, names.topic("orders"), count=10)
    opened.apply()
    opened.wait_mirrored(partition.topic, 10)
    private_lab.kill("west/connect")
    eventually(lambda: not private_lab.is_ready("west/connect"), what="the worker still answers")
    write(opened, partition.topic, 5)
    seen = look(opened)
    assert opened.positions()[partition] == 10
    assert seen.lag.lag_records == 5
    assert seen.health.state is FlowState.UNKNOWN
    assert "refused" in seen.health.cause.lower()
    private_lab.start("west/connect", wait=Deadline.after(90))
    opened.wait_mirrored(partition.topic, 15)


def test_a_silent_source_makes_lag_unknown_while_connectors_run(
    private_lab: Lab, names: Any, flow_on: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    """A frozen source is UNKNOWN with unknown lag, though Connect says RUNNING; thawed it is HEALTHY again."""
    opened = flow_on(private_lab)
    partition = make_topic(opened, names.topic("orders"), count=10)
    opened.apply()
    opened.wait_mirrored(partition.topic, 10)
    eventually(lambda: look(opened).health.state is FlowState.HEALTHY, what="the flow did not become HEALTHY")
    private_lab.freeze("east")
    try:
        frozen = look(opened)
    finally:
        private_lab.thaw("east")
    assert frozen.health.state is FlowState.UNKNOWN
    assert "east" in frozen.health.cause
    assert frozen.lag.lag_records is None
    assert frozen.lag.lag_seconds is None
    assert frozen.connectors is not None
    status = frozen.connectors[opened.flow.source_connector].status
    assert status is not None
    assert status.is_wholly(ConnectorState.RUNNING)
    seen = []

    def is_back() -> bool:
        seen.append(look(opened).health)
        return seen[-1].state is FlowState.HEALTHY

    try:
        eventually(is_back, seconds=180)
    except DeadlineExceeded:
        pytest.fail(f"the flow did not come back: of {len(seen)} looks the last saw {seen[-1]}")
