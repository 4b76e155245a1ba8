"""A snapshot taken: the survey, the bytes, and last the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replicator import __version__
from replicator.clock import Clock, Deadline
from replicator.kafka import KafkaCluster
from replicator.log import get_logger
from replicator.model.archive.snapshots import (
    CapturedCluster,
    CapturedPartition,
    CapturedTopic,
    Chunk,
    Consistency,
    Manifest,
    MissingTopic,
    NotCaptured,
    Totals,
)
from replicator.model.cluster import TopicDescription
from replicator.model.flow import Selection
from replicator.model.names import FlowName, TopicName, TopicPartition
from replicator.snapshot.capture.copying import CopiedPartition, copy_partitions
from replicator.snapshot.capture.cutting import weigh_consistency
from replicator.snapshot.capture.increments import Base, PartitionPlan
from replicator.snapshot.capture.packing import Compression, PackWriter, Place
from replicator.snapshot.capture.states import find_positions_ahead, groups_to_json
from replicator.snapshot.capture.surroundings import NEVER_CAPTURED, MirrorSource, ReadSchemas, mirror_to_json
from replicator.snapshot.capture.survey import (
    Survey,
    end_survey,
    find_bases,
    is_compacted,
    plan_copying,
    survey_cluster,
)
from replicator.snapshot.capture.throttle import Throttle
from replicator.snapshot.capture.unfinished import NoteTaker, Unfinished, find_unfinished
from replicator.snapshot.keeping.claims import Claim, Purpose, claimed
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.repository import Repository, new_snapshot_id
from replicator.wire import RawClient

TOOL = f"replicator {__version__}"
SURVEY_SECONDS = 120.0
"""Asking takes no longer, however long copying may: a dead cluster is told soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotRequest:
    """What to capture. `topics` are names on the cluster that is read; internal topics are never meant.

    `mirror` tells how far the flow is that fills the cluster, so that the cut maps back to source offsets.
    `bytes_per_second` bounds how fast the cluster is read; None: as fast as it goes. `is_quiescent` pauses the flow
    for the cut. `read_schemas` asks the cluster's registry for all it holds; None: it has none that is known.
    """

    topics: Selection = Selection()
    groups: Selection = Selection()
    flow: FlowName | None = None
    mirror: MirrorSource | None = None
    tags: tuple[str, ...] = ()
    compression: Compression = Compression.AUTO
    bytes_per_second: int | None = None
    is_quiescent: bool = False
    read_schemas: ReadSchemas | None = None


def create_snapshot(
    cluster: KafkaCluster,
    raw: RawClient,
    repository: Repository,
    request: SnapshotRequest,
    *,
    clock: Clock,
    deadline: Deadline,
    report: Report = say_nothing,
) -> Manifest:
    """A snapshot of the selected topics exists; return its manifest.

    Nothing is visible before everything it names is durable. What could not be captured is in `missing`
    and in gaps, never left out silently.

    Raises: NotFound when no topic matches; WrongCluster; Unreachable; AccessDenied; DataCorrupt when a
    broker sends a batch that does not match its CRC; PreflightBlocked while the repository is cleared out,
    or when it is not encrypted as configured; AccessDenied without its key;
    the store's errors.
    """
    with claimed(repository, Purpose.USE, clock=clock) as claim:

        def tell(progress: Progress) -> None:
            claim.renew_if_old()
            report(progress)

        return _create(cluster, raw, repository, request, claim=claim, clock=clock, deadline=deadline, report=tell)


