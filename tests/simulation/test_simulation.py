"""The runbooks in a disturbed world: some hundred seeds here, ten thousand by `make simulation`; planted faults."""

from __future__ import annotations

import pytest

from replicator.errors import OperationHalted, PreflightBlocked
from replicator.failover import Choices, OperationReport, Order, Override, run_operation
from replicator.journal import journal_topic, observations_topic
from replicator.journal.observations import encode_observation
from replicator.model.names import OperationId, TopicPartition
from replicator.model.observations import OvertakenSpan, TopicObservation
from replicator.model.operations import OperationKind, OperationState
from tests.simulation.homeward_plants import HOMEWARD_PLANTS
from tests.simulation.plants import PLANTS
from tests.simulation.play import Theatre, draw_faults, play
from tests.simulation.stage import FLOW, make_stage
from tests.simulation.wires import Fault, Process

SEEDS = 240
CHUNKS = 6
SEEDS_TO_FIND_MAX = 400
"""Within so many seeds each planted fault is found."""
FIRST = {
    "half_a_cut_is_enough": 320,
    "late_writes_are_not_looked_for": 100,
    "an_abort_leaves_the_groups": 100,
    "an_abort_leaves_the_flow_stopped": 30,
    "an_abort_leaves_the_fence": 30,
    "an_abort_may_come_after_promote": 20,
    "undone_groups_are_deleted": 100,
    "priors_are_noted_too_late": 100,
    "the_fence_is_not_journaled": 30,
    "finished_steps_are_believed": 60,
}
"""Where the search begins for faults that seldom show: from seed 0 it finds them there, which takes its time."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_happens_the_promises_hold(chunk: int) -> None:
    """Each seed ends as it does undisturbed, or is refused or taken back with nothing half-done."""
    size = SEEDS // CHUNKS
    failed = [played for seed in range(chunk * size, (chunk + 1) * size) if (played := play(seed)).violation]
    told = [f"{p.violation}\n  again: python -m tests.simulation --seed {p.seed}" for p in failed]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_found(name: str) -> None:
    """A product that is wrong in one way breaks a promise within a bounded number of seeds."""
    with PLANTS[name]():
        first = FIRST.get(name, 0)
        found = next((seed for seed in range(first, first + SEEDS_TO_FIND_MAX) if play(seed).violation), None)
    assert found is not None, f"{name} lived through {SEEDS_TO_FIND_MAX} seeds"


@pytest.mark.parametrize("kind", [OperationKind.FAILOVER, OperationKind.SWITCHOVER, OperationKind.DRILL])
@pytest.mark.parametrize("is_alias", [False, True])
def test_two_names_of_one_cluster_are_refused_before_a_word_is_written(kind: OperationKind, is_alias: bool) -> None:
    """By the addresses, or by the id that both give: nothing is fenced, and no journal is begun."""
    stage = next(stage for stage in map(make_stage, range(40)) if stage.kind is kind)
    stage.source.is_down = False
    if is_alias:
        stage.source.cluster_id = stage.target.cluster_id
    else:
        stage.source = stage.target
    before = stage.standing()
    theatre = Theatre(stage, 0, {})
    with theatre._patched():
        told = theatre._run_process(is_abort=False)
    assert told == f"PreflightBlocked: {FLOW.source} and {FLOW.target} are one and the same cluster (west-id)"
    assert journal_topic() not in stage.target.topics
    assert stage.standing() == before


def ordered(theatre: Theatre, choices: Choices, number: int, *, hold_before: str | None = None) -> OperationReport:
    """Return the report of a switchover that somebody orders now."""
    process = Process(theatre.wires, f"process-{number}")
    with theatre._patched():
        world, epoch = theatre._world(process)
        world.choices = choices
        order = Order(
            kind=OperationKind.SWITCHOVER,
            actor="simulation",
            commanded_at=theatre.stage.clock.now(),
            fresh_id=OperationId(f"switchover-{number}"),
            hold_before=hold_before,
        )
        return run_operation(world, order, announce=lambda _id: None, epoch_elsewhere=epoch)


@pytest.mark.parametrize("is_told_by_a_supervisor", [False, True])
def test_what_was_deleted_before_it_was_mirrored_keeps_a_planned_move_from_its_fence(
    is_told_by_a_supervisor: bool,
) -> None:
    """Nothing is changed and nothing is fenced; accepted by name it moves, and the loss holds every offset of it."""
    stage = next(
        stage
        for stage in map(make_stage, range(40))
        if stage.kind is OperationKind.SWITCHOVER and len(stage.partitions) == 1
    )
    (tp,) = stage.partitions
    stage.app_writes, stage.mirror_rate = 0, 0.0
    while stage.unmirrored():
        stage.worker.mirror()
    position = stage.worker.position(tp)
    stage.write(tp, 30)
    stage.source.log(tp).log_start = start = stage.source.log(tp).end - 5
    if is_told_by_a_supervisor:
        stage.target.create(observations_topic(), 1)
        span = OvertakenSpan(partition=tp.partition, from_offset=position, to_offset=start, seen_at=stage.clock.now())
        seen = TopicObservation(
            cluster=FLOW.source,
            topic=tp.topic,
            topic_id=stage.source.topics[tp.topic].topic_id,
            observed_at=stage.clock.now(),
            partitions=(stage.source.ends(tp),),
            overtaken=(span,),
        )
        stage.target.write(TopicPartition(observations_topic(), 0), *encode_observation(FLOW.name, seen))
        while stage.unmirrored():
            stage.worker.mirror()
        assert stage.worker.position(tp) > start
    before, theatre = stage.standing(), Theatre(stage, 0, {})
    with pytest.raises(PreflightBlocked, match=f"{start - position} offsets of east went before") as caught:
        ordered(theatre, Choices(), 1)
    assert "--accept loss" in (caught.value.hint or "")
    assert stage.standing() == before
    with pytest.raises(OperationHalted, match="held before fence_source"):
        ordered(theatre, Choices(accepted=frozenset({Override.LOSS})), 2, hold_before="fence_source")
    stage.mirror_rate = 0.25
    report = ordered(theatre, Choices(), 3)
    assert report.state is OperationState.DONE_WITH_EXCEPTIONS
    assert report.loss is not None
    assert (report.loss.known_lost, report.loss.possible_lost_max) == (0, start - position)
    assert any(f"{tp}: {start - position} offsets were deleted on the source" in told for told in report.exceptions)


def test_there_are_as_many_plants_as_promised() -> None:
    """Twenty at least, and as many of the way home."""
    assert len(PLANTS) >= 20
    assert len(HOMEWARD_PLANTS) >= 20


def test_a_seed_is_the_same_every_time() -> None:
    """Its trail and its calls repeat, so that a failing seed can be looked at."""
    for seed in range(12):
        first, again = play(seed), play(seed)
        assert (first.trail, first.calls) == (again.trail, again.calls)


def test_every_kind_of_fault_is_drawn_and_leaves_a_trail() -> None:
    """A fault that never happens proves nothing: each kind is met at some call of the first seeds."""
    lines = [line for seed in range(80) for line in play(seed).trail]
    assert {fault for fault in Fault if any(line.endswith(f": {fault.value}") for line in lines)} == set(Fault)
    assert {fault for seed in range(200) for fault in draw_faults(seed, 150).values()} == set(Fault)
