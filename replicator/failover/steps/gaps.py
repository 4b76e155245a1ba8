"""What the source deleted before it was mirrored: no drain brings that, and the standby is without it for ever.

    source   ┄┄┄┄┄┄┄┄┄┤ 40 log start ├──────── end     the flow stood at 10 when [10, 40) was deleted,
    copy     … 8 9 │ 40 41 …                           and reads on at 40

The source does not have these records any more either: moving leaves nothing behind. But a copy that lacks what was
written is not whole. A planned move says so before clients are kept from writing, and goes on only where the operator
accepts a loss by name; its account of the loss holds these offsets, as a failover's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from replicator.failover.tails import source_ends
from replicator.failover.world import READ_SECONDS, Override, World
from replicator.journal import Observations
from replicator.model.forms.figures import show_count, show_items
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import OvertakenSpan, PartitionEnds
from replicator.model.operations import Blocked, LossReport, PartitionLoss

ITEM = "gaps"
"""The survey's fact: where the standby was found to lack something."""
LISTED_MAX = 3
KEPT_MAX = 2_000
"""The journal keeps so many, the widest first; they are counted all."""


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Source offsets [start, stop) that were deleted before they were mirrored; nobody can count their records."""

    partition: TopicPartition
    start: int
    stop: int

    @property
    def offsets(self) -> int:
        """How many records at most it held."""
        return self.stop - self.start


def find_gaps(
    noted: Iterable[Gap], ends: Mapping[TopicPartition, PartitionEnds], mirrored: Mapping[TopicPartition, int]
) -> tuple[Gap, ...]:
    """Return what of the partitions is on the standby neither now nor ever, each offset once.

    `noted` was seen before; of it counts what the flow has jumped over. Where its position is below the log start it
    is about to jump. A flow that went back brings what it can: what it is still to mirror is no gap.
    """
    found = [Gap(gap.partition, gap.start, min(gap.stop, mirrored.get(gap.partition, 0))) for gap in noted]
    found += [Gap(tp, at, ends[tp].log_start) for tp, at in mirrored.items() if tp in ends]
    return join_gaps(gap for gap in found if gap.partition in ends)


def join_gaps(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """Return the same offsets once each, in order; empty ones are left out."""
    joined: list[Gap] = []
    for gap in sorted(gap for gap in gaps if gap.offsets > 0):
        last = joined[-1] if joined else None
        if last is not None and last.partition == gap.partition and gap.start <= last.stop:
            joined[-1] = replace(last, stop=max(last.stop, gap.stop))
        else:
            joined.append(gap)
    return tuple(joined)


def gaps_of_spans(spans: Mapping[TopicName, Sequence[OvertakenSpan]]) -> list[Gap]:
    """Return what supervisors have noted."""
    return [
        Gap(TopicPartition(topic, span.partition), span.from_offset, span.to_offset)
        for topic, found in spans.items()
        for span in found
    ]


def read_gaps(world: World) -> tuple[Gap, ...]:
    """Return what the standby lacks, as far as supervisors have noted it within a day, the operation before, or the
    flow's positions tell now. A way home has just begun: there is nothing it could have missed."""
    if world.forward is not None:
        return ()
    fact = world.log.fact("survey", ITEM) if world.log is not None else None
    noted = gaps_from_fact(fact) if fact is not None else _read_noted(world)
    return find_gaps(noted, source_ends(world), world.read_mirrored())


def _read_noted(world: World) -> list[Gap]:
    observations = Observations(world.target, world.identity.topic_prefix)
    topics = observations.read(world.flow.name, world.deadline(READ_SECONDS)).topics
    return gaps_of_spans({name: seen.overtaken for name, seen in topics.items()})


def gaps_to_fact(gaps: Sequence[Gap]) -> dict[str, Any]:
    """Return the gaps as the journal keeps them."""
    widest = sorted(gaps, key=lambda gap: (-gap.offsets, gap))[:KEPT_MAX]
    rows = [[gap.partition.topic, gap.partition.partition, gap.start, gap.stop] for gap in sorted(widest)]
    return {"rows": rows, "offsets": count_offsets(gaps)}


def gaps_from_fact(fact: Mapping[str, Any]) -> list[Gap]:
    """Return the gaps that a fact keeps."""
    return [Gap(TopicPartition(TopicName(row[0]), row[1]), row[2], row[3]) for row in fact["rows"]]


def count_offsets(gaps: Iterable[Gap]) -> int:
    """Return how many records at most are missing."""
    return sum(gap.offsets for gap in gaps)


def find_gap_blocker(world: World, gaps: Sequence[Gap]) -> Blocked | None:
    """Return why a planned move must not go on with what the standby lacks, or None: nothing, or it was accepted."""
    if not gaps or world.choices.accepts(Override.LOSS):
        return None
    listed = ", ".join(f"{gap.partition} {gap.start}-{gap.stop - 1}" for gap in gaps[:LISTED_MAX])
    more = f" and {len(gaps) - LISTED_MAX} more" if len(gaps) > LISTED_MAX else ""
    go_on = f"replicator switchover {world.name} --confirm {world.name} --accept loss"
    return Blocked(
        f"{show_items(count_offsets(gaps), 'offset')} of {world.flow.source} went before the flow could mirror them "
        f"({listed}{more}): {world.flow.target} is without what they held, and so is {world.flow.source} now",
        f"a snapshot may have it: `replicator snapshot list`; `{go_on}` moves without it",
    )


def with_gaps(loss: LossReport, gaps: Sequence[Gap]) -> LossReport:
    """Return the loss with what was deleted first in its bound: none of it is known to be lost, all of it may be."""
    if not gaps or loss.possible_lost_max is None:
        return loss
    missing: dict[TopicPartition, int] = {}
    for gap in gaps:
        missing[gap.partition] = missing.get(gap.partition, 0) + gap.offsets
    rows = {row.partition: row for row in loss.partitions}
    for tp, offsets in missing.items():
        row = rows.get(tp) or PartitionLoss(
            partition=tp, mirrored_position=None, observed_end=None, known_lost=0, possible_lost_max=0
        )
        possible = None if row.possible_lost_max is None else row.possible_lost_max + offsets
        rows[tp] = replace(row, overtaken_offsets=offsets, possible_lost_max=possible)
    return replace(
        loss,
        possible_lost_max=loss.possible_lost_max + count_offsets(gaps),
        partitions=tuple(row for _, row in sorted(rows.items())),
        lost_seconds_max=None,
    )


def tell_gaps(gaps: Sequence[Gap]) -> str:
    """Return the gaps in a few words."""
    return f"{show_count(count_offsets(gaps))} offsets were deleted on the source before they were mirrored"