def _create(
    cluster: KafkaCluster,
    raw: RawClient,
    repository: Repository,
    request: SnapshotRequest,
    *,
    claim: Claim,
    clock: Clock,
    deadline: Deadline,
    report: Report,
) -> Manifest:
    throttle = Throttle(request.bytes_per_second, clock=clock)
    report(Progress(stage=Stage.SURVEY))
    soon = Deadline.after(deadline.capped(SURVEY_SECONDS), clock=clock)
    survey = survey_cluster(
        cluster,
        raw,
        topics=request.topics,
        groups=request.groups,
        mirror=request.mirror,
        read_schemas=request.read_schemas,
        is_quiescent=request.is_quiescent,
        clock=clock,
        deadline=soon,
    )
    repository.vault.make_topic_keys(survey.topics)
    bases, warnings = find_bases(repository, survey)
    unfinished = find_unfinished(repository, survey)
    plans = unfinished.shorten(plan_copying(survey, bases))
    known = _known_chunks(bases, plans)
    notes = NoteTaker(repository, survey, plans, {**_base_sizes(bases), **unfinished.pack_sizes})
    writer = PackWriter(repository, known, request.compression, tell=notes.take)
    try:
        copied = copy_partitions(raw, plans, writer, throttle=throttle, clock=clock, deadline=deadline, report=report)
        report(Progress(stage=Stage.STORE))
        writer.finish()
    finally:
        writer.close()
    missing = _find_missing(cluster, survey.topics, copied, deadline)
    survey = end_survey(survey, request.mirror, deadline=deadline)
    topics = _assemble_topics(survey, copied, writer, {topic.name for topic in missing}, repository)
    manifest = _write_manifest(
        cluster,
        repository,
        request,
        survey=survey,
        bases=bases,
        unfinished=unfinished,
        topics=topics,
        missing=missing,
        writer=writer,
        warnings=[*warnings, *unfinished.warnings],
        clock=clock,
    )
    report(Progress(stage=Stage.PUBLISH))
    claim.confirm()
    repository.publish(manifest)
    unfinished.forget(manifest, own=notes.keys)
    get_logger().info("snapshot_published", snapshot=manifest.id, cluster=cluster.name, records=manifest.totals.records)
    return manifest


def _write_manifest(
    cluster: KafkaCluster,
    repository: Repository,
    request: SnapshotRequest,
    *,
    survey: Survey,
    bases: Mapping[str, Base],
    unfinished: Unfinished,
    topics: tuple[CapturedTopic, ...],
    missing: tuple[MissingTopic, ...],
    writer: PackWriter,
    warnings: Sequence[str],
    clock: Clock,
) -> Manifest:
    ends = {TopicPartition(t.name, p.partition): p.end for t in topics for p in t.partitions}
    used = {topic.topic_id for topic in topics}
    parents = [base.snapshot_id for topic_id, base in bases.items() if topic_id in used and base.pack_sizes]
    return Manifest(
        id=new_snapshot_id(survey.cut.at),
        repository=repository.id,
        parent=max(parents, default=None),
        created_at=clock.now(),
        tool=TOOL,
        tags=request.tags,
        cluster=CapturedCluster(name=cluster.name, id=survey.identity.cluster_id, brokers=len(survey.identity.brokers)),
        flow=request.flow,
        include=request.topics.include,
        exclude=request.topics.exclude,
        consistency=_weigh(survey, request, topics, clock),
        states=_put_states(repository, topics, survey, request.mirror),
        topics=topics,
        pack_sizes=_pack_sizes(topics, {**_base_sizes(bases), **unfinished.pack_sizes, **writer.pack_sizes}),
        missing=missing,
        warnings=(*warnings, *survey.stillness.warnings, *find_positions_ahead(survey.groups, ends)),
        not_captured=_list_not_captured(survey),
        totals=_sum_up(topics, writer),
        encryption=repository.vault.key,
    )


def _weigh(survey: Survey, request: SnapshotRequest, topics: Sequence[CapturedTopic], clock: Clock) -> Consistency:
    return weigh_consistency(
        survey.cut,
        topics,
        survey.groups,
        groups_read_at=survey.groups_read_at,
        finished_at=clock.now(),
        stillness=survey.stillness,
        mirrored=(survey.mirrored_before, survey.mirrored_after),
        delivery=None if request.mirror is None else request.mirror.delivery,
    )


def _known_chunks(bases: Mapping[str, Base], plans: Sequence[PartitionPlan]) -> dict[str, Place]:
    of_bases = [chunk for base in bases.values() for p in base.topic.partitions for chunk in p.chunks]
    kept = [chunk for plan in plans for chunk in plan.kept_chunks]
    return {chunk.stored.id: Place(chunk.stored, chunk.pack, chunk.offset) for chunk in [*kept, *of_bases]}


def _base_sizes(bases: Mapping[str, Base]) -> dict[str, int]:
    return {pack: size for base in bases.values() for pack, size in base.pack_sizes.items()}


