"""What a failover decides, by table: may it go on, is a group settled, was a promise held, what goes on next."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.clock import Deadline
from replicator.errors import NotFound, PreflightBlocked
from replicator.failover.engine.logbook import Logbook, Request
from replicator.failover.facts import Cut, CutPartition, GroupsKnownFrom, Survey, cut_from_facts, cut_to_facts, to_body
from replicator.failover.groups.moves import (
    GroupMove,
    Outcome,
    Settled,
    group_of,
    has_moved_on,
    is_settled,
    item_of,
    kept_inside,
    move_from_fact,
    move_to_fact,
)
from replicator.failover.launch import (
    Order,
    digest_of_moves,
    fencing_as_begun,
    find_target,
    make_operation_id,
    merge_choices,
    refuse_changed_flow,
)
from replicator.failover.report import judge
from replicator.failover.steps.cut import count_strangers
from replicator.failover.steps.fence_mm2 import open_partitions
from replicator.failover.steps.groups import count_grades
from replicator.failover.steps.limit import find_excess
from replicator.failover.steps.survey import find_blocker, survey_window_seconds
from replicator.failover.steps.verify import find_misplaced
from replicator.failover.takeover import end_taken_over, inherited_facts
from replicator.failover.world import Choices, FenceGrade, Fencing, Override
from replicator.journal import Journal, MemoryLog, list_operations
from replicator.journal.codec import from_plain
from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, Offset, OperationId, TopicName, TopicPartition
from replicator.model.objectives import Objectives
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    PartitionEnds,
    Reachability,
)
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.model.operations import LossReport, OperationKind, OperationState, StepPhase

T0 = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
FLOW = Flow(name=FlowName("orders"), source=ClusterName("east"), target=ClusterName("west"))
TP = TopicPartition(TopicName("t"), 0)
GROUP = GroupName("billing")


def observation(*, reached: float | None = -2.0, observed: float = -1.0) -> ClusterObservation:
    """Return the last observation of the source, in seconds from the survey's probe."""
    return ClusterObservation(
        cluster=FLOW.source,
        cluster_id="id",
        reachability=Reachability.REACHABLE,
        observed_at=T0 + timedelta(seconds=observed),
        last_reached_at=None if reached is None else T0 + timedelta(seconds=reached),
    )


SOUND = Survey(
    answer=Reachability.REFUSED,
    is_answering=False,
    answered_at=T0,
    listeners=("127.0.0.1:1",),
    target_cluster_id="w",
    observation=observation(),
    topics_observed=3,
    groups_observed=2,
    groups_known_from=GroupsKnownFrom.OBSERVATIONS,
    partitions_mirrored=6,
)


@pytest.mark.parametrize(
    ("survey", "accepted", "reason"),
    [
        pytest.param(SOUND, [], None, id="refused, observed: nothing forbids it"),
        pytest.param(replace(SOUND, answer=Reachability.REACHABLE, is_answering=True), [], "is alive", id="alive"),
        pytest.param(
            replace(SOUND, answer=Reachability.REACHABLE, is_answering=True),
            [Override.SPLIT_BRAIN],
            None,
            id="alive, and accepted by name",
        ),
        pytest.param(
            replace(SOUND, answer=Reachability.REACHABLE, is_answering=True),
            [Override.LOSS, Override.STALE_GROUPS],
            "is alive",
            id="another override does not imply it",
        ),
        pytest.param(
            replace(SOUND, answer=Reachability.REACHABLE), [], "may be alive", id="frozen: accepts, no answer"
        ),
        pytest.param(replace(SOUND, answer=Reachability.SILENT), [], "may be alive", id="silent"),
        pytest.param(replace(SOUND, answer=Reachability.SILENT), [Override.SPLIT_BRAIN], None, id="silent, accepted"),
        pytest.param(
            replace(SOUND, observation=observation(observed=3.0)), [], "has just read it", id="others still reach it"
        ),
        pytest.param(
            replace(SOUND, groups_known_from=GroupsKnownFrom.CHECKPOINTS, observation=None),
            [],
            "no observation of the groups",
            id="observations gone",
        ),
        pytest.param(
            replace(SOUND, groups_known_from=GroupsKnownFrom.NOWHERE, observation=None),
            [Override.STALE_GROUPS],
            None,
            id="observations gone, accepted",
        ),
        pytest.param(replace(SOUND, observation=observation(reached=-3600.0)), [], "3600 s", id="an hour old"),
        pytest.param(
            replace(SOUND, topics_observed=0, partitions_mirrored=0),
            [Override.SPLIT_BRAIN, Override.STALE_GROUPS, Override.LOSS],
            "nothing was ever mirrored",
            id="nothing to fail over to, whatever is accepted",
        ),
    ],
)
def test_whether_the_survey_forbids_it(survey: Survey, accepted: list[Override], reason: str | None) -> None:
    """Only what was accepted by name is passed over, and the hint names what to type."""
    blocked = find_blocker(survey, flow=FLOW, choices=Choices(accepted=frozenset(accepted)))
    if reason is None:
        assert blocked is None
    else:
        assert blocked is not None
        assert reason in blocked.reason
        assert "replicator" in blocked.hint


