"""One look at a flow from outside, without a supervisor: its connectors, its lag in records, its state.

Each part may fail alone: what cannot be read is told as a cause, the rest is told all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from replicator.clock import Deadline
from replicator.errors import ReplicatorError
from replicator.flow.handles import FlowHandles
from replicator.flow.health import FlowHealth, HealthFacts, decide_health, find_damage
from replicator.flow.measuring.series import LagObservation, LagSeries
from replicator.flow.planning.facts import JournalFacts
from replicator.flow.positions import read_positions
from replicator.model.connectors import Connector
from replicator.model.flow import Flow
from replicator.model.lag import FlowLag
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds, TailCount

T = TypeVar("T")

TAIL_OFFSETS_MAX = 200
"""A longer tail is no trailing marker: it is counted in offsets, an upper bound."""
TAILS_MAX = 200
PART_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLook:
    """What one look saw. `topics` are the source's that the flow carries; None where nobody could read."""

    flow: Flow
    health: FlowHealth
    connectors: Mapping[str, Connector] | None
    topics: tuple[TopicName, ...] | None
    lag: FlowLag
    observed_at: datetime


def look_at_flow(
    flow: Flow, *, handles: FlowHandles, journal: JournalFacts, now: datetime, deadline: Deadline
) -> FlowLook:
    """Return what can be seen of the flow within the deadline; a cluster that is away makes it UNKNOWN."""
    # Positions first: read after the ends, they would lie above them under traffic, as if the source were truncated.
    positions, target_cause = _try(
        lambda part: read_positions(handles.target, handles.offsets_topic, flow.source_connector, part), deadline
    )
    ends, source_cause = _try(lambda part: _read_source(flow, handles, part), deadline)
    connectors, connect_cause = _try(lambda part: _read_connectors(flow, handles, part), deadline)
    tails, _ = _try(lambda part: _count_tails(handles, ends or {}, positions or {}, part), deadline)
    series = LagSeries(flow.name)
    series.add(LagObservation(observed_at=now, ends=ends, positions=positions, tails=tails or {}))
    lag = series.measure(now)
    facts = HealthFacts(
        connectors=connectors,
        source_cause=source_cause,
        target_cause=target_cause,
        connect_cause=connect_cause,
        is_failed_over=journal.active == flow.target,
        operation_id=journal.operation_id,
        lag=lag,
        damage=find_damage(ends=ends or {}, positions=positions or {}, topic_ids={}, known_ids={}),
    )
    topics = None if ends is None else tuple(sorted({partition.topic for partition in ends}))
    return FlowLook(
        flow=flow, health=decide_health(flow, facts), connectors=connectors, topics=topics, lag=lag, observed_at=now
    )


def _try(read: Callable[[Deadline], T], deadline: Deadline) -> tuple[T | None, str | None]:
    """Return what was read, or why it could not be, without spending what the other parts need."""
    part = Deadline.after(min(PART_SECONDS_MAX, deadline.left / 3), clock=deadline.clock)
    try:
        return read(part), None
    except ReplicatorError as exc:
        return None, exc.message


def _read_source(flow: Flow, handles: FlowHandles, deadline: Deadline) -> dict[TopicPartition, PartitionEnds]:
    handles.source.verify_identity(deadline)
    names = [name for name in handles.source.topics.names(deadline) if flow.carries_topic(name)]
    described = handles.source.topics.describe(names, deadline)
    partitions = [
        TopicPartition(name, part.partition) for name, topic in described.items() for part in topic.partitions
    ]
    return handles.source.positions.ends(partitions, deadline)


def _read_connectors(flow: Flow, handles: FlowHandles, deadline: Deadline) -> dict[str, Connector]:
    found = handles.connect.list(deadline)
    return {name: found[name] for name in (flow.source_connector, flow.checkpoint_connector) if name in found}


def _count_tails(
    handles: FlowHandles,
    ends: Mapping[TopicPartition, PartitionEnds],
    positions: Mapping[TopicPartition, int],
    deadline: Deadline,
) -> dict[TopicPartition, TailCount]:
    """Read the short tails, to tell transaction markers from records."""
    short = [
        (partition, start, seen.last_stable)
        for partition, seen in ends.items()
        if 0 < seen.last_stable - (start := max(positions.get(partition, 0), seen.log_start)) <= TAIL_OFFSETS_MAX
    ]
    return {
        partition: count_tail(handles, partition, start, stop, deadline)
        for partition, start, stop in sorted(short)[:TAILS_MAX]
    }


def count_tail(handles: FlowHandles, partition: TopicPartition, start: int, stop: int, deadline: Deadline) -> TailCount:
    """Return how many visible records of the source lie in [start, stop)."""
    read = handles.source.read_range(partition, start, stop, deadline=deadline, records_max=TAIL_OFFSETS_MAX)
    return TailCount(
        partition=partition.partition,
        from_offset=start,
        to_offset=min(stop, read.next_offset) if not read.is_complete else stop,
        visible_records=len(read.records),
    )
