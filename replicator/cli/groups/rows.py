"""How groups look: plain rows for programs, columns for people. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from replicator.cli.output import Column
from replicator.model.forms.figures import show_count, show_seconds
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import RULES, PartitionComparison

Row = dict[str, Any]
SHARE_NOTE = "a share group has no offsets to translate; on the target it begins where its share.auto.offset.reset says"

_STYLES = {Grade.EXACT: "green", Grade.BOUNDED: "yellow", Grade.FLOOR: "magenta", Grade.UNAVAILABLE: "red"}


def age_seconds(seen_at: datetime | None, now: datetime) -> float | None:
    """Return how old an observation is; clocks that disagree make nothing younger than now."""
    return None if seen_at is None else max(0.0, (now - seen_at).total_seconds())


def group_row(
    answer: GroupTranslation, seen: GroupObservation, on_target: GroupObservation, *, known_from: str, now: datetime
) -> Row:
    """Return one group: where its positions come from, how old they are, and what moving it would cost."""
    return {
        "flow": answer.flow,
        "group": answer.group,
        "grade": answer.grade,
        "reread_records_max": answer.reread_records_max,
        "partitions": len(answer.translations),
        "type": seen.type,
        "state": seen.state,
        "members": seen.members,
        "static_members": seen.static_members,
        "state_on_target": on_target.state,
        "members_on_target": on_target.members,
        "known_from": known_from,
        "observed_at": seen.observed_at,
        "age_seconds": age_seconds(seen.observed_at, now),
        "note": None,
    }


def share_row(flow: str, seen: GroupObservation, *, known_from: str, now: datetime) -> Row:
    """Return a group that has nothing to translate: the broker keeps what its members acknowledged, no positions."""
    return {
        "flow": flow,
        "group": seen.group,
        "grade": None,
        "reread_records_max": None,
        "partitions": 0,
        "type": seen.type,
        "state": seen.state,
        "members": None,
        "static_members": None,
        "state_on_target": None,
        "members_on_target": None,
        "known_from": known_from,
        "observed_at": seen.observed_at,
        "age_seconds": age_seconds(seen.observed_at, now),
        "note": SHARE_NOTE,
    }


def translation_row(answer: Translation, *, now: datetime) -> Row:
    """Return one partition's translation with its evidence."""
    return {
        "topic": answer.partition.topic,
        "partition": answer.partition.partition,
        "target_topic": answer.target_partition.topic,
        "source_offset": answer.source_offset,
        "target_offset": answer.target_offset,
        "grade": answer.grade,
        "reread_records_max": answer.reread_records_max,
        "is_clamped": answer.is_clamped,
        "rule": answer.rule,
        "because": RULES[answer.rule],
        "evidence": answer.evidence,
        "observed_at": answer.observed_at,
        "age_seconds": age_seconds(answer.observed_at, now),
    }


def comparison_row(found: PartitionComparison, *, now: datetime) -> Row:
    """Return one partition on both sides."""
    return {
        **translation_row(found.translation, now=now),
        "committed_on_target": found.committed,
        "ahead_offsets": found.ahead_offsets,
    }


def _count(key: str) -> Column:
    title = {"reread_records_max": "RE-READ MAX", "committed_on_target": "COMMITTED", "ahead_offsets": "AHEAD"}
    return Column(title.get(key, key.upper().replace("_", " ")), lambda row: show_count(row[key]), is_number=True)


GRADE = Column("GRADE", lambda row: row["grade"], style=lambda row: _STYLES.get(row["grade"], ""))
AGE = Column("AGE", lambda row: show_seconds(row["age_seconds"]), is_number=True)
PLACE = (
    Column("TOPIC", lambda row: row["topic"]),
    Column("PARTITION", lambda row: row["partition"], is_number=True),
    _count("source_offset"),
    _count("target_offset"),
)
GROUP_COLUMNS = (
    Column("GROUP", lambda row: row["group"]),
    Column("FLOW", lambda row: row["flow"]),
    GRADE,
    _count("reread_records_max"),
    _count("partitions"),
    Column("TYPE", lambda row: row["type"]),
    # Kafka calls a group DEAD that it never saw; JSON keeps its word.
    Column("ON TARGET", lambda row: "none" if row["state_on_target"] is GroupState.DEAD else row["state_on_target"]),
    Column("KNOWN FROM", lambda row: row["known_from"]),
    AGE,
)
TRANSLATION_COLUMNS = (*PLACE, GRADE, _count("reread_records_max"), Column("CLAMPED", lambda r: r["is_clamped"]), AGE)
EXPLAIN_COLUMNS = (
    *PLACE,
    GRADE,
    Column("RULE", lambda row: row["rule"]),
    Column("BECAUSE", lambda row: row["because"]),
    Column("EVIDENCE", lambda row: row["evidence"]),
)
COMPARE_COLUMNS = (*PLACE, _count("committed_on_target"), _count("ahead_offsets"), GRADE)
SYNC_COLUMNS = (
    Column("GROUP", lambda row: row["group"]),
    Column("FLOW", lambda row: row["flow"]),
    GRADE,
    _count("reread_records_max"),
    _count("written"),
    Column("OUTCOME", lambda row: row["outcome"]),
)