def test_a_survey_comes_back_from_the_journal() -> None:
    """Every field of it, so that a report months later rests on the same."""
    assert from_plain(Survey, to_body(SOUND)) == SOUND
    assert survey_window_seconds(SOUND) == 2.0


LOSS = LossReport(known_lost=10, unknown_window_seconds=1.5, possible_lost_max=50)


@pytest.mark.parametrize(
    ("loss", "choices", "is_blocked"),
    [
        pytest.param(LOSS, Choices(), False, id="no limit set"),
        pytest.param(LOSS, Choices(loss_max=50), False, id="within"),
        pytest.param(LOSS, Choices(loss_max=49), True, id="above"),
        pytest.param(replace(LOSS, possible_lost_max=None), Choices(loss_max=10**9), True, id="unknown is above"),
        pytest.param(LOSS, Choices(loss_max=0, accepted=frozenset({Override.LOSS})), False, id="accepted"),
        pytest.param(LOSS, Choices(loss_max=0, accepted=frozenset({Override.SPLIT_BRAIN})), True, id="other override"),
    ],
)
def test_whether_the_loss_forbids_it(loss: LossReport, choices: Choices, is_blocked: bool) -> None:
    """The bound is held against the limit, not what is known to be lost."""
    blocked = find_excess(loss, flow=FLOW, choices=choices)
    assert (blocked is not None) is is_blocked
    if blocked is not None:
        assert blocked.is_limit


numbers = st.integers(0, 2**40)
topics = st.text("abc.-_", min_size=1, max_size=20).map(TopicName)
ends = st.builds(PartitionEnds, partition=st.just(0), log_start=numbers, last_stable=numbers, end=numbers)


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Any cut: partitions without a copy, without a position, of a source that was asked or not, by any name."""
    rows = []
    for number in range(draw(st.integers(0, 12))):
        found = draw(st.none() | ends)
        rows.append(
            CutPartition(
                source=TopicPartition(draw(topics), number),
                target=TopicPartition(draw(topics), number),
                mirrored=draw(st.none() | numbers),
                ends=None if found is None else replace(found, partition=number),
                source_end=draw(st.none() | numbers),
            )
        )
    return Cut(taken_at=T0, partitions=tuple(rows), topic_ids=draw(st.dictionaries(topics, st.text(), max_size=3)))


@given(cuts(), st.integers(1, 5))
def test_a_cut_comes_back_from_its_facts(cut: Cut, rows_per_part: int) -> None:
    """However it was cut into parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replicator.failover.facts.ROWS_PER_PART", rows_per_part)
        facts = cut_to_facts(cut)
    assert cut_from_facts(facts) == cut
    assert list(facts)[-1] == "cut", "the closing fact comes last"


def a_cut(*mirrored: int | None) -> Cut:
    """Return a cut with one partition for each position."""
    rows = tuple(
        CutPartition(
            source=TopicPartition(TP.topic, n),
            target=TopicPartition(TP.topic, n),
            mirrored=position,
            ends=PartitionEnds(partition=n, log_start=0, last_stable=90, end=90),
        )
        for n, position in enumerate(mirrored)
    )
    return Cut(taken_at=T0, partitions=rows)


