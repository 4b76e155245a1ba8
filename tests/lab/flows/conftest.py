"""What tests on real brokers share: flows opened on a lab, and patience with a bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.flow import (
    FlowHandles,
    FlowWiring,
    JournalFacts,
    Plan,
    apply_plan,
    plan_flow,
    read_facts,
    read_positions,
)
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition


def wait_until(is_reached: Callable[[], Any], *, seconds: float = 60.0, what: str = "it did not happen") -> Any:
    """Return the first true answer, asked again and again until the time is up."""
    deadline = Deadline.after(seconds)
    while not (answer := is_reached()):
        deadline.check(what)
        deadline.clock.sleep(0.1)
    return answer


@dataclass
class OpenFlow:
    """A flow on a lab, with its doors open."""

    flow: Flow
    handles: FlowHandles
    wiring: FlowWiring
    others: tuple[Flow, ...] = ()

    def plan(self) -> Plan:
        """The flow's plan as things are now."""
        deadline = Deadline.after(60)
        facts = read_facts(
            self.flow, handles=self.handles, wiring=self.wiring, journal=JournalFacts(), deadline=deadline
        )
        return plan_flow(self.flow, others=(self.flow, *self.others), facts=facts, wiring=self.wiring)

    def apply(self) -> Plan:
        """Apply the flow; returns the plan that was carried out."""
        plan = self.plan()
        apply_plan(plan, handles=self.handles, replan=self.plan, deadline=Deadline.after(120))
        return plan

    def positions(self) -> dict[TopicPartition, int]:
        """The mirrored positions as Kafka keeps them."""
        handles = self.handles
        return read_positions(handles.target, handles.offsets_topic, self.flow.source_connector, Deadline.after(30))

    def wait_mirrored(self, topic: TopicName, count: int, *, partition: int = 0) -> None:
        """Return when so many records (offsets) of a partition are mirrored."""
        tp = TopicPartition(topic, partition)
        wait_until(lambda: self.positions().get(tp, 0) >= count, what=f"{tp} was not mirrored up to {count}")

    def remove(self) -> None:
        """Leave no connector of the flow."""
        for name in (self.flow.source_connector, self.flow.checkpoint_connector):
            self.handles.connect.delete(name, Deadline.after(60))


@contextmanager
def open_flow_on(lab: Lab, flow: Flow, others: tuple[Flow, ...] = ()) -> Iterator[OpenFlow]:
    """Yield the flow opened on a lab; its connectors are gone afterwards if the worker lives."""
    target = str(flow.target)
    with FlowHandles(
        source=KafkaCluster(lab.access(str(flow.source))),
        target=KafkaCluster(lab.access(target)),
        connect=ConnectClient(lab.connect_url(target)),
        offsets_topic=TopicName(f"{lab.group_id(target)}.offsets"),
        opposite_configs_topic=TopicName(f"{lab.group_id(str(flow.source))}.configs"),
    ) as handles:
        wiring = FlowWiring(source=handles.source.access, target=handles.target.access)
        opened = OpenFlow(flow, handles, wiring, others)
        yield opened
        if lab.is_ready(f"{target}/connect"):
            opened.remove()


@pytest.fixture
def flow_on(names: Any) -> Iterator[Callable[..., OpenFlow]]:
    """A function that opens flows of this test's topics on a lab: `flow_on(lab)`."""
    with ExitStack() as stack:

        def open_one(lab: Lab, *topics: str, name: str = "flow", source: str = "east", **changes: Any) -> OpenFlow:
            others = changes.pop("others", ())
            flow = Flow(
                name=FlowName(names.flow(name)),
                source=ClusterName(source),
                target=ClusterName("west" if source == "east" else "east"),
                topics=Selection(topics or (f"{names.prefix}.*",)),
                groups=Selection((f"{names.prefix}.*",)),
                **changes,
            )
            return stack.enter_context(open_flow_on(lab, flow, others))

        yield open_one


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """A function that waits, with a bound, until a question is answered with something true."""
    return wait_until
