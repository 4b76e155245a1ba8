"""What a snapshot promises of its cut, each promise with its evidence. Pure (FORMAT.md, Consistency)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from replicator.model.archive.consistency import Level, LevelEvidence
from replicator.model.archive.snapshots import CapturedTopic, Consistency
from replicator.model.flow import Delivery
from replicator.model.names import TopicPartition
from replicator.model.observations import GroupObservation
from replicator.snapshot.capture.cutting.quieting import Stillness
from replicator.snapshot.capture.cutting.sweeping import Cut

ATOMIC, PER_PARTITION = "atomic", "per_partition"


def weigh_consistency(
    cut: Cut,
    topics: Sequence[CapturedTopic],
    groups: Iterable[GroupObservation],
    *,
    groups_read_at: datetime,
    finished_at: datetime,
    stillness: Stillness,
    mirrored: tuple[Mapping[TopicPartition, int] | None, Mapping[TopicPartition, int] | None],
    delivery: Delivery | None,
) -> Consistency:
    """Return the levels that hold, the strongest of them, and what shows it.

    `mirrored` is how far the flow was before the cut and after it, None where that is not known.
    """
    evidence = (
        _weigh_prefix(topics),
        _weigh_skew(cut),
        _weigh_positions(topics, groups),
        _weigh_transactions(cut),
        _weigh_quiet(stillness, cut, mirrored, delivery),
    )
    strongest = [one.level for one in evidence if one.is_held and one.level in _RANKED]
    is_atomic = evidence[3].is_held
    return Consistency(
        level=max(strongest, key=_RANKED.index, default=Level.PREFIX).value,
        transactions=ATOMIC if is_atomic else PER_PARTITION,
        groups_read_at=groups_read_at,
        cut_at=cut.at,
        cut_skew_ms=cut.skew_ms,
        finished_at=finished_at,
        evidence=evidence,
    )


_RANKED = (Level.PREFIX, Level.TRANSACTION_ATOMIC, Level.QUIESCENT)


def _weigh_prefix(topics: Sequence[CapturedTopic]) -> LevelEvidence:
    count = sum(len(topic.partitions) for topic in topics)
    gaps = sum(topic.gap_count for topic in topics)
    lacking = "no gap" if not gaps else f"{gaps} gaps, listed"
    return LevelEvidence(Level.PREFIX, True, f"{count} partitions from log start to cut, {lacking}")


def _weigh_skew(cut: Cut) -> LevelEvidence:
    told = f"all ends read within {cut.skew_ms} ms, the whole sweep took {cut.sweep_ms} ms"
    return LevelEvidence(Level.BOUNDED_SKEW, True, told)


def _weigh_positions(topics: Sequence[CapturedTopic], groups: Iterable[GroupObservation]) -> LevelEvidence:
    ends = {TopicPartition(topic.name, p.partition): p.end for topic in topics for p in topic.partitions}
    held = [(offset, ends[tp]) for group in groups for tp, offset in group.committed.items() if tp in ends]
    ahead = sum(offset > end for offset, end in held)
    told = f"{len(held)} positions read before the cut, {ahead} beyond it"
    return LevelEvidence(Level.OFFSETS_NOT_AHEAD, not ahead, told)


def _weigh_transactions(cut: Cut) -> LevelEvidence:
    decided = cut.transactions
    if decided.problem is not None:
        return LevelEvidence(Level.TRANSACTION_ATOMIC, False, decided.problem)
    told = (
        f"two vectors of ends: {decided.taken} transactions on the edge are whole in it, {decided.refused} are in "
        "no partition; those of this cluster's producers (of a mirrored topic: MirrorMaker's, not its source's)"
    )
    return LevelEvidence(Level.TRANSACTION_ATOMIC, True, told)


def _weigh_quiet(
    stillness: Stillness,
    cut: Cut,
    mirrored: tuple[Mapping[TopicPartition, int] | None, Mapping[TopicPartition, int] | None],
    delivery: Delivery | None,
) -> LevelEvidence:
    notes = [] if stillness.is_wanted else ["not asked for: the flow went on"]
    notes += stillness.notes
    before, after = mirrored
    if stillness.is_held:
        notes += _doubt_map(before, after, delivery)
        moved = [tp for tp, ends in cut.ends.items() if ends.last_stable != ends.end]
        notes += [f"{moved[0]} ends at {cut.ends[moved[0]].end}, the cut is before that"] if moved else []
    if notes:
        return LevelEvidence(Level.QUIESCENT, False, "; ".join(notes))
    told = f"no write seen for {stillness.still_ms} ms with the flow paused, source map exact for {len(before or ())}"
    return LevelEvidence(Level.QUIESCENT, True, f"{told} partitions")


def _doubt_map(
    before: Mapping[TopicPartition, int] | None, after: Mapping[TopicPartition, int] | None, delivery: Delivery | None
) -> list[str]:
    """Return why the map to source offsets is not exact; nothing when it is."""
    if before is None or after is None:
        return ["how far the flow was could not be read"]
    if delivery is not Delivery.EXACTLY_ONCE:
        return ["the flow delivers at least once: records above its stored position may be there"]
    changed = [tp for tp in sorted(before.keys() | after.keys()) if before.get(tp) != after.get(tp)]
    return [f"the flow's position on {changed[0]} changed while it was paused"] if changed else []
