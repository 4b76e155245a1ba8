"""`export_orphans`: what only the old active has is kept, as a topic beside it and as a snapshot in the store.

The records are read behind the last mirrored one and written, unaltered and in order, to `<topic>.orphans.<id>`
of the same cluster. With a store they are captured as a snapshot; without one the topic is the export.
Groups stand behind the tail on the way home: nobody is handed these records unasked.

On a compacted topic an orphan would be the latest value of its key. Each such key gets the new active's value
written behind it, or a tombstone where that has none; what changes there later comes home with the difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial

from replicator.errors import OperationFailed
from replicator.failover.engine.runbook import Step
from replicator.failover.failback.seams import Seam, orphan_count, read_seams
from replicator.failover.steps.report import EXPORT_STEP, KEPT_ITEM, SNAPSHOT_ITEM, lost_snapshot
from replicator.failover.world import ACT_SECONDS, READ_SECONDS, World
from replicator.kafka import KafkaCluster, Outgoing, Record, Writer
from replicator.model.cluster import TopicSpec
from replicator.model.names import TopicName, TopicPartition
from replicator.model.operations import Done, Finding, Ready

NAME = EXPORT_STEP
KEPT = KEPT_ITEM
SNAPSHOT = SNAPSHOT_ITEM
MENDING = "mending"
MENDED = "mended"
READ_AT_ONCE = 5_000


def check_exported(world: World) -> Finding:
    """Done when every orphan stands in a topic of its own and, where there is a store, in a snapshot."""
    seams = read_seams(world.log) if world.log is not None else None
    if seams is None:
        return Ready("what only the old active has is counted first")
    total = orphan_count(seams)
    if total == 0:
        return Done({"orphans": 0})
    kept = world.log.fact(NAME, KEPT) if world.log is not None else None
    if kept is None or kept["orphans"] != total:
        return Ready(f"{total} records that only {world.flow.target} has are to be kept")
    if world.log is not None and world.log.fact(NAME, MENDED) is None:
        return Ready("keys of compacted topics are to get the new active's values")
    if world.capture is not None and world.log is not None and world.log.fact(NAME, SNAPSHOT) is None:
        return Ready("they are to be captured as a snapshot")
    if (lost := lost_snapshot(world)) is not None:
        return Ready(f"their snapshot {lost} is gone from the store: they are to be captured again")
    snapshot = world.log.fact(NAME, SNAPSHOT) if world.log is not None else None
    return Done({"orphans": total, "topics": kept["topics"], "snapshot": snapshot["id"] if snapshot else None})


def quarantine_of(topic: TopicName, operation_id: str) -> TopicName:
    """Return the topic that keeps the orphans of `topic`; one too long for Kafka is cut."""
    return TopicName(f"{topic[: 240 - len(operation_id)]}.orphans.{operation_id}")


def do_export(world: World) -> None:
    """Keep every orphan; killed anywhere, the next try goes on behind what stands there already. What was kept and
    mended is not read again: the topic it came from may be made anew by now."""
    seams = [seam for seam in read_seams(world.logbook) or () if seam.orphans]
    kept = world.logbook.fact(NAME, KEPT)
    if kept is None or kept["orphans"] != orphan_count(seams) or world.logbook.fact(NAME, MENDED) is None:
        _keep_all(world, seams)
    if world.capture is not None:
        world.crashpoint(f"{NAME}.before_snapshot")
        world.logbook.require_lease()
        tags = (world.logbook.request.operation_id, f"epoch-{world.logbook.epoch}")
        names = tuple(TopicName(name) for name in (world.logbook.fact(NAME, KEPT) or {"topics": ()})["topics"])
        captured = world.capture(world.target, names, tags, partial(_require_still_ours, world))
        world.logbook.add_fact(NAME, SNAPSHOT, {"id": captured})


def _keep_all(world: World, seams: list[Seam]) -> None:
    """Leave every orphan in its quarantine topic, and none the latest value of its key where it came from."""
    topics = _quarantine_topics(world, seams)
    writer = world.target.writer("replicator.orphans", acks="all")
    try:
        for seam in seams:
            _keep(world, writer, seam, topics[seam.partition.topic])
            world.crashpoint(f"{NAME}.between_partitions")
    finally:
        writer.close()
    names = sorted(topics.values())
    world.logbook.add_fact(NAME, KEPT, {"orphans": orphan_count(seams), "topics": names})
    world.crashpoint(f"{NAME}.before_mending")
    _mend_compacted(world, seams, topics)


def _require_still_ours(world: World) -> None:
    """Return only while this holder may still make a snapshot visible: capturing takes its time."""
    world.crashpoint(f"{NAME}.before_publish")
    world.logbook.require_lease()


def _quarantine_topics(world: World, seams: list[Seam]) -> dict[TopicName, TopicName]:
    """Return the quarantine topic of each topic with orphans, made where it was missing."""
    operation_id = world.logbook.request.operation_id
    partitions: dict[TopicName, int] = defaultdict(int)
    for seam in seams:
        partitions[seam.partition.topic] = max(partitions[seam.partition.topic], seam.partition.partition + 1)
    found = {topic: quarantine_of(topic, operation_id) for topic in partitions}
    configs = {"retention.ms": "-1", "cleanup.policy": "delete"}
    specs = [TopicSpec(name=found[topic], partitions=count, configs=configs) for topic, count in partitions.items()]
    world.target.topics.create(specs, world.deadline(ACT_SECONDS))
    return found


def _keep(world: World, writer: Writer, seam: Seam, topic: TopicName) -> None:
    """Leave every orphan of one partition in its quarantine, in order, once each.

    Raises:
        OperationFailed: there are not as many as were counted.
    """
    kept = TopicPartition(topic, seam.partition.partition)
    skip = _kept_count(world, kept)
    seen, position = 0, seam.mirrored
    while position < seam.orphans_end:
        read = world.target.read_range(
            seam.partition,
            position,
            seam.orphans_end,
            deadline=world.deadline(READ_SECONDS),
            records_max=READ_AT_ONCE,
        )
        world.logbook.require_lease()
        for record in read.records[max(0, skip - seen) :]:
            writer.send(
                Outgoing(
                    topic,
                    record.key,
                    record.value,
                    partition=kept.partition,
                    headers=record.headers,
                    timestamp_ms=record.timestamp_ms,
                )
            )
        writer.flush(world.deadline(READ_SECONDS))
        seen += len(read.records)
        position = seam.orphans_end if read.is_complete else read.next_offset
    if seen != seam.orphans:
        raise OperationFailed(
            f"{seam.partition} on {world.flow.target}: {seen} records were read where {seam.orphans} were counted",
            hint="retention may have taken some: the same command counts anew",
        )


def _mend_compacted(world: World, seams: list[Seam], topics: Mapping[TopicName, TopicName]) -> None:
    """Leave no orphan the latest value of its key on a compacted topic; done twice it is the same."""
    configs = world.target.topics.configs(sorted(topics), world.deadline(ACT_SECONDS))
    compacted = {name for name, found in configs.items() if "compact" in (found["cleanup.policy"].value or "")}
    compacted -= world.choices.rebuild  # what is made anew needs no mending
    world.logbook.add_fact(NAME, MENDING, {"topics": sorted(compacted)})
    count = 0
    writer = world.target.writer("replicator.orphans", acks="all")
    try:
        for seam in seams:
            if seam.partition.topic in compacted:
                count += _mend(world, writer, seam, topics[seam.partition.topic])
    finally:
        writer.close()
    world.logbook.add_fact(NAME, MENDED, {"keys": count})


def _mend(world: World, writer: Writer, seam: Seam, kept: TopicName) -> int:
    """Write the new active's value of each orphaned key of one partition; return how many keys there are."""
    orphans = _read_all(world.target, TopicPartition(kept, seam.partition.partition), world)
    latest: dict[bytes, Record | None] = {record.key: None for record in orphans if record.key is not None}
    for record in _read_all(world.source, seam.partition, world):
        if record.key in latest:
            latest[record.key] = record
    world.logbook.require_lease()
    for key, standing in latest.items():
        writer.send(
            Outgoing(
                seam.partition.topic,
                key,
                None if standing is None else standing.value,
                partition=seam.partition.partition,
                headers=() if standing is None else standing.headers,
                timestamp_ms=None if standing is None else standing.timestamp_ms,
            )
        )
    writer.flush(world.deadline(READ_SECONDS))
    return len(latest)


