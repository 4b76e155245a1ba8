"""Asks both clusters of a flow what the gates of a failover need, and who has written the copies since last time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import NotFound, OperationFailed, ReplicatorError
from replicator.failover import Asking, MissingRight, Sides, ask_sides
from replicator.log import get_logger
from replicator.model.flow import Delivery
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import Reachability
from replicator.supervisor.assemble import FlowWorld, World
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.doctor.missing import find_missing_rights
from replicator.wire import RawClient, find_plain_batch

RIGHTS_SECONDS = 60.0
"""Rules change seldom: they are listed this often."""
STRANGER_SECONDS = 3600.0
"""For so long a stranger's record is told after it was seen."""
GROWN_MAX = 50
"""So many copies that grew are looked into at one look; the others' growth is passed over."""

FindPlain = Callable[[TopicPartition, int, int, Deadline], int | None]


class StrangerWatch:
    """Remembers how far the copies were looked into, and where somebody else has written. One thread at a time.

    What stands in a copy when it is first seen is nobody's fault: its cluster may have been the active one.
    """

    def __init__(self, find_plain: FindPlain) -> None:
        self._find_plain = find_plain
        self._looked_to: dict[TopicPartition, int] = {}
        self._found: dict[TopicPartition, datetime] = {}

    def forget(self) -> None:
        """Begin anew: applications write the copies, or did until now."""
        self._looked_to, self._found = {}, {}

    def look(
        self, ends: Mapping[TopicPartition, int], *, now: datetime, deadline: Deadline
    ) -> tuple[TopicPartition, ...]:
        """Return the copies that somebody else has written in the last hour, as far as was looked.

        Raises: what the cluster refused or failed with.
        """
        grown = [tp for tp, end in ends.items() if self._looked_to.get(tp, end) < end]
        for tp in sorted(grown)[:GROWN_MAX]:
            try:
                found = self._find_plain(tp, self._looked_to[tp], ends[tp], deadline)
            except (NotFound, OperationFailed):
                continue  # deleted, or cut below what was looked at: the next look begins at its end
            if found is not None:
                self._found[tp] = now
        self._looked_to = dict(ends)
        self._found = {tp: at for tp, at in self._found.items() if now - at < timedelta(seconds=STRANGER_SECONDS)}
        return tuple(sorted(self._found))


class SidesObserver:
    """Looks at both sides of one flow. One thread at a time."""

    def __init__(self, world: World, parts: FlowWorld, board: FlowBoard, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._world = world
        self._parts = parts
        self._board = board
        self._clock = clock
        self._raw: RawClient | None = None
        self._strangers = StrangerWatch(self._find_plain)
        self._rights_at: float | None = None
        self._rights: tuple[MissingRight, ...] | None = None
        self._log = get_logger(flow=parts.flow.name)

    @property
    def missing_rights(self) -> tuple[MissingRight, ...] | None:
        """What supervisor and MirrorMaker lack on both clusters; None while it is not known."""
        return self._rights

    def observe(self, deadline: Deadline) -> Sides:
        """Return both sides as they are now.

        Raises: what the target refused or failed with.
        """
        board, parts = self._board, self._parts
        source = board.source
        topics = sorted(source.topics) if source is not None else [seen.topic for seen in board.remembered_topics]
        is_answering = board.source_watch.observation.reachability is Reachability.REACHABLE
        mirrored = {} if board.mirrored is None else board.mirrored.positions
        asking = Asking(
            flow=parts.flow,
            source=parts.source if is_answering and board.source_watch.cause is None else None,
            target=parts.target,
            topics=topics,
            groups=sorted(board.groups.groups) if board.groups is not None else (),
            mirrored={tp: at for tp, at in mirrored.items() if parts.flow.carries_topic(tp.topic)},
            foreign_partitions=self._look_for_strangers(topics, deadline),
        )
        found = ask_sides(asking, clock=self._clock, deadline=deadline)
        self._read_rights(deadline)
        return found

    def _look_for_strangers(self, topics: list[TopicName], deadline: Deadline) -> tuple[TopicPartition, ...] | None:
        """Return the copies that somebody else writes; None where that cannot be told from their batches."""
        flow, target = self._parts.flow, self._parts.target
        is_standby = self._board.active != flow.target and self._board.operation_id is None
        if flow.delivery is not Delivery.EXACTLY_ONCE or not is_standby:
            self._strangers.forget()
            return None
        described = target.topics.describe([flow.remote_topic(topic) for topic in topics], deadline)
        partitions = [TopicPartition(name, p.partition) for name, t in described.items() for p in t.partitions]
        ends = target.positions.stable_ends(partitions, deadline)
        return self._strangers.look(ends, now=self._clock.now(), deadline=deadline)

    def _find_plain(self, tp: TopicPartition, start: int, stop: int, deadline: Deadline) -> int | None:
        if self._raw is None:
            self._raw = self._world.raw(self._parts.flow.target)
        return find_plain_batch(self._raw, tp, from_offset=start, to_offset=stop, deadline=deadline)

    def _read_rights(self, deadline: Deadline) -> None:
        now = self._clock.monotonic()
        if self._rights_at is not None and now - self._rights_at < RIGHTS_SECONDS:
            return
        flow = self._parts.flow
        doors = {flow.source: self._parts.source, flow.target: self._parts.target}
        silent = self._board.source_watch.observation.reachability is not Reachability.REACHABLE
        asked = {name: door for name, door in doors.items() if not (silent and name == flow.source)}
        try:
            self._rights = find_missing_rights(self._world.settings, flow, asked, deadline)
        except ReplicatorError as error:
            self._log.debug("rights_not_read", cause=error.message)
            self._rights = None
        self._rights_at = now
