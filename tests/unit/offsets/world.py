"""A small true world: a source log with holes, a flow that copies it the way MM2 does, and the truth."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass, field, replace

from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.offsets import Grade, OffsetSync, Translation
from replicator.offsets.ground import prepare
from replicator.offsets.points import OffsetMapBuilder, PartitionMap, StretchEnd
from replicator.offsets.reads import Standing, Visible
from replicator.offsets.rules import translate_offset

SOURCE = TopicPartition(TopicName("orders"), 0)
TARGET = TopicPartition(TopicName("east.orders"), 0)


@dataclass
class Stored:
    """One visible record: which source record it is, and its content."""

    source: int
    key: int
    print: int


@dataclass
class Shape:
    """What may happen in a world."""

    is_exactly_once: bool = True
    is_target_compacted: bool = False
    is_source_compacted: bool = False
    has_holes: bool = True
    has_rewinds: bool = True
    has_gaps: bool = True
    has_retention: bool = True
    has_unknowns: bool = True
    has_new_targets: bool = True


@dataclass
class World:
    """Both logs, the syncs, and what a survey of them finds."""

    shape: Shape
    source: dict[int, Stored] = field(default_factory=dict)
    source_end: int = 0
    source_start: int = 0
    copy: dict[int, Stored] = field(default_factory=dict)
    copied: dict[int, int] = field(default_factory=dict)
    """Source offset by target offset of all this copy ever held."""
    copy_end: int = 0
    copy_start: int = 0
    mirrored: int = 0
    syncs: list[OffsetSync | None] = field(default_factory=list)
    ends: list[StretchEnd] = field(default_factory=list)
    syncs_since: int = 0
    twin_rate: float = 0.2
    keys_count: int = 8
    swept: PartitionEnds | None = None
    is_source_alive: bool = True
    is_mirrored_known: bool = True
    unread: set[str] = field(default_factory=set)
    is_anew: bool = False
    points_max: int = 10**9
    slowest: int | None = None

    def ends_now(self) -> PartitionEnds:
        """Return the copy's ends as they are now."""
        return PartitionEnds(partition=0, log_start=self.copy_start, last_stable=self.copy_end, end=self.copy_end)

    def standing(self) -> Standing:
        """Return what a survey finds besides the map."""
        return Standing(
            partition=SOURCE,
            target_partition=TARGET,
            target=self.swept,
            target_now=self.ends_now(),
            mirrored=self.mirrored if self.is_mirrored_known else None,
            is_exactly_once=self.shape.is_exactly_once,
            is_target_compacted=self.shape.is_target_compacted,
            is_source_compacted=self.shape.is_source_compacted,
        )

    def points(self, *, is_whole: bool = False) -> PartitionMap:
        """Return the map that the syncs topic and the journal give, pruned as a long-lived one is; or whole."""
        builder = OffsetMapBuilder()
        for sync in self.syncs[self.syncs_since :]:
            builder.note_gap() if sync is None else builder.add(sync)
        if self.copy_start % 2 and not is_whole:  # every other copy that retention has shortened
            builder.prune({SOURCE: self.copy_start})
        if self.slowest is not None and self.swept is not None:
            builder.prune_behind({SOURCE: self.slowest}, visible_to={SOURCE: self.swept.last_stable})
        builder.keep_within(self.points_max)
        points = builder.build().ended(self.ends).of(SOURCE)
        return replace(points, is_anew=True) if self.is_anew and len(points) else points

    def translate_all(self) -> list[Translation]:
        """Return the translation of every source offset."""
        reads = WorldReads(self)
        standing = self.standing()
        ground = prepare(standing, self.points(), reads)
        return [translate_offset(offset, standing, ground, reads) for offset in range(self.source_end + 2)]

    # the truth

    def missed(self, offset: int, place: int) -> list[int]:
        """Return the source records at or above `offset` that a group never gets when it resumes at `place`.

        A record that is on the target only below `place` is missed, unless the source itself has forgotten
        it by compaction (so that the flow did not meet it when it came by again).
        """
        got = {r.source for at, r in self.copy.items() if at >= place}
        wanted = {r.source for at, r in self.copy.items() if r.source >= offset and at >= self.copy_start}
        if self.shape.is_source_compacted:
            wanted &= set(self.source)
        return sorted(wanted - got)

    def rereads(self, offset: int, place: int) -> int:
        """Return how many records a group at `offset` of the source gets twice when it resumes at `place`."""
        count, seen = 0, set()
        for at in sorted(self.copy):
            if at < max(place, self.copy_start):
                continue
            record = self.copy[at]
            if not self.shape.is_exactly_once and record.source >= offset:
                break  # what the flow itself stored twice behind this is not counted
            count += record.source < offset or record.source in seen
            seen.add(record.source)
        return count


