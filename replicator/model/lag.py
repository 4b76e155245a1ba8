"""How far the standby is behind, in records and in seconds. None is unknown, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from replicator.model.names import FlowName, TopicName, TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLag:
    """Lag of one source partition.

    `mirrored_position` is the next source offset to be mirrored; `lag_records` = `source_end` −
    `mirrored_position`, an upper bound with trailing markers resolved by a bounded read;
    `lag_seconds` = now − first observation whose source end exceeded the mirrored position.
    `is_seconds_minimum`: it was behind already when watching began, so that it is at least as long.
    Rates are records/s over the recent window; `eta_seconds` None means never, or unknown.
    """

    partition: TopicPartition
    source_end: int | None
    mirrored_position: int | None
    lag_records: int | None
    lag_seconds: float | None
    rate_in: float | None
    rate_out: float | None
    eta_seconds: float | None
    is_stalled: bool | None
    observed_at: datetime | None
    is_seconds_minimum: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicLag:
    """Sum (records, rates) and maximum (seconds) over a topic's partitions."""

    topic: TopicName
    lag_records: int | None
    lag_seconds: float | None
    rate_in: float | None
    rate_out: float | None
    eta_seconds: float | None
    stalled_partitions: int | None
    observed_at: datetime | None
    partitions: tuple[PartitionLag, ...]
    is_seconds_minimum: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLag:
    """Sum (records, rates) and maximum (seconds) over a flow's topics."""

    flow: FlowName
    lag_records: int | None
    lag_seconds: float | None
    rate_in: float | None
    rate_out: float | None
    eta_seconds: float | None
    stalled_partitions: int | None
    observed_at: datetime | None
    topics: tuple[TopicLag, ...]
    is_seconds_minimum: bool = False
