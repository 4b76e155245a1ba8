"""What a stalled flow is told to suffer from must be true: the cheap member of the suite, in every run."""

from __future__ import annotations

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicPartition
from replicator.supervisor.decide.stall import explain_stall
from replicator.supervisor.observe.stall import StallProbe
from replicator.supervisor.samples import SourceSample
from tests.conftest import Names


def test_no_right_is_missed_where_none_is_checked(lab: Lab, names: Names) -> None:
    """A source without an authorizer has no rules: a flow that stands still there lacks no right to read."""
    topic = names.topic("orders")
    flow = Flow(
        name=FlowName(names.flow()),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((topic,)),
    )
    tp = TopicPartition(topic, 0)
    with KafkaCluster(lab.east) as east, KafkaCluster(lab.west) as west:
        for cluster in (east, west):
            cluster.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(60))
        ends = east.positions.ends([tp], Deadline.after(60))
        now = SYSTEM_CLOCK.now()
        topics = east.topics.describe([topic], Deadline.after(60))
        facts = StallProbe(flow, source=east, target=west).observe(
            [tp],
            sample=SourceSample(began_at=now, ended_at=now, topics=topics, ends=ends),
            positions={tp: 0},
            connector=None,
            deadline=Deadline.after(60),
        )
    assert facts.rights is None
    assert explain_stall(facts) is None