def test_half_a_cut_is_none() -> None:
    """Killed between the parts of a second cut, the facts of both together make no cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("replicator.failover.facts.ROWS_PER_PART", 1)
        first, second = cut_to_facts(a_cut(1, 2)), cut_to_facts(a_cut(3, 4))
    assert cut_from_facts({}) is None
    assert cut_from_facts({"part:0": first["part:0"]}) is None
    assert cut_from_facts({**first, "part:0": second["part:0"]}) is None
    assert cut_from_facts({"cut": first["cut"], "part:0": first["part:0"]}) is None
    assert cut_from_facts({**first, **second}) == a_cut(3, 4)


def test_the_digest_tells_cuts_apart_and_not_moments() -> None:
    """The same positions read a minute later are the same cut."""
    assert a_cut(1).digest == replace(a_cut(1), taken_at=T0 + timedelta(minutes=1)).digest
    assert a_cut(1).digest != a_cut(2).digest


def test_strangers_on_the_copies_are_counted() -> None:
    """What was appended to the copies after the cut, and by nobody of ours."""
    cut, later = a_cut(1, 2), a_cut(1, 2)
    grown = replace(later.partitions[1], ends=PartitionEnds(partition=1, log_start=0, last_stable=97, end=97))
    assert count_strangers(cut, later) == {}
    assert count_strangers(cut, replace(later, partitions=(later.partitions[0], grown))) == {"foreign_offsets": 7}


def test_open_transactions_are_found() -> None:
    """A partition whose end is above its last stable offset has one."""
    still = PartitionEnds(partition=0, log_start=0, last_stable=9, end=9)
    assert open_partitions({TP: still}) == []
    assert open_partitions({TP: replace(still, end=10)}) == [TP]


def move(*offsets: int | None) -> GroupMove:
    """Return a group's move, one partition an offset; None is UNAVAILABLE."""
    rows = tuple(
        Translation(
            partition=TopicPartition(TP.topic, n),
            target_partition=TopicPartition(TP.topic, n),
            source_offset=Offset(100 + n),
            target_offset=None if offset is None else Offset(offset),
            grade=Grade.UNAVAILABLE if offset is None else Grade.EXACT,
            reread_records_max=None if offset is None else 0,
            rule="rank",
        )
        for n, offset in enumerate(offsets)
    )
    return GroupMove(translation=GroupTranslation(FLOW.name, GROUP, rows), cut_digest="d", observed_at=T0)


def seen(*offsets: int | None, state: GroupState = GroupState.EMPTY) -> GroupObservation:
    """Return the group as it stands on the target."""
    committed = {TopicPartition(TP.topic, n): offset for n, offset in enumerate(offsets) if offset is not None}
    return GroupObservation(cluster=FLOW.target, group=GROUP, state=state, observed_at=T0, committed=committed)


def test_a_move_comes_back_from_its_fact() -> None:
    """Positions, grades, rules: all a later process needs."""
    made = move(5, None, 7)
    assert move_from_fact(FLOW.name, GROUP, move_to_fact(made)) == made
    assert group_of(item_of(GroupName("a:b/c"))) == "a:b/c"
    assert group_of("prior:x") is None
    assert made.positions == {TP: 5, TopicPartition(TP.topic, 2): 7}
    assert made.unavailable == (TopicPartition(TP.topic, 1),)


OURS, THEIRS = True, False