def _find_missing(
    cluster: KafkaCluster,
    topics: Mapping[TopicName, TopicDescription],
    copied: Mapping[TopicPartition, CopiedPartition],
    deadline: Deadline,
) -> tuple[MissingTopic, ...]:
    """Topics that went or were made anew while they were read: what was read of them may be of two topics."""
    now = cluster.topics.describe(list(topics), deadline)
    gone = {tp.topic for tp, partition in copied.items() if partition.is_gone}
    missing = []
    for name, topic in topics.items():
        if name not in now:
            missing.append(MissingTopic(name=name, reason="deleted while it was read"))
        elif now[name].topic_id != topic.topic_id or name in gone:
            missing.append(MissingTopic(name=name, reason="made anew while it was read"))
    return tuple(missing)


def _assemble_topics(
    survey: Survey,
    copied: Mapping[TopicPartition, CopiedPartition],
    writer: PackWriter,
    left_out: set[TopicName],
    repository: Repository,
) -> tuple[CapturedTopic, ...]:
    return tuple(
        CapturedTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            replication_factor=topic.replication_factor,
            is_compacted=is_compacted(survey.settings[topic.name]),
            partitions=tuple(
                _assemble_partition(copied[TopicPartition(topic.name, p.partition)], writer)
                for p in sorted(topic.partitions, key=lambda described: described.partition)
            ),
            key=repository.vault.topic_key(topic.name),
        )
        for topic in survey.topics.values()
        if topic.name not in left_out
    )


def _assemble_partition(copied: CopiedPartition, writer: PackWriter) -> CapturedPartition:
    plan = copied.plan
    new = [
        Chunk(
            start=chunk.start,
            stop=chunk.stop,
            stored=(place := writer.place(chunk.ticket.result())).stored,
            pack=place.pack,
            offset=place.offset,
            facts=chunk.facts,
            aborted=chunk.aborted,
        )
        for chunk in copied.chunks
    ]
    newest = max(copied.chunks, key=lambda chunk: chunk.stop, default=None)
    return CapturedPartition(
        partition=plan.partition.partition,
        start=plan.start,
        end=plan.end,
        high_watermark=plan.high_watermark,
        leader_epoch=plan.leader_epoch if newest is None or newest.stop < plan.end else newest.leader_epoch,
        chunks=tuple(sorted([*plan.kept_chunks, *new], key=lambda chunk: chunk.start)),
        gaps=tuple(sorted([*plan.kept_gaps, *copied.gaps], key=lambda gap: gap.start)),
        left_out=plan.left_out,
    )


def _list_not_captured(survey: Survey) -> tuple[NotCaptured, ...]:
    groups = survey.groups_problem
    found = [
        *([] if groups is None else [NotCaptured(what="group_offsets", reason=f"no right: {groups}")]),
        *([] if survey.mirror_problem is None else [survey.mirror_problem]),
        *survey.surroundings.not_captured,
        *NEVER_CAPTURED,
    ]
    return tuple(sorted(found, key=lambda one: one.what))


def _put_states(
    repository: Repository, topics: Sequence[CapturedTopic], survey: Survey, mirror: MirrorSource | None
) -> dict[str, str]:
    names = [topic.name for topic in topics]
    configs = {name: dict(survey.own_settings[name]) for name in names}
    contents = {
        "configs": {"topics": configs},
        "groups": groups_to_json(survey.groups, names),
        **survey.surroundings.states,
    }
    if mirror is not None and survey.mirrored_before is not None and survey.mirrored_after is not None:
        contents["mirror"] = mirror_to_json(mirror, survey.mirrored_before, survey.mirrored_after)
    return {kind: repository.put_state(kind, content) for kind, content in contents.items()}


def _pack_sizes(topics: Sequence[CapturedTopic], known: Mapping[str, int]) -> dict[str, int]:
    used = {chunk.pack for topic in topics for partition in topic.partitions for chunk in partition.chunks}
    return {pack: known[pack] for pack in sorted(used)}


def _sum_up(topics: Sequence[CapturedTopic], writer: PackWriter) -> Totals:
    chunks = [chunk for topic in topics for partition in topic.partitions for chunk in partition.chunks]
    return Totals(
        records=sum(chunk.facts.records for chunk in chunks),
        bytes=sum(chunk.stored.plain_bytes for chunk in chunks),
        stored_bytes=sum(chunk.stored.stored_bytes for chunk in chunks),
        chunks=len(chunks),
        new_bytes=writer.new_bytes,
        new_stored_bytes=writer.new_stored_bytes,
        new_chunks=writer.new_chunks,
        new_packs=len(writer.pack_sizes),
    )
