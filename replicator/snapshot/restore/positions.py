"""Where groups go on after a restore: a restored partition holds the visible records back to back, so a group's
place is their number below its captured position, from the log start on. Exact, not estimated. Where records kept
their offsets, so do groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from replicator.model.archive.restores import GroupRestorePlan
from replicator.model.archive.snapshots import CapturedPartition, Manifest
from replicator.model.flow import Selection
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.snapshot.repository import Repository

Captured = Mapping[GroupName, Mapping[TopicPartition, int]]
"""Positions by group, on the names and offsets of the captured cluster."""
Left = Mapping[GroupName, Mapping[TopicPartition, str]]
"""Metadata by group, on the names of the captured cluster."""
Count = Callable[[CapturedPartition, int], int]


def read_positions(repository: Repository, manifest: Manifest, groups: Selection) -> Captured:
    """Return the captured positions of the selected groups. Raises: NotFound, DataCorrupt."""
    rows: list[dict[str, Any]] = repository.read_state(manifest, "groups").get("groups", [])
    return {
        GroupName(row["group"]): {TopicPartition(TopicName(t), int(p)): int(offset) for t, p, offset in row["offsets"]}
        for row in rows
        if groups.matches(row["group"])
    }


def read_metadata(repository: Repository, manifest: Manifest) -> Left:
    """Return what consumers had left with their positions, where they left anything."""
    rows: list[dict[str, Any]] = repository.read_state(manifest, "groups").get("groups", [])
    return {
        GroupName(row["group"]): {TopicPartition(TopicName(t), int(p)): str(text) for t, p, text in row["metadata"]}
        for row in rows
        if "metadata" in row
    }


def plan_positions(
    manifest: Manifest,
    captured: Captured,
    *,
    targets: Mapping[TopicName, TopicName],
    log_starts: Mapping[TopicPartition, int],
    there: Mapping[GroupName, GroupObservation],
    count: Count,
    left: Left = MappingProxyType({}),
    left_out: Collection[TopicPartition] = (),
) -> tuple[GroupRestorePlan, ...]:
    """Return for each group that stood on a restored topic where it would stand on the target.

    `log_starts` are those of target partitions that exist, `there` the groups as the target knows them, `count`
    tells the visible records of a captured partition below an offset, `left` the metadata of positions. Positions on
    `left_out` captured partitions are nobody's.
    """
    partitions = {TopicPartition(t.name, p.partition): p for t in manifest.topics for p in t.partitions}
    plans = []
    for group, positions in sorted(captured.items()):
        places: dict[TopicPartition, int] = {}
        for source, offset in positions.items():
            if source.topic in targets and source in partitions and source not in left_out:
                target = TopicPartition(targets[source.topic], source.partition)
                places[target] = log_starts.get(target, 0) + count(partitions[source], offset)
        if places:
            plan = _plan_group(group, places, there.get(group))
            plans.append(replace(plan, metadata=_rename(left.get(group, {}), targets, places)))
    return tuple(plans)


def hold_within(partition: CapturedPartition, offset: int) -> int:
    """Return a captured position on a partition restored at its offsets: the same, or the nearest one it holds."""
    return min(max(offset, partition.start), partition.end)


def _rename(
    left: Mapping[TopicPartition, str], targets: Mapping[TopicName, TopicName], places: Mapping[TopicPartition, int]
) -> dict[TopicName, dict[int, str]]:
    """Return metadata by target topic and partition, of positions that are set."""
    found: dict[TopicName, dict[int, str]] = defaultdict(dict)
    for source, text in sorted(left.items()):
        if source.topic in targets and TopicPartition(targets[source.topic], source.partition) in places:
            found[targets[source.topic]][source.partition] = text
    return dict(found)


def _plan_group(
    group: GroupName, places: Mapping[TopicPartition, int], there: GroupObservation | None
) -> GroupRestorePlan:
    offsets: dict[TopicName, dict[int, int]] = defaultdict(dict)
    for tp, place in sorted(places.items()):
        offsets[tp.topic][tp.partition] = place
    return GroupRestorePlan(group=group, offsets=dict(offsets), refusal=_refusal(group, places, there))


def _refusal(group: GroupName, places: Mapping[TopicPartition, int], there: GroupObservation | None) -> str | None:
    """Return why a group's positions may not be set: they are its own as soon as it has moved."""
    if there is None or there.state is GroupState.DEAD:
        return None
    if there.state is not GroupState.EMPTY:
        return f"group {group} is {there.state.value} there: its positions are its own"
    for tp, place in sorted(places.items()):
        stands = there.committed.get(tp)
        if stands is not None and stands != place:
            return f"group {group} stands at {tp} offset {stands} there already, it would be set to {place}"
    return None