@pytest.mark.parametrize(
    ("stands", "settled", "expected"),
    [
        pytest.param(seen(5, 7), None, False, id="stands right, and the journal does not know"),
        pytest.param(seen(5, 7), Settled(Outcome.COMMITTED, OURS), True, id="committed"),
        pytest.param(seen(5, 7), Settled(Outcome.FAILED, THEIRS), True, id="failed, and stands right after all"),
        pytest.param(seen(5, 6), Settled(Outcome.COMMITTED, OURS), False, id="committed, and behind: set it again"),
        pytest.param(seen(), Settled(Outcome.COMMITTED, THEIRS), False, id="committed, and gone"),
        pytest.param(seen(9, 7), Settled(Outcome.COMMITTED, THEIRS), True, id="its consumers have moved on"),
        pytest.param(
            seen(1, 1, state=GroupState.ACTIVE), Settled(Outcome.COMMITTED, THEIRS), True, id="in use since: its own"
        ),
        pytest.param(
            seen(1, state=GroupState.ACTIVE), Settled(Outcome.ACTIVE, OURS), True, id="found active by this process"
        ),
        pytest.param(seen(1), Settled(Outcome.ACTIVE, THEIRS), False, id="was active for another process: try again"),
        pytest.param(seen(), Settled(Outcome.FAILED, OURS), True, id="refused to this process"),
    ],
)
def test_whether_a_group_is_settled(stands: GroupObservation, settled: Settled | None, expected: bool) -> None:
    """The journal is believed where the world agrees or cannot tell any more."""
    assert is_settled(move(5, 7), stands, settled) is expected


@pytest.mark.parametrize(
    ("start", "expected", "is_clamped"),
    [(4, 5, False), (5, 5, False), (6, 6, True), (None, 5, False)],
)
def test_a_position_that_retention_has_overtaken_is_raised_and_says_so(
    start: int | None, expected: int, is_clamped: bool
) -> None:
    """To the log start as it is now; what has no position, or no copy any more, is left as it was."""
    ends = {} if start is None else {TP: PartitionEnds(partition=0, log_start=start, last_stable=50, end=50)}
    ends |= {TopicPartition(TP.topic, 1): PartitionEnds(partition=1, log_start=9, last_stable=50, end=50)}
    found = kept_inside(move(5, None), ends).translation.translations
    assert [(row.target_offset, row.is_clamped) for row in found] == [(expected, is_clamped), (None, False)]


def test_a_group_that_lost_a_position_has_not_moved_on() -> None:
    """A partition without one is behind every position, the first offset too."""
    assert has_moved_on(move(0, 0), seen(0, 0))
    assert not has_moved_on(move(0, 0), seen(0, None))


def test_a_cut_gives_no_position_to_what_was_never_mirrored() -> None:
    """Neither does it give ends to a copy that is not there."""
    bare = CutPartition(source=TP, target=TP, mirrored=None, ends=None)
    other = TopicPartition(TP.topic, 1)
    whole = CutPartition(
        source=other,
        target=other,
        mirrored=3,
        ends=PartitionEnds(partition=1, log_start=0, last_stable=4, end=4),
    )
    cut = Cut(taken_at=T0, partitions=(bare, whole))
    assert cut.mirrored == {other: 3}
    assert set(cut.target_ends) == {other}


@pytest.mark.parametrize(
    ("seen_source", "expected"), [(None, False), (observation(reached=None), False), (observation(), True)]
)
def test_a_source_was_seen_once_it_was_read(seen_source: ClusterObservation | None, expected: bool) -> None:
    """An observation that never read it has seen nothing."""
    assert replace(SOUND, observation=seen_source).has_seen_source is expected


def test_a_group_outside_its_log_is_misplaced() -> None:
    """Below the log start or above the end a consumer would use its own reset."""
    found = {TP: PartitionEnds(partition=0, log_start=3, last_stable=9, end=9)}
    assert find_misplaced(GROUP, move(5), seen(5), found) == []
    assert find_misplaced(GROUP, move(5), seen(9), found) == []
    for position in (2, 10, None):
        assert len(find_misplaced(GROUP, move(5), seen(position), found)) == 1
    assert len(find_misplaced(GROUP, move(5), seen(5), {})) == 1


def test_grades_are_counted_by_the_worst_of_a_group() -> None:
    """One UNAVAILABLE partition makes the group so."""
    assert count_grades([move(1), move(1, None), move(2)]) == {"EXACT": 2, "UNAVAILABLE": 1}


