"""What changed between two snapshots of a cluster: topics, offsets, settings, groups. Pure but for two state reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replicator.errors import WrongCluster
from replicator.model.archive.diffs import Change, PartitionDiff, SnapshotDiff, TopicDiff
from replicator.model.archive.snapshots import CapturedPartition, CapturedTopic, Manifest
from replicator.snapshot.repository import Repository

Settings = Mapping[str, Mapping[str, str]]


def diff_snapshots(repository: Repository, old: Manifest, new: Manifest) -> SnapshotDiff:
    """Return what is different in `new`.

    Raises: WrongCluster when they are of two clusters: their offsets say nothing of each other. NotFound and
        DataCorrupt for their states.
    """
    if old.cluster.id != new.cluster.id:
        raise WrongCluster(
            f"snapshot {old.id} is of cluster {old.cluster.name} ({old.cluster.id}), {new.id} of "
            f"{new.cluster.name} ({new.cluster.id}): their offsets cannot be compared",
            hint="name two snapshots of one cluster: replicator snapshot list",
        )
    before, after = ({topic.name: topic for topic in one.topics} for one in (old, new))
    settings_before, settings_after = (_settings_of(repository, one) for one in (old, new))
    topics = []
    for name in sorted(before.keys() | after.keys()):
        settings = tuple(_changed(settings_before.get(name, {}), settings_after.get(name, {})))
        topics.append(_diff_topic(name, before.get(name), after.get(name), settings))
    groups = tuple(_changed(_positions_of(repository, old), _positions_of(repository, new)))
    return SnapshotDiff(old=old.id, new=new.id, topics=tuple(t for t in topics if t.is_changed), groups=groups)


def _settings_of(repository: Repository, manifest: Manifest) -> Settings:
    found: Settings = repository.read_state(manifest, "configs").get("topics", {})
    return found


def _positions_of(repository: Repository, manifest: Manifest) -> dict[str, str]:
    """Return each group's position as text, by `group topic[partition]`."""
    rows: list[dict[str, Any]] = repository.read_state(manifest, "groups").get("groups", [])
    return {
        f"{row['group']} {topic}[{partition}]": str(offset)
        for row in rows
        for topic, partition, offset in row["offsets"]
    }


def _diff_topic(
    name: str, old: CapturedTopic | None, new: CapturedTopic | None, settings: tuple[Change, ...]
) -> TopicDiff:
    change = _change_of(old, new)
    pairs = _pair(None if change == "made anew" else old, new)
    found = (_diff_partition(number, *pairs[number]) for number in sorted(pairs))
    return TopicDiff(
        topic=name, change=change, settings=settings, partitions=tuple(one for one in found if one is not None)
    )


def _change_of(old: CapturedTopic | None, new: CapturedTopic | None) -> str:
    if old is None or new is None:
        return "added" if old is None else "removed"
    return "same" if old.topic_id == new.topic_id else "made anew"


def _pair(
    old: CapturedTopic | None, new: CapturedTopic | None
) -> dict[int, tuple[CapturedPartition | None, CapturedPartition | None]]:
    left = {p.partition: p for p in old.partitions} if old is not None else {}
    right = {p.partition: p for p in new.partitions} if new is not None else {}
    return {number: (left.get(number), right.get(number)) for number in left.keys() | right.keys()}


def _diff_partition(number: int, old: CapturedPartition | None, new: CapturedPartition | None) -> PartitionDiff | None:
    edges = [(None, None) if one is None else (one.start, one.end) for one in (old, new)]
    if edges[0] == edges[1]:
        return None
    (old_start, old_end), (new_start, new_end) = edges
    return PartitionDiff(
        partition=number,
        old_start=old_start,
        old_end=old_end,
        new_start=new_start,
        new_end=new_end,
        is_shortened=old_end is not None and new_end is not None and new_end < old_end,
    )


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Change]:
    for key in sorted(old.keys() | new.keys()):
        if old.get(key) != new.get(key):
            yield Change(key=key, old=old.get(key), new=new.get(key))
