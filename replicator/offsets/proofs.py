"""Translations proven while the source lived, and what they are still worth. Pure.

The newest translation of each group is kept on the standby. It was made with both sides at hand: holes of the
source were counted, records found by their content. With the source dead a fresh translation has the map and the
copy alone. Neither is ever above the true place, so the higher of the two is none either; and what lay between a
proven place and the true one does not grow, unless the flow has gone back since.
"""

from __future__ import annotations

from dataclasses import replace

from replicator.model.names import TopicPartition
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets.incarnations.copies import COPY_ID, FORMER_TOPIC, SOURCE_ID
from replicator.offsets.warm.placed import PlacedGroup

STORED_AGAIN = "stored_again_max"


def with_proofs(fresh: GroupTranslation, proven: GroupTranslation | None) -> GroupTranslation:
    """Return the translation with what was proven earlier, partition by partition, where that is worth more."""
    if proven is None:
        return fresh
    if isinstance(fresh, PlacedGroup):
        return _with_told_proofs(fresh, proven)
    known = _rows_of(proven, {t.partition for t in fresh.translations})
    rows = tuple(with_proof(t, known.get(t.partition)) for t in fresh.translations)
    return replace(fresh, translations=rows)


def _with_told_proofs(fresh: PlacedGroup, proven: GroupTranslation) -> GroupTranslation:
    """Return the same where only rows that cost something can gain: the others are exact already."""
    placed = fresh.placed
    known = _rows_of(proven, {t.partition for t in placed.told.values()}) if placed.told else {}
    told = {index: with_proof(t, known.get(t.partition)) for index, t in placed.told.items()}
    return PlacedGroup(fresh.flow, fresh.group, replace(placed, told=told))


def _rows_of(proven: GroupTranslation, wanted: set[TopicPartition]) -> dict[TopicPartition, Translation]:
    if isinstance(proven, PlacedGroup):
        placed = proven.placed
        return {tp: placed.row(index) for index, tp in enumerate(placed.partitions) if tp in wanted}
    return {t.partition: t for t in proven.translations if t.partition in wanted}


def with_proof(fresh: Translation, proven: Translation | None) -> Translation:
    """Return the fresh translation, or the proven one of the same copy where it resumes later or costs less.

    A proof of an earlier position of the group is a lower limit for its later one. A proof of a later position
    says nothing: the group was set back since.
    """
    if (
        proven is None
        or proven.target_offset is None
        or fresh.target_offset is None
        or not _is_of_one_copy(fresh, proven)
    ):
        return fresh
    if proven.source_offset > fresh.source_offset:
        return fresh
    if proven.source_offset < fresh.source_offset:
        return _raised(fresh, proven) if proven.target_offset > fresh.target_offset else fresh
    again = _again_since(fresh, proven)
    if proven.reread_records_max is None or again is None or proven.target_offset < fresh.target_offset:
        return fresh
    if fresh.reread_records_max is not None and fresh.reread_records_max <= proven.reread_records_max + again:
        return fresh
    rereads = proven.reread_records_max + again
    grade = Grade.EXACT if rereads == 0 else Grade.BOUNDED
    return replace(
        proven,
        grade=grade,
        reread_records_max=rereads,
        observed_at=fresh.observed_at,
        evidence={**proven.evidence, **_proof_evidence(proven)},
    )


def _raised(fresh: Translation, proven: Translation) -> Translation:
    evidence = {**fresh.evidence, "proven_from": int(proven.source_offset), **_proof_evidence(proven)}
    return replace(fresh, target_offset=proven.target_offset, evidence=evidence)


def _proof_evidence(proven: Translation) -> dict[str, str]:
    return {} if proven.observed_at is None else {"proven_at": proven.observed_at.isoformat()}


def _is_of_one_copy(fresh: Translation, proven: Translation) -> bool:
    """Whether both tell of the same partition of the same incarnation of either side's topic."""
    copy_id = fresh.evidence.get(COPY_ID)
    is_same = copy_id is not None and copy_id == proven.evidence.get(COPY_ID)
    source_ids = {one.evidence[SOURCE_ID] for one in (fresh, proven) if SOURCE_ID in one.evidence}
    is_standing = "lost_map" not in fresh.evidence and FORMER_TOPIC not in {*fresh.evidence, *proven.evidence}
    return is_same and len(source_ids) < 2 and is_standing and fresh.target_partition == proven.target_partition


def _again_since(fresh: Translation, proven: Translation) -> int | None:
    """Return at most how many records were stored again since the proof; None when that is not known."""
    found = fresh.evidence.get(STORED_AGAIN, 0)
    known = proven.evidence.get(STORED_AGAIN, 0)
    return max(0, found - known) if isinstance(found, int) and isinstance(known, int) else None