@pytest.mark.parametrize(
    ("objectives", "rto", "loss", "expected"),
    [
        pytest.param(Objectives(), 5.0, LOSS, {}, id="nothing promised"),
        pytest.param(Objectives(rpo_records=50), 5.0, LOSS, {"rpo_records": True}, id="even at worst"),
        pytest.param(Objectives(rpo_records=9), 5.0, LOSS, {"rpo_records": False}, id="more is known lost"),
        pytest.param(Objectives(rpo_records=20), 5.0, LOSS, {"rpo_records": None}, id="between: unknown"),
        pytest.param(
            Objectives(rpo_records=10**9),
            5.0,
            replace(LOSS, possible_lost_max=None),
            {"rpo_records": None},
            id="no bound: unknown, however much was promised",
        ),
        pytest.param(
            Objectives(rpo_seconds=2), 5.0, replace(LOSS, lost_seconds_max=1.5), {"rpo_seconds": True}, id="in time"
        ),
        pytest.param(Objectives(rpo_seconds=2), 5.0, LOSS, {"rpo_seconds": None}, id="of unknown age"),
        pytest.param(
            Objectives(rpo_seconds=1), 5.0, replace(LOSS, lost_seconds_max=1.5), {"rpo_seconds": None}, id="maybe late"
        ),
        pytest.param(Objectives(rpo_seconds=1), 5.0, None, {"rpo_seconds": None}, id="no cut"),
        pytest.param(Objectives(rto_seconds=5), 5.0, LOSS, {"rto_seconds": True}, id="just in time"),
        pytest.param(Objectives(rto_seconds=5), 5.1, LOSS, {"rto_seconds": False}, id="late"),
        pytest.param(Objectives(rto_seconds=5), None, LOSS, {"rto_seconds": None}, id="not verified yet"),
    ],
)
def test_whether_promises_were_held(
    objectives: Objectives, rto: float | None, loss: LossReport | None, expected: dict[str, bool | None]
) -> None:
    """Held, broken or unknown; never held by what nobody read."""
    verdicts = judge(objectives, rto_seconds=rto, loss=loss)
    assert {verdict.objective: verdict.is_held for verdict in verdicts} == expected
    assert all(verdict.evidence for verdict in verdicts)


class Desk:
    """A journal with operations in any state."""

    def __init__(self, *, writer: str = "main") -> None:
        self.journal = Journal(MemoryLog())
        self.writer = self.journal.open_writer(writer, is_allowed=lambda: True, deadline=Deadline.after(5))

    def begin(self, id_: str, *, kind: OperationKind = OperationKind.FAILOVER, **body: object) -> Logbook:
        """Begin an operation of the flow."""
        request = Request(operation_id=OperationId(id_), flow=FLOW.name, kind=kind, actor="ann")
        log = Logbook(self.writer, request)
        log.begin({"source": FLOW.source, "target": FLOW.target, **body})
        return log


def order(operation_id: str | None = None, kind: OperationKind = OperationKind.FAILOVER) -> Order:
    """Return an order of now."""
    id_ = None if operation_id is None else OperationId(operation_id)
    return Order(kind=kind, actor="ann", commanded_at=T0, operation_id=id_)


def test_a_flow_without_an_open_operation_begins_one() -> None:
    """Also after one that was aborted."""
    desk = Desk()
    assert find_target((), FLOW, order(), writer="main") is None
    desk.begin("op-1").end(OperationState.ABORTED)
    assert find_target(desk.writer.records, FLOW, order(), writer="main") is None


def test_the_same_command_again_goes_on_with_the_open_operation() -> None:
    """Whether it halted by itself or its process died."""
    desk = Desk()
    log = desk.begin("op-1")
    found = find_target(desk.writer.records, FLOW, order(), writer="main")
    assert found is not None
    assert found.id == "op-1"
    log.halt("held")
    found = find_target(desk.writer.records, FLOW, order("op-1"), writer="main")
    assert found is not None


def test_a_flow_that_was_failed_over_is_not_failed_over_again() -> None:
    """Its target is active: the command that comes next shows the operation that did it."""
    desk = Desk()
    log = desk.begin("op-1")
    log.note("promote", StepPhase.INTENT)
    log.add_fact("promote", "active", {"cluster": "west"})
    log.end(OperationState.DONE)
    with pytest.raises(PreflightBlocked, match="west is active since op-1"):
        find_target(desk.writer.records, FLOW, order(), writer="main")


