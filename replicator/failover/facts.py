"""Results of steps as the journal keeps them: written once, read back by later steps of the same operation."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from replicator.clock import from_rfc3339, to_rfc3339
from replicator.journal.chain import canonical_json
from replicator.model.forms.plain import to_plain
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import ClusterObservation, PartitionEnds, Reachability

ROWS_PER_PART = 5_000
"""Partitions of a cut in one record: well under the journal's limit, whatever the topics are called."""

Facts = Mapping[str, Mapping[str, Any]]


class GroupsKnownFrom(StrEnum):
    """Where the names and positions of the groups come from."""

    OBSERVATIONS = "observations"
    CHECKPOINTS = "checkpoints"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """Both sides as they were found. `answer` is the source's to plain connections, `is_answering` whether
    it answered as a cluster; `observation` is the last one recorded of it."""

    answer: Reachability
    is_answering: bool
    answered_at: datetime
    listeners: tuple[str, ...]
    target_cluster_id: str
    observation: ClusterObservation | None
    topics_observed: int
    groups_observed: int
    groups_known_from: GroupsKnownFrom
    partitions_mirrored: int
    unreadable: tuple[str, ...] = ()

    @property
    def has_seen_source(self) -> bool:
        """Whether the source was ever read and recorded."""
        return self.observation is not None and self.observation.last_reached_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class CutPartition:
    """One partition at the cut. `mirrored` is the next source offset to mirror, None when nothing was ever
    mirrored; `ends` are the copy's, None when the target has no such partition. `source_end` is the end of a
    living source, None where it was not asked."""

    source: TopicPartition
    target: TopicPartition
    mirrored: int | None
    ends: PartitionEnds | None
    source_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Every partition of the flow, read in one sweep. `topic_ids` are the target's."""

    taken_at: datetime
    partitions: tuple[CutPartition, ...]
    topic_ids: Mapping[TopicName, str] = field(default_factory=dict)

    @property
    def mirrored(self) -> dict[TopicPartition, int]:
        """The mirrored positions, by source partition."""
        return {p.source: p.mirrored for p in self.partitions if p.mirrored is not None}

    @property
    def target_ends(self) -> dict[TopicPartition, PartitionEnds]:
        """The copies' ends, by target partition."""
        return {p.target: p.ends for p in self.partitions if p.ends is not None}

    @property
    def digest(self) -> str:
        """What tells this cut from another; the moment it was taken does not count."""
        ids = {str(name): id_ for name, id_ in self.topic_ids.items()}
        return digest_of({"rows": [_to_row(p) for p in self.partitions], "topic_ids": ids})


def to_body(value: object) -> dict[str, Any]:
    """Return a dataclass as the body of a fact."""
    body = to_plain(value)
    if not isinstance(body, dict):
        raise TypeError(f"{type(value).__name__} is no body of a fact")
    return body


def digest_of(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def cut_to_facts(cut: Cut) -> dict[str, dict[str, Any]]:
    """Return the cut as facts; the last of them closes it, so that half a cut is none."""
    rows = [_to_row(p) for p in cut.partitions]
    parts = [rows[start : start + ROWS_PER_PART] for start in range(0, len(rows), ROWS_PER_PART)]
    facts: dict[str, dict[str, Any]] = {f"part:{number}": {"rows": part} for number, part in enumerate(parts)}
    facts["cut"] = {
        "parts": len(parts),
        "digest": cut.digest,
        "taken_at": to_rfc3339(cut.taken_at),
        "topic_ids": dict(cut.topic_ids),
    }
    return facts


def cut_from_facts(facts: Facts) -> Cut | None:
    """Return the cut that the facts of its step hold; None when there is none, or only a part of one."""
    closing = facts.get("cut")
    if closing is None:
        return None
    parts = [facts.get(f"part:{number}", {"rows": []}) for number in range(closing["parts"])]
    cut = Cut(
        taken_at=from_rfc3339(closing["taken_at"]),
        partitions=tuple(_from_row(row) for part in parts for row in part["rows"]),
        topic_ids={TopicName(name): id_ for name, id_ in closing["topic_ids"].items()},
    )
    return cut if cut.digest == closing["digest"] else None


def _to_row(p: CutPartition) -> list[Any]:
    ends = [None, None, None] if p.ends is None else [p.ends.log_start, p.ends.last_stable, p.ends.end]
    row = [p.source.topic, p.source.partition, p.target.topic, p.mirrored, *ends]
    return row if p.source_end is None else [*row, p.source_end]


def _from_row(row: list[Any]) -> CutPartition:
    topic, number, target, mirrored, log_start, last_stable, end, *source_end = row
    ends = None
    if end is not None:
        ends = PartitionEnds(partition=number, log_start=log_start, last_stable=last_stable, end=end)
    return CutPartition(
        source=TopicPartition(TopicName(topic), number),
        target=TopicPartition(TopicName(target), number),
        mirrored=mirrored,
        ends=ends,
        source_end=source_end[0] if source_end else None,
    )
