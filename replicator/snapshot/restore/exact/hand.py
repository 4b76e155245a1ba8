"""Partitions brought to the offsets they had: compared, burned up to their log start, written and filled, proven."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing

from replicator.clock import Clock, Deadline
from replicator.errors import OperationHalted, PreflightBlocked
from replicator.kafka import KafkaCluster
from replicator.model.archive.restores import RestorePlan, TopicRestorePlan
from replicator.model.archive.snapshots import CapturedTopic
from replicator.model.names import TopicPartition
from replicator.snapshot.progress import Progress, Report, Stage
from replicator.snapshot.restore.exact.comparing import follow_found
from replicator.snapshot.restore.exact.lines import ExactLine
from replicator.snapshot.restore.feeding import PARTITIONS_SIDE_BY_SIDE, ChunkLoader, PartitionFeed, Source
from replicator.wire import RawClient
from replicator.wire.appending import Appender
from replicator.wire.exact import FILLER_RECORDS_MAX, Hole, HoleFiller, encode_filler
from replicator.wire.format.records import ProducerStamp

PATIENCE_BATCHES = 64
"""So many batches of other partitions are appended before those that stand before a hole are served."""
SETTLE_SECONDS = 300.0
"""A transaction that a killed restore left open ends by itself sooner."""
ANEW = "stop its other writers, delete the topic there and restore again"


class ExactHand:
    """Restores partitions of one plan at their offsets. `on_step` is called after each batch, written or
    compared, and each transaction."""

    def __init__(
        self,
        cluster: KafkaCluster,
        raw: RawClient,
        loader: ChunkLoader,
        *,
        clock: Clock,
        deadline: Deadline,
        report: Report,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        self._cluster = cluster
        self._raw = raw
        self._loader = loader
        self._clock = clock
        self._deadline = deadline
        self._report = report
        self._on_step = on_step
        self._done = 0

    def make_lines(self, topic: TopicRestorePlan, captured: CapturedTopic) -> list[ExactLine]:
        """Return a line for each partition, from its beginning, with the target's ends as they are now."""
        partitions = [TopicPartition(topic.target, partition.partition) for partition in captured.partitions]
        ends = self._raw.read_ends(partitions, deadline=self._deadline)
        return [
            ExactLine(
                topic=topic,
                partition=target,
                captured=partition,
                ready=iter(PartitionFeed(Source(partition, target, is_exact=True), self._loader)),
                ends=ends[target],
            )
            for partition, target in zip(captured.partitions, partitions, strict=True)
        ]

    def compare(self, topic: TopicRestorePlan, captured: CapturedTopic) -> list[ExactLine]:
        """Prove that a full topic holds the snapshot at its offsets. Raises: PreflightBlocked when it does not."""
        lines = self.make_lines(topic, captured)
        for line in lines:
            self._report(Progress(stage=Stage.COMPARE))
            if not (self._is_ours(line) and line.is_done):
                raise PreflightBlocked(
                    f"cluster {self._cluster.name}: topic {topic.target} is not empty",
                    hint="restore under another name with --rename OLD=NEW, or delete the topic first",
                )
        return lines

    def write(
        self, plan: RestorePlan, topics: Sequence[tuple[TopicRestorePlan, CapturedTopic]]
    ) -> tuple[list[ExactLine], int]:
        """Every partition ends where it was captured to end, its records at their offsets; return the bytes written.

        Goes on where an earlier run was killed. Raises: OperationHalted when somebody else writes to one.
        """
        partitions = [TopicPartition(t.target, p.partition) for t, captured in topics for p in captured.partitions]
        if not partitions:
            return [], 0
        filler = HoleFiller(self._raw, name_transactions(plan), partitions=partitions, clock=self._clock)
        with closing(filler):
            soon = Deadline.after(self._deadline.capped(SETTLE_SECONDS), clock=self._clock)
            filler.begin(soon)
            filler.wait_until_settled(partitions, soon)
            lines = [line for topic, captured in topics for line in self.make_lines(topic, captured)]
            self._follow(lines)
            identity = self._raw.init_producer_id(deadline=self._deadline)
            ends = {line.partition: line.position for line in lines}
            with closing(Appender(self._raw, identity, next_offsets=ends, clock=self._clock)) as appender:
                self._burn(lines, appender)
                self._write_all(lines, appender, filler)
                appender.flush(deadline=self._deadline)
                written = appender.appended_bytes
            filler.wait_until_settled(partitions, self._deadline)
        self._prove([line for topic, captured in topics for line in self.make_lines(topic, captured)])
        return lines, written

    def _is_ours(self, line: ExactLine) -> bool:
        return follow_found(self._raw, line, deadline=self._deadline, on_step=self._on_step)

    def _follow(self, lines: Sequence[ExactLine]) -> None:
        for line in lines:
            self._report(Progress(stage=Stage.COMPARE))
            if not self._is_ours(line):
                raise OperationHalted(
                    f"cluster {self._cluster.name}: {line.partition} holds something else than the beginning of the "
                    "snapshot at its offsets",
                    hint=f"somebody wrote to it; delete topic {line.partition.topic} there and run again",
                )

    def _burn(self, lines: Sequence[ExactLine], appender: Appender) -> None:
        """The log of every partition starts where it was captured to start."""
        early = [line for line in lines if line.ends.log_start < line.captured.start]
        total = sum(line.captured.start - line.position for line in early)
        done = 0
        for line in early:
            while line.position < line.captured.start:
                count = min(FILLER_RECORDS_MAX, line.captured.start - line.position)
                appender.append(
                    line.partition, _filler_of(count, line.newest_ms), record_count=count, deadline=self._deadline
                )
                line.position += count
                line.filled_offsets += count
                done += count
                self._on_step()
                self._report(Progress(stage=Stage.RESTORE, done=done, total=total))
        appender.flush(deadline=self._deadline)
        if early:
            starts = {line.partition: line.captured.start for line in early}
            self._cluster.positions.delete_records(starts, self._deadline)

    def _write_all(self, lines: Sequence[ExactLine], appender: Appender, filler: HoleFiller) -> None:
        """Batches of several partitions in turn; those before a hole wait for others, then all holes are filled."""
        waiting = deque(line for line in lines if not line.is_done)
        total = sum(line.captured.records - line.found_records for line in waiting)
        active: deque[ExactLine] = deque()
        stuck: list[ExactLine] = []
        patience = PATIENCE_BATCHES
        while waiting or active or stuck:
            while waiting and len(active) + len(stuck) < PARTITIONS_SIDE_BY_SIDE:
                active.append(waiting.popleft())
            if stuck and (not active or patience <= 0):
                self._fill(stuck, appender, filler)
                active.extend(line for line in stuck if not line.is_done)
                stuck, patience = [], PATIENCE_BATCHES
                continue
            line = active.popleft()
            if line.position < line.next_offset:
                stuck.append(line)
                continue
            self._append(line, appender)
            patience -= 1
            self._report(
                Progress(stage=Stage.RESTORE, done=self._done, total=total, done_bytes=appender.appended_bytes)
            )
            if line.is_done:
                line.release()
            else:
                active.append(line)

    def _append(self, line: ExactLine, appender: Appender) -> None:
        ready = line.look()
        if ready is None:
            return
        appender.append(line.partition, ready.make, record_count=ready.record_count, deadline=self._deadline)
        line.take()
        line.written_records += ready.record_count
        line.rebuilt_batches += ready.origin is None
        self._done += ready.record_count
        self._on_step()

    def _fill(self, lines: Sequence[ExactLine], appender: Appender, filler: HoleFiller) -> None:
        appender.flush(deadline=self._deadline)
        holes = {line.partition: Hole(line.position, line.next_offset, line.newest_ms) for line in lines}
        filler.fill(holes, deadline=self._deadline)
        for line in lines:
            hole = holes[line.partition]
            line.filled_offsets += hole.stop - hole.start
            line.position = hole.stop
            appender.skip_to(line.partition, hole.stop)
        self._on_step()

    def _prove(self, lines: Sequence[ExactLine]) -> None:
        """Read everything back: log start, end and last stable offset, and every record at its offset."""
        for line in lines:
            self._report(Progress(stage=Stage.SETTLE))
            ends, captured = line.ends, line.captured
            found = (ends.log_start, ends.last_stable, ends.end)
            if found != (captured.start, captured.end, captured.end):
                raise OperationHalted(
                    f"cluster {self._cluster.name}: {line.partition}: log start, last stable offset and end are "
                    f"{found}, not {(captured.start, captured.end, captured.end)}",
                    hint=ANEW,
                )
            if not (self._is_ours(line) and line.is_done):
                raise OperationHalted(
                    f"cluster {self._cluster.name}: {line.partition} does not read back as the snapshot", hint=ANEW
                )


def name_transactions(plan: RestorePlan) -> str:
    """Return the transactional id of a restore: the same when it is run again, another for any other restore."""
    names = "/".join(sorted(f"{topic.source}={topic.target}" for topic in plan.topics))
    return f"replicator.restore.{plan.snapshot}.{hashlib.sha256(names.encode()).hexdigest()[:12]}"


def _filler_of(count: int, timestamp_ms: int) -> Callable[[ProducerStamp | None], bytes]:
    return lambda stamp: encode_filler(count, timestamp_ms=timestamp_ms, stamp=stamp, is_transactional=False)
