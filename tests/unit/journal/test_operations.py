"""Views of operations, computed from records alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.errors import DataCorrupt, NotFound
from replicator.journal import (
    OperationPhase,
    active_cluster,
    facts_of,
    find_operation,
    is_being_aborted,
    list_operations,
    merge_records,
    open_operation,
    running_operation,
    untold_operations,
)
from replicator.journal.chain import Entry, Head, next_head, seal
from replicator.model.names import FlowName, OperationId
from replicator.model.operations import JournalRecord, OperationKind, OperationState, StepPhase

START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
REQUEST = {"source": "east", "target": "west"}
FLOW = FlowName("orders")


class Book:
    """Writes records one after the other, a second apart."""

    def __init__(self, *, writer: str = "main", epoch: int = 1) -> None:
        self.records: list[JournalRecord] = []
        self.epoch = epoch
        self._writer = writer
        self._head = Head()

    def write(
        self,
        step: str,
        phase: str,
        *,
        operation: str = "op-1",
        flow: str = FLOW,
        item: str | None = None,
        body: dict[str, Any] | None = None,
    ) -> JournalRecord:
        """Append one record."""
        entry = Entry(
            operation_id=OperationId(operation),
            flow=FlowName(flow),
            kind="failover",
            step=step,
            phase=phase,
            actor="ann",
            item=item,
            body=body or {},
        )
        at = START + timedelta(seconds=len(self.records))
        record = seal(entry, head=self._head, writer=self._writer, epoch=self.epoch, written_at=at)
        self._head = next_head(record)
        self.records.append(record)
        return record

    def request(self, operation: str = "op-1", flow: str = FLOW) -> None:
        """Begin an operation."""
        self.write("operation", OperationPhase.REQUESTED, operation=operation, flow=flow, body=REQUEST)

    def end(self, state: OperationState, operation: str = "op-1", flow: str = FLOW) -> None:
        """End an operation."""
        body = {"state": state.value}
        self.write("operation", OperationPhase.ENDED, operation=operation, flow=flow, body=body)

    def promote(self, cluster: str, *, operation: str = "op-1", flow: str = FLOW) -> None:
        """Make a cluster active."""
        self.write("promote", StepPhase.FACT, operation=operation, flow=flow, item="active", body={"cluster": cluster})


def test_an_operation_tells_who_what_and_where_it_stands() -> None:
    """Flow, kind, clusters, actor, times and the last step come from the records."""
    book = Book()
    book.request()
    book.write("cut", StepPhase.INTENT)
    operation = list_operations(book.records)[OperationId("op-1")]
    assert (operation.flow, operation.kind, operation.source, operation.target) == (
        FLOW,
        OperationKind.FAILOVER,
        "east",
        "west",
    )
    assert (operation.state, operation.step, operation.actor) == (OperationState.RUNNING, "cut", "ann")
    assert (operation.started_at, operation.ended_at, operation.is_past_promote) == (START, None, False)


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([], OperationState.RUNNING),
        ([OperationPhase.HALTED], OperationState.HALTED),
        ([OperationPhase.HALTED, OperationPhase.RESUMED], OperationState.RUNNING),
        ([OperationPhase.HALTED, OperationPhase.ABORTING], OperationState.RUNNING),
    ],
)
def test_the_state_is_that_of_the_last_word(phases: list[str], expected: OperationState) -> None:
    """Halted, resumed, being aborted: the last record about the operation as a whole counts."""
    book = Book()
    book.request()
    for phase in phases:
        book.write("operation", phase)
    assert list_operations(book.records)[OperationId("op-1")].state is expected


@pytest.mark.parametrize("state", [s for s in OperationState if s.is_terminal])
def test_an_ended_operation_is_not_open(state: OperationState) -> None:
    """Done, done with exceptions and aborted are the end."""
    book = Book()
    book.request()
    book.end(state)
    operation = list_operations(book.records)[OperationId("op-1")]
    assert operation.state is state
    assert operation.ended_at == START + timedelta(seconds=1)
    assert open_operation(book.records, FLOW) is None


def test_only_the_flows_own_operation_is_open_for_it() -> None:
    """A halted operation of another flow is none of this flow's business."""
    book = Book()
    book.request("op-1", "billing")
    book.write("operation", OperationPhase.HALTED, operation="op-1", flow="billing")
    assert open_operation(book.records, FLOW) is None
    book.request("op-2")
    found = open_operation(book.records, FLOW)
    assert found is not None
    assert found.id == "op-2"


