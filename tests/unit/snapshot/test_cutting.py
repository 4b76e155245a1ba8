"""Which transactions belong to a snapshot, by table and against a simulated log; what a cut promises."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.capture.cutting.deciding import Decision, TailBatch, TailEnds, TailKind, decide_cut

P, Q = TopicPartition(TopicName("t"), 0), TopicPartition(TopicName("t"), 1)


def data(offset: int, pid: int, epoch: int, size: int = 1) -> TailBatch:
    """A batch of a transaction."""
    return TailBatch(TailKind.DATA, offset, offset + size, pid, epoch)


def commit(offset: int, pid: int, epoch: int) -> TailBatch:
    """A COMMIT marker."""
    return TailBatch(TailKind.COMMIT, offset, offset + 1, pid, epoch)


def abort(offset: int, pid: int, epoch: int) -> TailBatch:
    """An ABORT marker."""
    return TailBatch(TailKind.ABORT, offset, offset + 1, pid, epoch)


def plain(offset: int) -> TailBatch:
    """A batch of no transaction."""
    return TailBatch(TailKind.PLAIN, offset, offset + 1)


CASES = [
    (
        "its marker is below the first end of one partition only: whole in both",
        {P: TailEnds(10, 12, 12), Q: TailEnds(5, 6, 6)},
        {P: [data(10, 7, 1), commit(11, 7, 2)], Q: [data(5, 7, 1), commit(6, 7, 2)]},
        {P: 11, Q: 6},
        {},
    ),
    (
        "no marker is below any first end: in neither",
        {P: TailEnds(10, 11, 12), Q: TailEnds(5, 6, 7)},
        {P: [data(10, 7, 1), commit(11, 7, 2)], Q: [data(5, 7, 1), commit(6, 7, 2)]},
        {P: 10, Q: 5},
        {},
    ),
    (
        "data behind the first end belongs where its marker elsewhere is below it",
        {P: TailEnds(10, 12, 12), Q: TailEnds(5, 5, 9)},
        {P: [data(10, 7, 1), commit(11, 7, 2)], Q: [plain(5), data(6, 7, 1, 2), commit(8, 7, 2)]},
        {P: 11, Q: 8},
        {},
    ),
    (
        "what lies below and is not part of it is left out",
        {P: TailEnds(10, 14, 14), Q: TailEnds(5, 5, 5)},
        {P: [data(10, 8, 4), data(11, 7, 1), commit(12, 7, 2), plain(13), commit(14, 8, 5)]},
        {P: 14, Q: 5},
        {P: ((8, 10, 11),)},
    ),
    (
        "an aborted one is neither taken nor left out",
        {P: TailEnds(10, 13, 13)},
        {P: [data(10, 7, 1), abort(11, 7, 2), plain(12)]},
        {P: 13},
        {},
    ),
    (
        "a marker without data here decides elsewhere",
        {P: TailEnds(10, 11, 11), Q: TailEnds(5, 6, 6)},
        {P: [commit(10, 7, 3)], Q: [data(3, 7, 1), commit(4, 7, 2), data(5, 7, 2), commit(6, 7, 3)]},
        {P: 10, Q: 6},
        {},
    ),
]


@pytest.mark.parametrize(("name", "ends", "tails", "stops", "left_out"), CASES, ids=[case[0] for case in CASES])
def test_a_transaction_is_whole_or_absent(name, ends, tails, stops, left_out) -> None:
    """Each case ends where it must, with nothing left out but what must be."""
    found = decide_cut(ends, tails)
    assert found.problem is None
    assert dict(found.ends) == stops
    assert dict(found.left_out) == left_out


def test_transactions_that_cannot_be_told_apart_are_a_problem() -> None:
    """With transaction version 1 an epoch is many transactions: decided here, undecided there cannot be matched."""
    ends = {P: TailEnds(10, 12, 12), Q: TailEnds(5, 6, 6)}
    tails = {P: [data(10, 7, 1), commit(11, 7, 1)], Q: [data(5, 7, 1), commit(6, 7, 1)]}
    found = decide_cut(ends, tails)
    assert found.problem is not None
    assert "producer 7" in found.problem
    assert dict(found.ends) == {P: 10, Q: 5}


class World:
    """A few partitions and producers: transactions begin, write here and there, and end by one marker at a time."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.logs: dict[TopicPartition, list[tuple[TailBatch, int | None]]] = {
            TopicPartition(TopicName("t"), n): [] for n in range(3)
        }
        self._running: dict[int, tuple[int, int, set[TopicPartition]]] = {}
        self._ending: list[tuple[int, int, int, TopicPartition, bool]] = []
        self._epochs = dict.fromkeys(range(4), 0)
        self._open: dict[TopicPartition, dict[int, int]] = {tp: {} for tp in self.logs}
        self._serial = 0

    def run(self, steps: int) -> None:
        """Let so many things happen."""
        for _ in range(steps):
            act, pid = self.rng.random(), self.rng.randrange(4)
            if act < 0.15:
                tp = self.rng.choice(list(self.logs))
                self.logs[tp].append((plain(len(self.logs[tp])), None))
            elif act < 0.5:
                self._write(pid)
            elif act < 0.65:
                self._end(pid, is_committed=act < 0.6)
            elif self._ending:
                self._mark()

    def _write(self, pid: int) -> None:
        if any(one[1] == pid for one in self._ending):
            return
        if pid not in self._running:
            self._serial += 1
            self._running[pid] = (self._serial, self._epochs[pid], set())
        number, epoch, touched = self._running[pid]
        tp = self.rng.choice(list(self.logs))
        touched.add(tp)
        self._open[tp].setdefault(number, len(self.logs[tp]))
        self.logs[tp].append((data(len(self.logs[tp]), pid, epoch), number))

    def _end(self, pid: int, *, is_committed: bool) -> None:
        if pid in self._running:
            number, epoch, touched = self._running.pop(pid)
            self._epochs[pid] += 1
            self._ending += [(number, pid, epoch + 1, tp, is_committed) for tp in sorted(touched)]

    def _mark(self) -> None:
        number, pid, epoch, tp, is_committed = self._ending.pop(self.rng.randrange(len(self._ending)))
        self.logs[tp].append(((commit if is_committed else abort)(len(self.logs[tp]), pid, epoch), number))
        del self._open[tp][number]

    def stable(self, tp: TopicPartition) -> int:
        """Where a partition's last stable offset is."""
        return min(self._open[tp].values(), default=len(self.logs[tp]))

    def read_vector(self) -> dict[TopicPartition, int]:
        """Every end, with things going on between one and the next."""
        found = {}
        for tp, log in self.logs.items():
            self.run(self.rng.randrange(4))
            found[tp] = len(log)
        return found

    def cut(self) -> Decision:
        """Read the ends as a capture does, wait for what was open, and decide."""
        self.run(self.rng.randrange(80))
        low = {tp: self.stable(tp) for tp in self.logs}
        first, second = self.read_vector(), self.read_vector()
        while any(self.stable(tp) < second[tp] for tp in self.logs):
            self.run(1)
        tails = {tp: [batch for batch, _ in log[: self.stable(tp)]] for tp, log in self.logs.items()}
        ends = {tp: TailEnds(low[tp], first[tp], second[tp]) for tp in self.logs}
        return decide_cut(ends, tails)


@given(st.integers(0, 2**32))
def test_no_simulated_transaction_is_ever_split(seed: int) -> None:
    """Whatever happens while the ends are read: of a committed transaction all is in the snapshot or nothing is."""
    world = World(seed)
    found = world.cut()
    assert found.problem is None
    aborted = {number for log in world.logs.values() for batch, number in log if batch.kind is TailKind.ABORT}
    sides: dict[int, set[bool]] = {}
    for tp, log in world.logs.items():
        ranges = found.left_out.get(tp, ())
        for batch, number in log:
            if batch.kind is TailKind.DATA and number is not None and number not in aborted:
                is_out = any(p == batch.producer_id and a <= batch.base_offset < b for p, a, b in ranges)
                sides.setdefault(number, set()).add(batch.base_offset < found.ends[tp] and not is_out)
    assert all(len(side) == 1 for side in sides.values())
