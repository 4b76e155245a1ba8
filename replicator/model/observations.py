"""What was seen, when. A failover whose source is gone knows the source by these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from replicator.model.acls import AclBinding
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition


class Reachability(StrEnum):
    """REFUSED: every broker's port actively refuses, so no client can write there either.
    SILENT: no answer in time; the cluster may be alive for others."""

    REACHABLE = "reachable"
    REFUSED = "refused"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterObservation:
    """Whether a cluster answered, and since when it has not (`unreachable_since`)."""

    cluster: ClusterName
    cluster_id: str | None
    reachability: Reachability
    observed_at: datetime
    last_reached_at: datetime | None
    unreachable_since: datetime | None = None
    listeners: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionEnds:
    """Log start, last stable offset and end of one partition, read in one sweep."""

    partition: int
    log_start: int
    last_stable: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TailCount:
    """Visible records counted by reading [from_offset, to_offset): markers and aborted data left out."""

    partition: int
    from_offset: int
    to_offset: int
    visible_records: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OvertakenSpan:
    """Offsets [from_offset, to_offset) that were deleted on the source before they were mirrored: nobody can count any
    more how many records they held. `seen_at` is when that showed last."""

    partition: int
    from_offset: int
    to_offset: int
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyHistory:
    """Which part of a topic's copy is of the source's topic as it is now; by partition, in offsets of the copy.

    `source_topic_id` and `copy_topic_id` are the incarnations that it tells of. From `proven_from` on everything is of
    this incarnation: all of a partition that is missing there, None where nothing is proven. What lies below
    `former_to` was stored while the source had a former topic of that name. `settled_to` is how far the copy reached
    when the source was last seen with this one. `made_anew_at` is when this one was first seen in the place of a
    former one: positions that were read earlier may be of that. None: no former one is known.
    """

    source_topic_id: str
    copy_topic_id: str
    proven_from: Mapping[int, int | None] = field(default_factory=dict)
    former_to: Mapping[int, int] = field(default_factory=dict)
    settled_to: Mapping[int, int] = field(default_factory=dict)
    made_anew_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicObservation:
    """All partitions of one topic. `peak_rate` is the highest rate of the last week, in records/s over the topic.

    `overtaken` are the spans of the last day that retention deleted before they were mirrored.
    `unmirrored_since`: nothing that was not mirrored then had been written before that moment; None: not known.

    `mirrored_topic_id` is the id under which the flow began to mirror it: another than `topic_id` once the
    topic was deleted and made again. None: not known. `copy` tells which part of the copy is of the topic as it is.
    """

    cluster: ClusterName
    topic: TopicName
    topic_id: str
    observed_at: datetime
    partitions: tuple[PartitionEnds, ...]
    mirrored_positions: Mapping[int, int] = field(default_factory=dict)
    tails: tuple[TailCount, ...] = ()
    peak_rate: float | None = None
    mirrored_topic_id: str | None = None
    overtaken: tuple[OvertakenSpan, ...] = ()
    unmirrored_since: datetime | None = None
    copy: CopyHistory | None = None


class GroupState(StrEnum):
    """A group's state as the broker names it, folded to what we act upon."""

    EMPTY = "EMPTY"
    ACTIVE = "ACTIVE"
    DEAD = "DEAD"
    UNKNOWN = "UNKNOWN"


class GroupType(StrEnum):
    """What kind of group the broker says it is. SHARE groups keep no committed positions: there is nothing to move."""

    CLASSIC = "classic"
    CONSUMER = "consumer"
    STREAMS = "streams"
    SHARE = "share"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGroup:
    """One group as every broker's own list has it, whatever its kind."""

    group: GroupName
    type: GroupType
    state: GroupState
    protocol_type: str

    @property
    def has_positions(self) -> bool:
        """Whether groups of this kind commit positions that a flow can move: consumers, Streams, and bare commits."""
        return self.type is not GroupType.SHARE and self.protocol_type in ("", "consumer", "streams")


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupObservation:
    """Committed positions of one group (next record to read) at one moment.

    `static_members` counts members with a `group.instance.id`; None: not told. `metadata` is what a consumer left with
    a position, where that was asked for."""

    cluster: ClusterName
    group: GroupName
    state: GroupState
    observed_at: datetime
    committed: Mapping[TopicPartition, int] = field(default_factory=dict)
    members: int | None = None
    protocol_type: str = "consumer"
    type: GroupType = GroupType.UNKNOWN
    static_members: int | None = None
    metadata: Mapping[TopicPartition, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessObservation:
    """The access rules of one principal (`User:name`) that concern what the flow carries. None: it had some before."""

    cluster: ClusterName
    principal: str
    observed_at: datetime
    rules: tuple[AclBinding, ...]


def as_listed(seen: GroupObservation, listed: ListedGroup | None) -> GroupObservation:
    """Return the observation with the kind that the list tells; and its state, where describing cannot find the group:
    that knows classic and consumer groups alone."""
    if listed is None:
        return seen
    state = listed.state if seen.state is GroupState.DEAD else seen.state
    members = None if seen.state is GroupState.DEAD and state is not GroupState.DEAD else seen.members
    return replace(seen, state=state, members=members, type=listed.type, protocol_type=listed.protocol_type)


def share_groups(
    listed: Mapping[GroupName, ListedGroup], *, cluster: ClusterName, seen_at: datetime
) -> dict[GroupName, GroupObservation]:
    """Return the share groups of a list as what they are: groups without positions."""
    return {
        name: GroupObservation(
            cluster=cluster,
            group=name,
            state=one.state,
            observed_at=seen_at,
            protocol_type=one.protocol_type,
            type=one.type,
        )
        for name, one in listed.items()
        if one.type is GroupType.SHARE
    }
