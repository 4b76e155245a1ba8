"""A restore: looked at, planned, applied, and gone on with where an earlier run of it was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

from replicator.clock import Clock, Deadline
from replicator.errors import DataCorrupt, OperationHalted, PreflightBlocked
from replicator.kafka import KafkaCluster
from replicator.log import get_logger
from replicator.model.acls import Permission
from replicator.model.archive.restores import (
    DriftPolicy,
    OffsetRule,
    RestoreAction,
    RestoredTopic,
    RestorePlan,
    RestoreReport,
    TopicRestorePlan,
)
from replicator.model.archive.snapshots import CapturedTopic, Manifest
from replicator.model.cluster import TopicSpec
from replicator.model.names import SnapshotId, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot.keeping.claims import claimed_if_allowed
from replicator.snapshot.progress import Progress, Report, Stage, say_nothing
from replicator.snapshot.repository import Repository
from replicator.snapshot.restore.asking import Asker, RestoreRequest
from replicator.snapshot.restore.batches import ReadyBatch
from replicator.snapshot.restore.comparing import skip_found
from replicator.snapshot.restore.exact import ExactHand, ExactLine
from replicator.snapshot.restore.feeding import ChunkLoader, PartitionFeed, Source, interleave
from replicator.snapshot.restore.narrowing import narrow
from replicator.wire import RawClient
from replicator.wire.appending import Appender
from replicator.wire.committing import commit_with_metadata

LOADERS = 2


@dataclass(slots=True)
class _Line:
    """One partition on its way: its remaining batches, where the target ends, what was found and written."""

    topic: TopicRestorePlan
    partition: TopicPartition
    ready: Iterator[ReadyBatch]
    expected_records: int
    ends: PartitionEnds
    found_records: int = 0
    written_records: int = 0
    rebuilt_batches: int = 0


Line = _Line | ExactLine


class Restorer:
    """Restores one snapshot of a repository to one cluster."""

    def __init__(
        self,
        cluster: KafkaCluster,
        raw: RawClient,
        repository: Repository,
        *,
        clock: Clock,
        deadline: Deadline,
        report: Report = say_nothing,
    ) -> None:
        self._cluster = cluster
        self._raw = raw
        self._repository = repository
        self._clock = clock
        self._deadline = deadline
        self._report = report

    def plan(self, snapshot_id: SnapshotId, request: RestoreRequest) -> RestorePlan:
        """Return what `apply` would do, having asked the target and changed nothing.

        Raises: NotFound, UsageError, DataCorrupt for the snapshot; WrongCluster, Unreachable, AccessDenied.
        """
        asker = Asker(
            self._cluster, self._raw, self._repository, clock=self._clock, deadline=self._deadline, report=self._report
        )
        return asker.plan(snapshot_id, request)

    def apply(self, plan: RestorePlan) -> RestoreReport:
        """Every record of the plan is on the target once, in order, under the captured settings.

        A topic that is complete already is left alone; one that an earlier run left half done is gone on with.
        Raises: PreflightBlocked before anything was changed; DataCorrupt and OperationHalted midway: run it again.
        """
        begun = self._clock.monotonic()
        if plan.refusals:
            raise PreflightBlocked(
                f"cluster {plan.cluster}: {plan.refusals[0]}",
                detail="\n".join(plan.refusals),
                hint="restore under another name with --rename OLD=NEW, or delete the topic first",
            )
        with claimed_if_allowed(self._repository, clock=self._clock) as claim:
            on_step = (lambda: None) if claim is None else claim.renew_if_old
            return self._apply(plan, on_step, begun=begun)

    def _apply(self, plan: RestorePlan, on_step: Callable[[], None], *, begun: float) -> RestoreReport:
        manifest = self._repository.read_manifest(plan.snapshot)
        manifest = narrow(manifest, {topic.source: topic.stops for topic in plan.topics}, self._repository.read_chunk)
        captured = {topic.name: topic for topic in manifest.topics}
        self._check_packs(manifest, [captured[topic.source] for topic in plan.topics])
        with ThreadPoolExecutor(LOADERS, "snapshot-chunks") as executor:
            loader = ChunkLoader(self._repository, executor)
            if plan.offsets is OffsetRule.EXACT:
                lines, written_bytes = self._restore_exactly(plan, captured, loader, on_step)
            else:
                lines, written_bytes = self._restore_packed(plan, captured, loader, on_step)
        self._let_go(plan)
        self._commit_groups(plan)
        self._grant(plan)
        report = self._sum_up(plan, lines, written_bytes, self._clock.monotonic() - begun)
        get_logger().info(
            "snapshot_restored", snapshot=plan.snapshot, cluster=plan.cluster, records=report.written_records
        )
        return report

    def _restore_packed(
        self,
        plan: RestorePlan,
        captured: Mapping[TopicName, CapturedTopic],
        loader: ChunkLoader,
        on_step: Callable[[], None],
    ) -> tuple[list[Line], int]:
        """Every record stands behind the one before it, proven by count; return the lines and the bytes written."""
        lines = self._compare(plan, captured, loader, on_step)
        self._prepare_topics(plan)
        lines += self._open_lines(plan, captured, loader, on_step)
        written_bytes = self._write(lines, on_step)
        self._settle(plan, lines)
        return list(lines), written_bytes

    def _restore_exactly(
        self,
        plan: RestorePlan,
        captured: Mapping[TopicName, CapturedTopic],
        loader: ChunkLoader,
        on_step: Callable[[], None],
    ) -> tuple[list[Line], int]:
        """Every record stands at its offset, read back; return the lines and the bytes written."""
        hand = ExactHand(
            self._cluster,
            self._raw,
            loader,
            clock=self._clock,
            deadline=self._deadline,
            report=self._report,
            on_step=on_step,
        )
        full = [topic for topic in plan.topics if topic.action is RestoreAction.COMPARE]
        lines = [line for topic in full for line in hand.compare(topic, captured[topic.source])]
        self._prepare_topics(plan)
        rest = [(topic, captured[topic.source]) for topic in plan.topics if topic not in full]
        written, written_bytes = hand.write(plan, rest)
        return [*lines, *written], written_bytes

    def _check_packs(self, manifest: Manifest, topics: Sequence[CapturedTopic]) -> None:
        """Return if every pack that is needed is there in full length: half a snapshot is not begun with."""
        there = self._repository.list_packs()
        needed = {chunk.pack for topic in topics for partition in topic.partitions for chunk in partition.chunks}
        bad = sorted(pack for pack in needed if there.get(pack) != manifest.pack_sizes[pack])
        if bad:
            raise DataCorrupt(
                f"snapshot {manifest.id}: {len(bad)} of {len(needed)} packs are missing or cut short, such as {bad[0]}",
                hint=f"replicator snapshot verify {manifest.id}",
            )

    def _compare(
        self,
        plan: RestorePlan,
        captured: Mapping[TopicName, CapturedTopic],
        loader: ChunkLoader,
        on_step: Callable[[], None],
    ) -> list[_Line]:
        """Prove that full topics hold the snapshot already. Raises: PreflightBlocked when one does not."""
        lines = []
        for topic in plan.topics:
            if topic.action is RestoreAction.COMPARE:
                for line in self._make_lines(topic, captured[topic.source], loader):
                    if not self._skip_found(line, on_step) or next(line.ready, None) is not None:
                        raise PreflightBlocked(
                            f"cluster {plan.cluster}: topic {topic.target} is not empty",
                            hint="restore under another name with --rename OLD=NEW, or delete the topic first",
                        )
                    lines.append(line)
        return lines

    def _prepare_topics(self, plan: RestorePlan) -> None:
        """Every target topic exists and holds on to whatever is written to it."""
        made = [topic for topic in plan.topics if topic.action is RestoreAction.CREATE]
        specs = [
            TopicSpec(
                name=topic.target,
                partitions=topic.partitions,
                replication_factor=topic.replication_factor,
                configs=topic.settings,
            )
            for topic in made
        ]
        created = self._cluster.topics.create(specs, self._deadline) if specs else set()
        if late := sorted({topic.target for topic in made} - created):
            raise PreflightBlocked(
                f"cluster {plan.cluster}: topic {late[0]} was made by somebody else meanwhile",
                hint="run the same command again: it looks anew",
            )
        for topic in plan.topics:
            if topic.action is RestoreAction.FILL:
                self._cluster.topics.alter_configs(topic.target, topic.settings, self._deadline)

    def _open_lines(
        self,
        plan: RestorePlan,
        captured: Mapping[TopicName, CapturedTopic],
        loader: ChunkLoader,
        on_step: Callable[[], None],
    ) -> list[_Line]:
        lines = [
            line
            for topic in plan.topics
            if topic.action is not RestoreAction.COMPARE
            for line in self._make_lines(topic, captured[topic.source], loader)
        ]
        for line in lines:
            if line.ends.end > line.ends.log_start and not self._skip_found(line, on_step):
                raise OperationHalted(
                    f"cluster {plan.cluster}: {line.partition} holds something else than the beginning of the snapshot",
                    hint=f"somebody wrote to it; delete topic {line.partition.topic} there and run again",
                )
        return lines

    def _make_lines(self, topic: TopicRestorePlan, captured: CapturedTopic, loader: ChunkLoader) -> list[_Line]:
        partitions = [TopicPartition(topic.target, partition.partition) for partition in captured.partitions]
        ends = self._raw.read_ends(partitions, deadline=self._deadline)
        return [
            _Line(
                topic=topic,
                partition=target,
                ready=iter(PartitionFeed(Source(partition, target), loader)),
                expected_records=partition.records,
                ends=ends[target],
            )
            for partition, target in zip(captured.partitions, partitions, strict=True)
        ]

    def _skip_found(self, line: _Line, on_step: Callable[[], None]) -> bool:
        def tell() -> None:
            on_step()
            self._report(Progress(stage=Stage.COMPARE))

        tell()
        found = skip_found(self._raw, line.partition, line.ends, line.ready, deadline=self._deadline, on_step=tell)
        line.found_records = found or 0
        return found is not None

    def _write(self, lines: Sequence[_Line], on_step: Callable[[], None]) -> int:
        """Append what is missing; return the bytes written."""
        open_lines = [line for line in lines if line.found_records < line.expected_records]
        if not open_lines:
            return 0
        total = sum(line.expected_records - line.found_records for line in open_lines)
        identity = self._raw.init_producer_id(deadline=self._deadline)
        ends = {line.partition: line.ends.end for line in open_lines}
        done = 0
        with closing(Appender(self._raw, identity, next_offsets=ends, clock=self._clock)) as appender:
            for index, ready in interleave([line.ready for line in open_lines]):
                line = open_lines[index]
                appender.append(line.partition, ready.make, record_count=ready.record_count, deadline=self._deadline)
                line.written_records += ready.record_count
                line.rebuilt_batches += ready.origin is None
                done += ready.record_count
                on_step()
                self._report(Progress(stage=Stage.RESTORE, done=done, total=total, done_bytes=appender.appended_bytes))
            appender.flush(deadline=self._deadline)
            return appender.appended_bytes

    def _settle(self, plan: RestorePlan, lines: Sequence[_Line]) -> None:
        """Prove the counts."""
        self._report(Progress(stage=Stage.SETTLE))
        fresh = [line for line in lines if line.topic.action is not RestoreAction.COMPARE]
        ends = self._raw.read_ends([line.partition for line in fresh], deadline=self._deadline) if fresh else {}
        for line in fresh:
            held = ends[line.partition].end - line.ends.log_start
            wanted = line.expected_records
            if held != wanted or line.found_records + line.written_records != wanted:
                raise OperationHalted(
                    f"cluster {plan.cluster}: {line.partition} holds {held} records, {wanted} were captured",
                    hint="stop its other writers, delete the topic there and restore again",
                )

    def _let_go(self, plan: RestorePlan) -> None:
        """The captured settings are in force; a topic's mark goes with the same change."""
        for topic in plan.topics:
            if topic.action is not RestoreAction.COMPARE:
                self._cluster.topics.alter_configs(topic.target, topic.final_settings, self._deadline)

    def _commit_groups(self, plan: RestorePlan) -> None:
        """Every planned group stands at its place, read back; one that stood there already is left alone."""
        for group in plan.groups:
            places = {TopicPartition(t, n): at for t, found in group.offsets.items() for n, at in found.items()}
            self._cluster.groups.commit(group.group, places, self._deadline)
            texts = {TopicPartition(t, n): text for t, found in group.metadata.items() for n, text in found.items()}
            with_text = {tp: (places[tp], text) for tp, text in texts.items()}
            commit_with_metadata(self._raw, group.group, with_text, deadline=self._deadline)

    def _grant(self, plan: RestorePlan) -> None:
        """The captured access rules stand, denials first, where that was asked for."""
        access = plan.access
        if access is not None and access.policy is DriftPolicy.APPLY:
            for permission in (Permission.DENY, Permission.ALLOW):
                rules = [rule for rule in access.missing if rule.permission is permission]
                self._cluster.acls.create(rules, self._deadline)

    def _sum_up(self, plan: RestorePlan, lines: Sequence[Line], written_bytes: int, seconds: float) -> RestoreReport:
        topics = []
        for topic in plan.topics:
            own = [line for line in lines if line.topic is topic]
            topics.append(
                RestoredTopic(
                    source=topic.source,
                    target=topic.target,
                    action=topic.action,
                    partitions=topic.partitions,
                    records=sum(line.found_records + line.written_records for line in own),
                    found_records=sum(line.found_records for line in own),
                    rebuilt_batches=sum(line.rebuilt_batches for line in own),
                )
            )
        return RestoreReport(
            snapshot=plan.snapshot,
            cluster=plan.cluster,
            topics=tuple(topics),
            groups=tuple(group.group for group in plan.groups),
            records=sum(topic.records for topic in topics),
            written_records=sum(line.written_records for line in lines),
            written_bytes=written_bytes,
            seconds=seconds,
            warnings=plan.warnings,
            offsets=plan.offsets,
            granted_rules=len(plan.access.missing) if plan.access and plan.access.policy is DriftPolicy.APPLY else 0,
            filled_offsets=sum(line.filled_offsets for line in lines if isinstance(line, ExactLine)),
        )


def restore_snapshot(
    cluster: KafkaCluster,
    raw: RawClient,
    repository: Repository,
    snapshot_id: SnapshotId,
    request: RestoreRequest,
    *,
    clock: Clock,
    deadline: Deadline,
    report: Report = say_nothing,
) -> RestoreReport:
    """The snapshot's topics are on the cluster; see Restorer.plan and Restorer.apply."""
    restorer = Restorer(cluster, raw, repository, clock=clock, deadline=deadline, report=report)
    return restorer.apply(restorer.plan(snapshot_id, request))