def test_an_operation_that_is_over_is_not_gone_on_with() -> None:
    """Asked for by its id, it is refused with its state."""
    desk = Desk()
    desk.begin("op-1").end(OperationState.DONE_WITH_EXCEPTIONS)
    with pytest.raises(PreflightBlocked, match="done_with_exceptions"):
        find_target(desk.writer.records, FLOW, order("op-1"), writer="main")


def test_an_unknown_operation_is_not_found() -> None:
    """By its id."""
    with pytest.raises(NotFound, match="op-9"):
        find_target((), FLOW, order("op-9"), writer="main")


def test_an_open_operation_of_another_kind_comes_first() -> None:
    """Its own resume or abort."""
    desk = Desk()
    desk.begin("op-1", kind=OperationKind.FAILOVER)
    with pytest.raises(PreflightBlocked, match="open failover") as caught:
        find_target(desk.writer.records, FLOW, order(kind=OperationKind.SWITCHOVER), writer="main")
    assert "op abort op-1" in str(caught.value.hint)


def test_a_planned_move_gives_way_to_a_failover_until_it_is_promoted() -> None:
    """Also while it is being aborted; by its own id, by another supervisor, or past promote it is not taken over."""
    desk = Desk()
    log = desk.begin("op-1", kind=OperationKind.SWITCHOVER)
    log.begin_abort()
    log.halt("undo of fence_source: east does not answer")
    records = desk.writer.records
    assert find_target(records, FLOW, order(), writer="main") is None
    with pytest.raises(PreflightBlocked, match="open switchover"):
        find_target(records, FLOW, order(), writer="other")
    with pytest.raises(PreflightBlocked, match="open switchover"):
        find_target(records, FLOW, order("op-1"), writer="main")
    promoted = Desk()
    promoted.begin("op-2", kind=OperationKind.SWITCHOVER).note("promote", StepPhase.INTENT)
    with pytest.raises(PreflightBlocked, match="open switchover"):
        find_target(promoted.writer.records, FLOW, order(), writer="main")


def test_a_failover_gives_way_to_another_only_once_its_abort_stands_still() -> None:
    """An abort that cannot reach the dead source keeps nobody from failing over."""
    desk = Desk()
    log = desk.begin("op-1")
    log.begin_abort()
    with pytest.raises(PreflightBlocked, match="being aborted"):
        find_target(desk.writer.records, FLOW, order(), writer="main")
    log.halt("undo of survey: east does not answer")
    assert find_target(desk.writer.records, FLOW, order(), writer="main") is None
    again = find_target(desk.writer.records, FLOW, order(), writer="main", is_abort=True)
    assert again is not None
    assert again.id == "op-1"  # an abort takes back what is open, whoever might take it over


def test_who_takes_over_inherits_what_was_left_and_ends_the_other() -> None:
    """Facts come from the nearest operation first, through all that were taken over; the other's end names whose."""
    desk = Desk()
    desk.begin("op-1", kind=OperationKind.SWITCHOVER).add_facts("commit", {"prior:a": {"at": 1}, "prior:b": {"at": 1}})
    second = desk.begin("op-2", takes_over="op-1")
    end_taken_over(second)
    second.add_fact("commit", "prior:b", {"at": 2})
    third = desk.begin("op-3", takes_over="op-2")
    end_taken_over(third)
    end_taken_over(third)
    assert inherited_facts(third, "commit") == {"prior:a": {"at": 1}, "prior:b": {"at": 2}}
    assert inherited_facts(desk.begin("op-4"), "commit") == {}
    states = {id_: operation.state.value for id_, operation in list_operations(desk.writer.records).items()}
    assert states == {"op-1": "aborted", "op-2": "aborted", "op-3": "running", "op-4": "running"}


def test_a_drill_that_stands_still_gives_way_to_a_failover_alone() -> None:
    """An outage waits for no rehearsal; a planned move does, and so does another supervisor's drill."""
    desk = Desk()
    desk.begin("op-1", kind=OperationKind.DRILL)
    records = desk.writer.records
    assert find_target(records, FLOW, order(), writer="main") is None
    for refused in (
        lambda: find_target(records, FLOW, order(kind=OperationKind.SWITCHOVER), writer="main"),
        lambda: find_target(records, FLOW, order(), writer="other"),
    ):
        with pytest.raises(PreflightBlocked, match="open drill"):
            refused()