def test_the_running_operation_is_the_one_the_writer_worked_on_last() -> None:
    """A live holder is named by its own last record, not by another supervisor's."""
    book = Book()
    book.request("op-1")
    book.request("op-2", "billing")
    found = running_operation(book.records, "main")
    assert found is not None
    assert found.id == "op-2"
    assert running_operation(book.records, "other") is None
    book.end(OperationState.DONE, "op-2", "billing")
    assert running_operation(book.records, "main") is None


def test_the_intent_of_promote_is_the_point_of_no_return() -> None:
    """Not its end, its intent: nobody may abort behind a promoter that is frozen in the act."""
    book = Book()
    book.request()
    book.write("commit", StepPhase.DONE)
    assert not list_operations(book.records)[OperationId("op-1")].is_past_promote
    book.write("promote", StepPhase.INTENT)
    assert list_operations(book.records)[OperationId("op-1")].is_past_promote


def test_an_abort_that_was_begun_is_seen() -> None:
    """Once an abort has begun only the abort may go on."""
    book = Book()
    book.request()
    assert not is_being_aborted(find_operation(book.records, "op-1"))
    book.write("operation", OperationPhase.ABORTING)
    assert is_being_aborted(find_operation(book.records, "op-1"))


def test_facts_are_the_newest_of_each_item() -> None:
    """A later fact of an item replaces the earlier; other steps' facts and other phases do not count."""
    book = Book()
    book.write("cut", StepPhase.FACT, item="cut", body={"n": 1})
    book.write("cut", StepPhase.FACT, item="cut", body={"n": 2})
    book.write("cut", StepPhase.FACT, body={"n": 3})
    book.write("cut", StepPhase.DONE, item="cut", body={"n": 4})
    book.write("commit", StepPhase.FACT, item="cut", body={"n": 5})
    assert facts_of(book.records, "cut") == {"cut": {"n": 2}, "": {"n": 3}}


def test_the_active_cluster_is_the_last_promoted_over_all_journals() -> None:
    """Epochs order promotions of one flow over several journals; another flow's do not count."""
    west, east = Book(epoch=3), Book(epoch=4)
    assert active_cluster([], FLOW) is None
    west.promote("west")
    west.promote("elsewhere", flow="billing")
    east.promote("east")
    assert active_cluster([*east.records, *west.records], FLOW) == "east"
    assert active_cluster(west.records, FLOW) == "west"


def test_an_intent_to_promote_makes_nobody_active() -> None:
    """Only the fact does."""
    book = Book()
    book.write("promote", StepPhase.INTENT, body={"cluster": "west"})
    assert active_cluster(book.records, FLOW) is None


def test_journals_merge_without_repeats_each_in_its_own_order() -> None:
    """A record that was copied to the peer counts once; of one epoch the times decide between journals."""
    west, east = Book(), Book(writer="other")
    for book in (west, east):
        book.request()
        book.write("cut", StepPhase.INTENT)
    merged = merge_records([west.records, [*east.records, west.records[0]]])
    assert len(merged) == 4
    assert [r.written_at for r in merged] == sorted(r.written_at for r in merged)
    assert [r for r in merged if r.writer == "main"] == west.records


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("epochs", "behind", "expected"),
    [
        ((1, 2), timedelta(), ["first", "second"]),
        ((1, 2), HOUR, ["first", "second"]),
        ((1, 2), -HOUR, ["first", "second"]),
        ((2, 1), timedelta(), ["second", "first"]),
        ((2, 1), HOUR, ["second", "first"]),
        ((1, 1), timedelta(), ["first", "second"]),
        ((1, 1), HOUR, ["second", "first"]),
    ],
)
def test_epochs_order_journals_whatever_their_clocks_said(
    epochs: tuple[int, int], behind: timedelta, expected: list[str]
) -> None:
    """A clock that stepped, or that of another host, changes nothing; it counts only where no epoch tells."""
    books = [Book(epoch=epoch) for epoch in epochs]
    books[0].write("first", StepPhase.FACT, operation="op-1")
    books[1].write("second", StepPhase.FACT, operation="op-2")
    late = replace(books[1].records[0], written_at=books[0].records[0].written_at + timedelta(seconds=1) - behind)
    for journals in ([books[0].records, [late]], [[late], books[0].records]):
        assert [record.step for record in merge_records(journals)] == expected


