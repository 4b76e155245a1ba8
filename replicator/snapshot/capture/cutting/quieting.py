"""A standby held still for its cut: the mirror paused, its last writes waited for, and strangers noticed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

from replicator.clock import Clock, Deadline
from replicator.errors import AccessDenied, NotFound, OperationFailed, Unreachable
from replicator.model.names import TopicPartition
from replicator.wire import RawClient
from replicator.wire.client import AT_END

STILL_SECONDS = 0.5
"""So long must no end move before the standby counts as still."""
SETTLE_SECONDS = 10.0
"""So long may what the mirror had in hand take to be written once it is paused."""
PAUSE_SECONDS = 0.1

Hold = Callable[[Deadline], AbstractContextManager[None]]
"""Pauses what writes and lets it go on at its end, unless it was not running before."""


@dataclass(slots=True)
class Stillness:
    """How still a cluster was held. `notes` say why it was not, none when it was; `still_ms` how long for.

    `ends` are those of the partitions while still, `since` the monotonic second from which on they did not move.
    """

    is_wanted: bool
    notes: list[str] = field(default_factory=list)
    still_ms: int = 0
    ends: Mapping[TopicPartition, int] = field(default_factory=dict)
    since: float = 0.0

    @property
    def is_held(self) -> bool:
        """Whether it was wanted and nothing spoke against it."""
        return self.is_wanted and not self.notes

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the taker of the snapshot must hear: it is less than was asked for."""
        return tuple(f"the snapshot is not quiescent: {note}" for note in self.notes)


@contextmanager
def hold_still(hold: Hold | None, *, is_wanted: bool, deadline: Deadline) -> Iterator[Stillness]:
    """Yield while the mirror is paused; what prevents that is a note, never the end of a snapshot."""
    stillness = Stillness(is_wanted)
    if is_wanted and hold is None:
        stillness.notes.append("no flow to pause was named")
    with nullcontext() if hold is None or not is_wanted else _try(hold, stillness, deadline):
        yield stillness


@contextmanager
def _try(hold: Hold, stillness: Stillness, deadline: Deadline) -> Iterator[None]:
    """Hold, or note why not. What fails at letting go is raised: a flow must not stay paused unsaid."""
    held = hold(deadline)
    try:
        held.__enter__()
    except (AccessDenied, NotFound, OperationFailed, Unreachable) as exc:
        stillness.notes.append(f"the flow could not be paused: {exc.message}")
        yield
        return
    try:
        yield
    finally:
        held.__exit__(None, None, None)


def wait_still(
    stillness: Stillness, raw: RawClient, partitions: Sequence[TopicPartition], *, clock: Clock, deadline: Deadline
) -> None:
    """No end has moved for half a second and no transaction is open, or there is a note of what did not rest."""
    if not stillness.is_held:
        return
    soon = Deadline.after(deadline.capped(SETTLE_SECONDS), clock=clock)
    ends, since = _read(raw, partitions, deadline), clock.monotonic()
    while True:
        clock.sleep(soon.capped(PAUSE_SECONDS))
        seen = _read(raw, partitions, deadline)
        moved = [tp for tp in partitions if seen[tp] != ends[tp]]
        if moved:
            ends, since = seen, clock.monotonic()
        elif clock.monotonic() - since >= STILL_SECONDS:
            break
        if soon.is_over:
            stillness.notes.append(_stranger(moved[0] if moved else partitions[0]))
            return
    stable = raw.list_offsets(partitions, at=AT_END, deadline=deadline, is_committed_only=True)
    open_in = [tp for tp in partitions if stable[tp] < ends[tp]]
    if open_in:
        stillness.notes.append(f"{open_in[0]}: a transaction is open from offset {stable[open_in[0]]} on")
    stillness.ends, stillness.since = ends, since


def end_still(
    stillness: Stillness, raw: RawClient, partitions: Sequence[TopicPartition], *, clock: Clock, deadline: Deadline
) -> None:
    """Note it if an end moved since `wait_still`: the mirror is paused, so somebody else wrote."""
    if not stillness.is_held:
        return
    seen = _read(raw, partitions, deadline)
    moved = [tp for tp in partitions if seen[tp] != stillness.ends[tp]]
    if moved:
        stillness.notes.append(_stranger(moved[0]))
    stillness.still_ms = round((clock.monotonic() - stillness.since) * 1000)


def _read(raw: RawClient, partitions: Sequence[TopicPartition], deadline: Deadline) -> dict[TopicPartition, int]:
    return raw.list_offsets(partitions, at=AT_END, deadline=deadline)


def _stranger(partition: TopicPartition) -> str:
    return f"{partition} was written to while the flow was paused: the flow is not its only writer"