def test_an_operation_being_aborted_only_goes_back() -> None:
    """Forward is refused; the abort goes on."""
    desk = Desk()
    desk.begin("op-1").begin_abort()
    with pytest.raises(PreflightBlocked, match="being aborted"):
        find_target(desk.writer.records, FLOW, order(), writer="main")
    assert find_target(desk.writer.records, FLOW, order("op-1"), writer="main", is_abort=True) is not None


def test_another_supervisors_operation_is_left_alone() -> None:
    """Its transactional id is not ours to take."""
    desk = Desk(writer="other")
    desk.begin("op-1")
    with pytest.raises(PreflightBlocked, match="'other'"):
        find_target(desk.writer.records, FLOW, order(), writer="main")


def test_what_was_accepted_once_stays_accepted() -> None:
    """Overrides add up over runs; a limit stays until another is set."""
    desk = Desk()
    log = desk.begin("op-1", accepted=["split-brain"], loss_max=100)
    merged = merge_choices(Choices(accepted=frozenset({Override.LOSS})), log.records)
    assert merged == Choices(accepted=frozenset({Override.LOSS, Override.SPLIT_BRAIN}), loss_max=100)
    assert merge_choices(Choices(loss_max=5), log.records).loss_max == 5
    assert merge_choices(Choices(), ()) == Choices()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(Fencing(grade=FenceGrade.HOOK), FenceGrade.ACL, id="the configured one gives way"),
        pytest.param(Fencing(grade=FenceGrade.ATTESTED, is_asked=True), FenceGrade.ATTESTED, id="another, in time"),
    ],
)
def test_an_operation_keeps_its_fence_until_another_is_asked_for(asked: Fencing, expected: FenceGrade) -> None:
    """What blocked before any fence was set goes on with the one that its hint names."""
    log = Desk().begin("op-1", fence="acl")
    log.note("fence_source", StepPhase.BLOCKED, {"reason": "no authorizer"})
    assert fencing_as_begun(asked, log.records).grade is expected


def test_a_fence_that_was_begun_is_not_swapped() -> None:
    """Its rules would be left standing; the same grade goes on."""
    log = Desk().begin("op-1", fence="acl")
    log.note("fence_source", StepPhase.INTENT)
    with pytest.raises(PreflightBlocked, match="not swapped for attested"):
        fencing_as_begun(Fencing(grade=FenceGrade.ATTESTED, is_asked=True), log.records)
    assert fencing_as_begun(Fencing(grade=FenceGrade.ACL, is_asked=True), log.records).grade is FenceGrade.ACL


def test_operation_ids_tell_kind_and_moment_and_never_repeat() -> None:
    """Sortable by time, readable by people."""
    made = {make_operation_id(OperationKind.FAILOVER, T0) for _ in range(50)}
    assert len(made) == 50
    assert all(id_.startswith("failover-20261122-160000-") for id_ in made)


@pytest.mark.parametrize(
    "changes",
    [
        {"topics": Selection(("other",))},
        {"groups": Selection(("*",), ("left-behind",))},
        {"naming": Naming.PREFIX},
        {"target": ClusterName("north")},
    ],
)
def test_an_operation_goes_on_with_what_it_was_begun_with(changes: dict[str, object]) -> None:
    """Topics or groups taken out of the flow in between would be left behind and called done; anything else of its
    configuration may change, and an operation of an older version did not note its choice."""
    desk = Desk()
    desk.begin("op-1", moves=digest_of_moves(FLOW))
    records = desk.writer.records
    refuse_changed_flow(FLOW, records)
    refuse_changed_flow(replace(FLOW, objectives=Objectives(rto_seconds=1), connector={"tasks.max": "9"}), records)
    with pytest.raises(PreflightBlocked, match="were changed since") as error:
        refuse_changed_flow(replace(FLOW, **changes), records)  # type: ignore[arg-type]
    assert error.value.hint is not None
    assert f"replicator op abort {records[0].operation_id}" in error.value.hint
    refuse_changed_flow(replace(FLOW, **changes), ())  # type: ignore[arg-type]
