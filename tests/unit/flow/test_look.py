"""One look from outside, at a source that is written to meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.flow import JournalFacts, look, look_at_flow
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds

ORDERS = TopicPartition(TopicName("orders"), 0)
FLOW = Flow(
    name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"), topics=Selection(("orders",))
)


def test_a_source_under_traffic_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten records arrive and are mirrored between any two reads: a look sees them as lag, never as a truncation."""
    end = 100

    def moved(*_: Any) -> int:
        nonlocal end
        end += 10
        return end

    def ends(*_: Any) -> dict[TopicPartition, PartitionEnds]:
        now = moved()
        return {ORDERS: PartitionEnds(partition=0, log_start=0, last_stable=now, end=now)}

    monkeypatch.setattr(look, "_read_source", ends)
    monkeypatch.setattr(look, "read_positions", lambda *_: {ORDERS: moved()})
    monkeypatch.setattr(look, "_read_connectors", lambda *_: {})
    monkeypatch.setattr(look, "_count_tails", lambda *_: {})
    nothing: Any = SimpleNamespace(offsets_topic="offsets", target=None)
    seen = look_at_flow(
        FLOW, handles=nothing, journal=JournalFacts(), now=datetime(2026, 1, 1, tzinfo=UTC), deadline=Deadline.after(30)
    )
    assert seen.lag.lag_records == 10
    assert "truncated" not in seen.health.cause