def _read_all(cluster: KafkaCluster, tp: TopicPartition, world: World) -> Iterator[Record]:
    """Yield every visible record of a partition, some thousand at a time."""
    ends = cluster.positions.ends([tp], world.deadline(ACT_SECONDS))[tp]
    position = ends.log_start
    while position < ends.last_stable:
        deadline = world.deadline(READ_SECONDS)
        read = cluster.read_range(tp, position, ends.last_stable, deadline=deadline, records_max=READ_AT_ONCE)
        yield from read.records
        position = ends.last_stable if read.is_complete else read.next_offset


def _kept_count(world: World, kept: TopicPartition) -> int:
    ends = world.target.positions.ends([kept], world.deadline(ACT_SECONDS))[kept]
    return ends.end


def told_orphans(world: World) -> Mapping[str, int]:
    """Return how many orphans each partition has; those without are left out."""
    return {str(seam.partition): seam.orphans for seam in read_seams(world.logbook) or () if seam.orphans}


EXPORT_ORPHANS = Step(
    name=NAME,
    says="Export the orphan tail: what only the old active has is kept aside",
    check=check_exported,
    do=do_export,
    is_read_only=False,
    proof_seconds=ACT_SECONDS,
    kill_points=("between_partitions", "before_mending", "before_snapshot", "before_publish"),
)
