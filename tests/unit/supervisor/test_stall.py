"""The cause of a stall, from what a probe read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import PartitionDescription, TopicDescription
from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.supervisor.decide.stall import StallFacts, explain_stall

ORDERS = TopicName("orders")
TP = TopicPartition(ORDERS, 0)
FLOW = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"))


def connector(*tasks: ConnectorState) -> ConnectorStatus:
    told = tuple(TaskStatus(id=n, state=state, worker="w") for n, state in enumerate(tasks))
    return ConnectorStatus(name="shop.source", state=ConnectorState.RUNNING, worker="w", tasks=told)


def topic(*in_sync: int, leader: int | None = 1) -> dict[TopicName, TopicDescription]:
    parts = tuple(
        PartitionDescription(n, leader, (1, 2, 3), tuple(range(1, count + 1))) for n, count in enumerate(in_sync)
    )
    return {ORDERS: TopicDescription(ORDERS, "id", parts)}


def rule(principal: str = "User:mm2", **changes: Any) -> AclBinding:
    base = AclBinding(
        principal=principal,
        resource_type=ResourceType.TOPIC,
        name="*",
        pattern=PatternType.LITERAL,
        right=Right.READ,
    )
    return replace(base, **changes)


def facts(**changes: Any) -> StallFacts:
    base = StallFacts(
        flow=FLOW,
        stalled=(TP,),
        ends={TP: PartitionEnds(partition=0, log_start=0, last_stable=100, end=100)},
        positions={TP: 40},
        connector=connector(ConnectorState.RUNNING),
        target_topics=topic(3),
        min_in_sync={ORDERS: 2},
        rights=(rule(), rule("User:app")),
        rights_before=(rule(), rule("User:app")),
    )
    return replace(base, **changes)


OPEN = {TP: PartitionEnds(partition=0, log_start=0, last_stable=40, end=100)}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({}, None),
        ({"connector": connector()}, "shop.source has no running task (0 in all)"),
        ({"connector": connector(ConnectorState.UNASSIGNED)}, "no running task (1 in all)"),
        ({"ends": OPEN}, "an open transaction holds orders[0] at offset 40"),
        # Below the last stable offset there is more to read: the transaction is not what holds it.
        ({"ends": OPEN, "positions": {TP: 30}}, None),
        ({"target_topics": {}}, "west has no topic orders"),
        ({"target_topics": topic(1)}, "refuses writes to orders: 1 partition with fewer than 2"),
        ({"target_topics": topic(3, leader=None)}, "refuses writes to orders"),
        ({"stalled": (TopicPartition(ORDERS, 4),), "ends": {}}, "orders on west has only 1 partition"),
        # The rule went while others stayed: the difference names who lost it.
        ({"rights": (rule("User:app"),)}, "User:mm2 lost the right to READ orders on east"),
        (
            {"rights": (rule(), rule("User:app"), rule(permission=Permission.DENY, name="orders"))},
            "User:mm2 lost the right to READ orders",
        ),
        # A rule on another topic, or another right, explains nothing.
        ({"rights_before": (rule(), rule("User:app"), rule("User:x", name="other"))}, None),
        ({"rights_before": (rule(), rule("User:app"), rule("User:x", right=Right.WRITE))}, None),
        ({"read_denial": "TOPIC_AUTHORIZATION_FAILED"}, "east does not let it be read: TOPIC_AUTHORIZATION_FAILED"),
        # Without a memory of before, the rules of now must speak for themselves.
        (
            {"rights_before": None, "rights": (rule(permission=Permission.DENY),)},
            "READ on orders is denied to User:mm2",
        ),
        ({"rights_before": None, "rights": ()}, "nobody has the right to READ orders"),
        ({"rights_before": None, "rights": None}, None),
        (
            {"rights_before": (rule(name="ord", pattern=PatternType.PREFIXED),), "rights": ()},
            "User:mm2 lost the right to READ orders",
        ),
    ],
)
def test_the_likeliest_cause(changes: dict[str, Any], cause: str | None) -> None:
    """What was read explains the stall, or nothing does: no cause is guessed."""
    told = explain_stall(facts(**changes))
    assert (told is None) if cause is None else (told is not None and cause in told)