def test_a_journal_keeps_its_order_through_a_clock_that_stepped_back() -> None:
    """Found by a seed: within a failback that was taken back and begun again the clock went back an hour, and what the
    second one had begun with was taken for the first."""
    book = Book()
    for number, step in enumerate((timedelta(), -HOUR)):
        book.epoch = number + 1
        book.write("seed_reverse", StepPhase.FACT, operation=f"op-{number}", item="seeds")
        book.records[-1] = replace(book.records[-1], written_at=START + step)
    for journals in ([book.records, []], [[], book.records], [book.records, book.records]):
        assert [record.operation_id for record in merge_records(journals)] == ["op-0", "op-1"]


def test_records_without_their_request_are_no_operation() -> None:
    """A journal whose beginning belongs to nobody invents no operation."""
    book = Book()
    book.write("cut", StepPhase.INTENT)
    assert list_operations(book.records) == {}


def test_an_unknown_operation_is_not_found() -> None:
    """The error names the id and the command that lists them."""
    with pytest.raises(NotFound, match="op-9") as caught:
        find_operation([], "op-9")
    assert caught.value.hint == "replicator op list"


def test_offsets_do_not_change_what_is_told() -> None:
    """Views read the records, not their place."""
    book = Book()
    book.request()
    moved = [replace(record, offset=90) for record in book.records]
    assert list_operations(moved)[OperationId("op-1")].state is OperationState.RUNNING


ODD_REQUESTS: list[dict[str, Any]] = [
    {},
    {"source": "east"},
    {"source": 3, "target": "west"},
    {"source": [], "target": {}},
]


@pytest.mark.parametrize("body", ODD_REQUESTS)
def test_a_request_that_asks_for_nothing_is_named_and_left_out(body: dict[str, Any]) -> None:
    """A well chained record that only looks like a request hides no real operation and begins none."""
    book = Book()
    book.write("operation", OperationPhase.REQUESTED, operation="odd", body=body)
    book.request("real")
    assert list(list_operations(book.records)) == ["real"]
    assert open_operation(book.records, FLOW) == list_operations(book.records)[OperationId("real")]
    assert list(untold_operations(book.records)) == ["odd"]


def test_an_operation_without_its_request_is_named_and_left_out() -> None:
    """Facts of an operation that nobody requested are no operation."""
    book = Book()
    book.write("cut", StepPhase.FACT, operation="headless", item="loss")
    assert list_operations(book.records) == {}
    assert open_operation(book.records, FLOW) is None
    assert "headless: it begins with cut fact" in untold_operations(book.records)[OperationId("headless")]


def test_an_operation_that_was_begun_and_says_odd_things_later_is_not_passed_over() -> None:
    """How it stands nobody can tell, so no other may begin on its flow; other flows go on."""
    book = Book()
    book.request("begun")
    book.write("operation", "vanished", operation="begun")
    book.request("other", flow="payments")
    with pytest.raises(DataCorrupt, match="operation begun: a field of it is missing or odd"):
        open_operation(book.records, FLOW)
    other = open_operation(book.records, FlowName("payments"))
    assert other is not None
    assert other.id == "other"
    assert list(list_operations(book.records)) == ["other"]


def test_a_promotion_that_names_no_cluster_makes_none_active() -> None:
    """The newest promotion that says who is active counts."""
    book = Book()
    book.promote("west")
    book.write("promote", StepPhase.FACT, item="active", body={})
    book.write("promote", StepPhase.FACT, item="active", body={"cluster": 7})
    assert active_cluster(book.records, FLOW) == "west"
