"""What is asked before a byte is read: topics, settings, groups, the cut, and what is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from replicator.clock import Clock, Deadline
from replicator.errors import DataCorrupt, NotFound, PreflightBlocked
from replicator.kafka import KafkaCluster
from replicator.model.archive.snapshots import CapturedPartition, CapturedTopic, Manifest, NotCaptured
from replicator.model.cluster import ClusterDescription, TopicDescription
from replicator.model.flow import ALWAYS_EXCLUDED_TOPICS, ORPHANS, Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import GroupObservation
from replicator.snapshot.capture.cutting import Cut, Stillness, end_still, hold_still, read_cut, wait_still
from replicator.snapshot.capture.increments import (
    Base,
    PartitionPlan,
    delete_retention_of,
    must_read_fully,
    plan_partition,
)
from replicator.snapshot.capture.states import effective_settings, own_settings, read_groups
from replicator.snapshot.capture.surroundings import (
    MirroredOffsets,
    MirrorSource,
    ReadSchemas,
    Surroundings,
    read_mirrored,
    read_surroundings,
)
from replicator.snapshot.repository import Repository
from replicator.wire import RawClient

LOOK_BACK_SNAPSHOTS = 50
_NEVER = Selection(include=ALWAYS_EXCLUDED_TOPICS)
_ONLY_BY_NAME = Selection(include=(ORPHANS,))
"""Orphans are captured where they are asked for by their whole name, as a failback does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All that is known before copying. `settings` are in force, `own_settings` set on the topics themselves.

    `mirrored_before` is how far the flow was before the cut, `mirrored_after` when everything had been read.
    """

    identity: ClusterDescription
    topics: Mapping[TopicName, TopicDescription]
    settings: Mapping[TopicName, Mapping[str, str]]
    own_settings: Mapping[TopicName, Mapping[str, str]]
    groups: tuple[GroupObservation, ...]
    groups_problem: str | None
    groups_read_at: datetime
    cut: Cut
    stillness: Stillness
    surroundings: Surroundings
    mirrored_before: MirroredOffsets | None = None
    mirrored_after: MirroredOffsets | None = None
    mirror_problem: NotCaptured | None = None


def survey_cluster(
    cluster: KafkaCluster,
    raw: RawClient,
    *,
    topics: Selection,
    groups: Selection,
    mirror: MirrorSource | None = None,
    read_schemas: ReadSchemas | None = None,
    is_quiescent: bool = False,
    clock: Clock,
    deadline: Deadline,
) -> Survey:
    """Return the survey; groups and the mirror are read before the cut, so that neither can be ahead of the data.

    Quiescent, the mirror is paused for these three and no longer.
    Raises: NotFound when no topic matches; WrongCluster; Unreachable; AccessDenied.
    """
    identity = cluster.verify_identity(deadline)
    chosen = _select_topics(cluster, topics, deadline)
    configs = cluster.topics.configs(list(chosen), deadline)
    partitions = [TopicPartition(t.name, p.partition) for t in chosen.values() for p in t.partitions]
    hold = None if mirror is None else mirror.hold
    with hold_still(hold, is_wanted=is_quiescent, deadline=deadline) as stillness:
        wait_still(stillness, raw, partitions, clock=clock, deadline=deadline)
        mirrored, mirror_problem = read_mirrored(mirror, deadline=deadline)
        groups_read_at = clock.now()
        found, problem = read_groups(cluster, raw, groups, deadline=deadline)
        cut = read_cut(raw, partitions, clock=clock, deadline=deadline)
        after = read_mirrored(mirror, deadline=deadline)[0] if stillness.is_held else None
        end_still(stillness, raw, partitions, clock=clock, deadline=deadline)
    brokers = [broker.id for broker in identity.brokers]
    return Survey(
        identity=identity,
        topics=chosen,
        settings={name: effective_settings(values) for name, values in configs.items()},
        own_settings=own_settings(configs),
        groups=found,
        groups_problem=problem,
        groups_read_at=groups_read_at,
        cut=cut,
        stillness=stillness,
        surroundings=read_surroundings(raw, brokers, read_schemas=read_schemas, deadline=deadline),
        mirrored_before=mirrored,
        mirrored_after=after if stillness.is_held else None,
        mirror_problem=mirror_problem,
    )


def end_survey(survey: Survey, mirror: MirrorSource | None, *, deadline: Deadline) -> Survey:
    """Return the survey with how far the mirror is now: no captured record lies at or above that.

    Where it was held still that is known already.
    """
    if mirror is None or survey.mirrored_before is None or survey.mirrored_after is not None:
        return survey
    mirrored, problem = read_mirrored(mirror, deadline=deadline)
    return replace(survey, mirrored_after=mirrored, mirror_problem=problem)


def _select_topics(
    cluster: KafkaCluster, selection: Selection, deadline: Deadline
) -> dict[TopicName, TopicDescription]:
    described = cluster.topics.list(deadline)
    chosen = {
        name: topic
        for name, topic in sorted(described.items())
        if selection.matches(name) and not _is_left_out(name, selection) and not topic.is_internal
    }
    if not chosen:
        raise NotFound(
            f"cluster {cluster.name}: no topic matches {', '.join(selection.include)}",
            hint="replicator snapshot create --topics 'GLOB'",
        )
    return chosen


def _is_left_out(name: TopicName, selection: Selection) -> bool:
    """Whether a topic is none of the data, whatever pattern selects it."""
    return _NEVER.matches(name) and not (name in selection.include and _ONLY_BY_NAME.matches(name))


def find_bases(repository: Repository, survey: Survey) -> tuple[dict[str, Base], list[str]]:
    """Return, per topic id, the newest snapshot of this cluster that holds it under the key of today, less the chunks
    whose packs are gone; and a warning for every manifest that could not be read, whose data is then read anew.
    """
    wanted = {topic.topic_id for topic in survey.topics.values()}
    bases: dict[str, Base] = {}
    warnings: list[str] = []
    packs: dict[str, int] | None = None
    for snapshot_id in reversed(repository.list_ids()[-LOOK_BACK_SNAPSHOTS:]):
        if wanted <= bases.keys():
            break
        try:
            manifest = repository.read_manifest(snapshot_id)
        except (DataCorrupt, PreflightBlocked) as exc:
            warnings.append(f"not built upon: {exc.message}")
            continue
        if manifest.cluster.id != survey.identity.cluster_id:
            continue
        packs = repository.list_packs() if packs is None else packs
        for topic in manifest.topics:
            is_open = topic.key == repository.vault.topic_key(topic.name)
            if topic.topic_id in wanted and topic.topic_id not in bases and is_open:
                bases[topic.topic_id] = _to_base(manifest, topic, packs)
    return bases, warnings


def _to_base(manifest: Manifest, topic: CapturedTopic, packs: Mapping[str, int]) -> Base:
    def keep(partition: CapturedPartition) -> CapturedPartition:
        there = tuple(c for c in partition.chunks if packs.get(c.pack) == manifest.pack_sizes[c.pack])
        return replace(partition, chunks=there)

    usable = replace(topic, partitions=tuple(keep(partition) for partition in topic.partitions))
    sizes = {chunk.pack: packs[chunk.pack] for partition in usable.partitions for chunk in partition.chunks}
    return Base(manifest.id, manifest.consistency.cut_at, usable, sizes)


def plan_copying(survey: Survey, bases: Mapping[str, Base]) -> list[PartitionPlan]:
    """Return the plan of every partition, in the topics' order."""
    plans = []
    for topic in survey.topics.values():
        base = bases.get(topic.topic_id)
        is_full = base is not None and must_read_fully(
            base=base,
            now=survey.cut.at,
            is_compacted=is_compacted(survey.settings[topic.name]),
            delete_retention=delete_retention_of(survey.settings[topic.name]),
        )
        old = {} if base is None else {partition.partition: partition for partition in base.topic.partitions}
        for described in topic.partitions:
            tp = TopicPartition(topic.name, described.partition)
            plan = plan_partition(tp, survey.cut.ends[tp], base=old.get(described.partition), is_full=is_full)
            plans.append(replace(plan, left_out=survey.cut.left_out.get(tp, ())))
    return plans


def is_compacted(settings: Mapping[str, str]) -> bool:
    """Whether a topic's settings let the broker remove single records."""
    return "compact" in settings.get("cleanup.policy", "delete")
