"""Who else writes the copies: what is remembered between two looks, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replicator.clock import Deadline
from replicator.errors import OperationFailed
from replicator.model.names import TopicName, TopicPartition
from replicator.supervisor.observe.sides import GROWN_MAX, STRANGER_SECONDS, StrangerWatch

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ONE, TWO = (TopicPartition(TopicName("orders"), n) for n in range(2))


class Log:
    """Which spans were looked into, and where a stranger's batch stands."""

    def __init__(self) -> None:
        self.spans: list[tuple[TopicPartition, int, int]] = []
        self.foreign: set[TopicPartition] = set()
        self.gone: set[TopicPartition] = set()

    def find(self, tp: TopicPartition, start: int, stop: int, _deadline: Deadline) -> int | None:
        """Answer as a cluster would."""
        self.spans.append((tp, start, stop))
        if tp in self.gone:
            raise OperationFailed("outside the log")
        return start if tp in self.foreign else None


def test_what_stood_there_at_the_first_look_is_nobodys_fault() -> None:
    """Only what was written since is looked into, each span once."""
    log = Log()
    log.foreign = {ONE}
    watch = StrangerWatch(log.find)
    assert watch.look({ONE: 10, TWO: 5}, now=NOW, deadline=Deadline.after(5)) == ()
    assert log.spans == []
    assert watch.look({ONE: 10, TWO: 9}, now=NOW, deadline=Deadline.after(5)) == ()
    assert watch.look({ONE: 12, TWO: 9}, now=NOW, deadline=Deadline.after(5)) == (ONE,)
    assert log.spans == [(TWO, 5, 9), (ONE, 10, 12)]


def test_a_stranger_is_told_for_an_hour() -> None:
    """Then it is forgotten, and at once where applications are meant to write."""
    log = Log()
    log.foreign = {ONE}
    watch = StrangerWatch(log.find)
    watch.look({ONE: 1}, now=NOW, deadline=Deadline.after(5))
    assert watch.look({ONE: 2}, now=NOW, deadline=Deadline.after(5)) == (ONE,)
    soon, late = (NOW + timedelta(seconds=STRANGER_SECONDS + s) for s in (-1, 1))
    assert watch.look({ONE: 2}, now=soon, deadline=Deadline.after(5)) == (ONE,)
    assert watch.look({ONE: 2}, now=late, deadline=Deadline.after(5)) == ()
    watch.forget()
    assert watch.look({ONE: 9}, now=late, deadline=Deadline.after(5)) == ()


def test_a_look_is_bounded_and_outlives_what_is_deleted() -> None:
    """So many copies a look; one that was cut or deleted meanwhile keeps none of the others from being looked at."""
    log = Log()
    many = [TopicPartition(TopicName("wide"), n) for n in range(GROWN_MAX + 20)]
    log.gone, log.foreign = {many[0]}, {many[1]}
    watch = StrangerWatch(log.find)
    watch.look(dict.fromkeys(many, 1), now=NOW, deadline=Deadline.after(5))
    assert watch.look(dict.fromkeys(many, 2), now=NOW, deadline=Deadline.after(5)) == (many[1],)
    assert len(log.spans) == GROWN_MAX