class WorldReads:
    """Bounded reads of the world; some fail, as over a cap."""

    def __init__(self, world: World) -> None:
        self._world = world

    def target(self, from_offset: int, to_offset: int, *, records_max: int | None = None) -> Visible | None:
        if "target" in self._world.unread:
            return None
        start = max(from_offset, self._world.copy_start)
        return _visible(self._world.copy, start, to_offset, records_max)

    def source(self, from_offset: int, to_offset: int | None) -> Visible | None:
        world = self._world
        if not world.is_source_alive or from_offset < world.source_start or "source" in world.unread:
            return None
        return _visible(world.source, from_offset, world.source_end if to_offset is None else to_offset, None)


def _visible(log: dict[int, Stored], start: int, stop: int, records_max: int | None) -> Visible:
    offsets = [at for at in sorted(log) if start <= at < stop][:records_max]
    return Visible(array("q", offsets), array("q", [log[at].print for at in offsets]))


class Mirror:
    """Copies like a MirrorSourceTask: transactions with markers, syncs queued, throttled and sometimes lost."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.lag_max = rng.choice([2, 5, 20])
        self.is_throttled = rng.random() < 0.5
        self._start_task()

    def _start_task(self) -> None:
        self.previous: int | None = None
        self.last_sync = -1_000_000
        self.pending: OffsetSync | None = None
        self.delayed: OffsetSync | None = None

    def run(self, until: int) -> None:
        """Copy the visible source records below `until`, then sync as after an empty poll."""
        visible = [u for u in sorted(self.world.source) if self.world.mirrored <= u < until]
        while visible:
            size = self.rng.randint(1, 6)
            batch, visible = visible[:size], visible[size:]
            if self.world.shape.is_exactly_once and self.rng.random() < 0.1:
                self.world.copy_end += len(batch) + 1  # aborted with its marker: offsets nobody sees
            stored = []
            for u in batch:
                stored.append((u, self.world.copy_end))
                self.world.copy[self.world.copy_end] = self.world.source[u]
                self.world.copied[self.world.copy_end] = u
                self.world.copy_end += 1
            if self.world.shape.is_exactly_once:
                self.world.copy_end += 1
            self.world.mirrored = batch[-1] + 1
            for u, d in stored:
                self._commit_record(u, d)
            if self.rng.random() < 0.7:
                self._flush(is_certain=False)
        if self.rng.random() < 0.7:
            self._flush(is_certain=True)

    def _commit_record(self, u: int, d: int) -> None:
        is_far = d - (self.last_sync + 1) >= self.lag_max or d < self.last_sync
        is_wanted = self.previous is None or u - self.previous != 1 or is_far
        self.previous = u
        self.delayed = OffsetSync(SOURCE, u, d)
        if is_wanted:
            self.last_sync = d
            self.pending = self.delayed
            self._flush(is_certain=False)

    def _flush(self, *, is_certain: bool) -> None:
        if self.is_throttled and not is_certain and self.rng.random() < 0.5:
            return
        wanted = self.delayed if is_certain else self.pending
        if wanted is not None and wanted not in self.world.syncs[-1:]:
            self.world.syncs.append(wanted)
        self.pending = None

    def restart(self, position: int, *, is_journaled: bool) -> None:
        """Start a new task that reads on from `position` of the source."""
        if is_journaled:
            self.world.ends.append(StretchEnd(SOURCE, self.world.copy_end))
        self.world.mirrored = position
        self._start_task()


def make_world(rng: random.Random, shape: Shape, *, scale: int = 1) -> World:
    """Return a world made with `rng`; `scale` makes its logs longer."""
    world = World(shape, twin_rate=rng.choice([0.0, 0.2, 0.8]), keys_count=rng.choice([2, 8]))
    _write_source(world, rng, scale * rng.randint(5, 60))
    mirror = Mirror(world, rng)
    mirror.run(rng.randint(0, world.source_end))
    for _ in range(rng.randint(0, 3)):
        _disturb(world, mirror, rng)
        _write_source(world, rng, scale * rng.randint(0, 40))
        mirror.run(rng.randint(world.mirrored, world.source_end))
    world.swept = world.ends_now()
    if rng.random() < 0.3:
        mirror.run(rng.randint(world.mirrored, world.source_end))
    _age(world, rng)
    return world


def _write_source(world: World, rng: random.Random, count: int) -> None:
    for _ in range(count):
        if world.shape.has_holes and rng.random() < 0.2:
            world.source_end += rng.choice([1, 1, 1, 2, 7])
        key = rng.randrange(world.keys_count)
        content = rng.randrange(2) if rng.random() < world.twin_rate else 1000 + world.source_end
        world.source[world.source_end] = Stored(world.source_end, key, key * 1_000_000 + content)
        world.source_end += 1
    if world.shape.has_holes and rng.random() < 0.5:
        world.source_end += 1


def _disturb(world: World, mirror: Mirror, rng: random.Random) -> None:
    shape = world.shape
    if shape.is_source_compacted and rng.random() < 0.5:
        _compact(world.source, rng, below=rng.randint(0, world.source_end))
    if shape.has_gaps and rng.random() < 0.2:
        _compact_syncs(world, rng)
    if not shape.is_exactly_once and rng.random() < 0.5:
        mirror.restart(rng.randint(max(0, world.mirrored - 15), world.mirrored), is_journaled=False)
    if shape.is_exactly_once and shape.has_rewinds and rng.random() < 0.4:
        _set_back(world, mirror, rng)
    if shape.has_new_targets and not world.ends and rng.random() < 0.1:
        world.copy, world.copied, world.copy_end = (
            {},
            {},
            0,
        )  # deleted and made anew, and noticed; the flow goes on where it is
        world.syncs_since = len(world.syncs)
        world.is_anew = True
        mirror.pending = mirror.delayed = None


def _set_back(world: World, mirror: Mirror, rng: random.Random) -> None:
    position = rng.randint(0, world.mirrored)
    last_synced = next((s.source_offset for s in reversed(world.syncs[world.syncs_since :]) if s is not None), -1)
    first_copied = min((u for u in world.source if u >= position), default=world.source_end)
    is_seen = first_copied <= last_synced and not mirror.is_throttled and not world.shape.is_source_compacted
    mirror.restart(position, is_journaled=not is_seen or rng.random() < 0.5)


def _compact_syncs(world: World, rng: random.Random) -> None:
    """Lose syncs [first, stop): at the head, or between an idle partition's old sync and its new ones.

    Compaction is slow: the newest sync survives, and what is lost the flow has passed long since.
    """
    if len(world.syncs) < 3 or None in world.syncs or world.syncs_since:
        return
    first, stop = rng.choice([0, 1]), rng.randint(2, len(world.syncs) - 1)
    kept = world.syncs[stop]
    assert kept is not None
    if all(r.source < kept.source_offset for at, r in world.copy.items() if at < kept.target_offset):
        world.syncs[first:stop] = [None]


def _compact(log: dict[int, Stored], rng: random.Random, *, below: int) -> None:
    newest = {log[at].key: at for at in sorted(log)}
    for at in sorted(log):
        if at < below and newest[log[at].key] != at:
            del log[at]


def _age(world: World, rng: random.Random) -> None:
    """Let compaction, retention and outages happen after the copy was made."""
    shape = world.shape
    if shape.is_source_compacted and rng.random() < 0.7:
        _compact(world.source, rng, below=rng.randint(0, world.source_end))
    if shape.is_target_compacted and rng.random() < 0.7:
        _compact(world.copy, rng, below=rng.randint(0, world.copy_end))
    if shape.has_retention and rng.random() < 0.3:
        assert world.swept is not None
        world.copy_start = rng.randint(0, world.swept.end)
        world.copy = {at: r for at, r in world.copy.items() if at >= world.copy_start}
        world.swept = PartitionEnds(
            partition=0, log_start=world.copy_start, last_stable=world.swept.last_stable, end=world.swept.end
        )
    if shape.has_retention and rng.random() < 0.3:
        world.source_start = rng.randint(0, world.source_end)
    if shape.has_unknowns:
        world.is_source_alive = rng.random() < 0.5
        world.is_mirrored_known = rng.random() < 0.9
        world.unread = {side for side in ("target", "source") if rng.random() < 0.1}


def find_faults(world: World) -> list[str]:
    """Return what is wrong with the world's translations; nothing is, if the rules are right."""
    faults = []
    last = -1
    for answer in world.translate_all():
        faults += _faults_of(world, answer)
        at = answer.target_offset
        if at is not None:
            if at < last:
                faults.append(f"not monotone at {answer.source_offset}: {at} after {last}")
            last = at
    return faults


def _faults_of(world: World, answer: Translation) -> list[str]:
    offset, place = answer.source_offset, answer.target_offset
    assert place is not None
    faults = []
    if missed := world.missed(offset, place):
        faults.append(f"skips: {missed}: {answer}")
    count = world.rereads(offset, place)
    allowed = answer.reread_records_max
    if answer.grade is Grade.EXACT and allowed != 0:
        faults.append(f"exact with re-reads: {answer}")
    if allowed is not None and count > allowed:
        faults.append(f"reads {count} twice: {answer}")
    assert world.swept is not None
    if not world.swept.log_start <= place <= world.swept.end:
        faults.append(f"outside the log: {answer}")
    return faults
