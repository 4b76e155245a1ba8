"""Every runbook killed at every place it names and at every write to its journal, one at a time, and run again.

It ends in the same state, with the same report but for times, as if it had never been killed.
"""

from __future__ import annotations

import pytest

from replicator.failover import FenceGrade, report_of, runbook_of
from replicator.journal import list_operations
from replicator.model.objectives import Objectives
from replicator.model.operations import OperationKind
from tests.simulation.judge import Ending, journal_of
from tests.simulation.play import Theatre, copy_stage, open_stage
from tests.simulation.stage import Stage, is_homeward
from tests.simulation.wires import Fault

SEEDS_TRIED = range(200)
SETTLED = {"already": "done"}
"""A step whose effect was there when its process was killed is found done by the next: the same end."""


def open_world(kind: OperationKind) -> Stage:
    """Return a world in which this kind is ordered once and seen through, its fence proven where it has one."""
    for seed in SEEDS_TRIED:
        if is_homeward(seed) is not (kind is OperationKind.FAILBACK):
            continue
        stage = open_stage(seed)
        is_fenced = stage.fencing.grade is FenceGrade.ACL or kind is OperationKind.FAILOVER
        if stage.kind is kind and is_fenced and len(stage.truth) > 1:
            stage.aborts_after, stage.app_writes = None, 0
            return stage
    raise AssertionError(f"no such world: {kind}")


def told(stage: Stage) -> dict[str, object]:
    """Return the newest report, times and what follows from them left out."""
    operations = list_operations(journal_of(stage.target)).values()
    last = [operation for operation in operations if operation.kind is stage.kind][-1]
    report = report_of(last.records, objectives=Objectives())
    return {
        "state": report.state,
        "is_past_promote": report.is_past_promote,
        "accepted": report.accepted,
        "fence": report.fence,
        "known_lost": report.loss.known_lost if report.loss else None,
        "orphans": (report.orphans.records, report.orphans.partitions) if report.orphans else None,
        "groups": [(g.group, g.outcome, g.grade, g.reread_records_max, g.unavailable) for g in report.groups],
        "exceptions": report.exceptions,
        "steps": [(step.step, SETTLED.get(step.phase, step.phase)) for step in report.steps],
        "operations": len([operation for operation in operations if operation.kind is stage.kind]),
    }


def ended(stage: Stage, faults: dict[int, Fault]) -> tuple[Ending, dict[str, object], Theatre]:
    """Return how a world ends, and what is told of it."""
    theatre = Theatre(stage, 0, faults)
    return theatre.run(), told(stage), theatre


@pytest.mark.parametrize(
    "kind", [OperationKind.DRILL, OperationKind.FAILOVER, OperationKind.SWITCHOVER, OperationKind.FAILBACK]
)
def test_a_runbook_killed_anywhere_ends_as_if_it_had_never_been(kind: OperationKind) -> None:
    """One SIGKILL, at each place in turn; the same command again. Groups, rules, connectors, the active cluster and the
    report are those of the world in which nobody was killed."""
    stage = open_world(kind)
    meant, report, calm = ended(copy_stage(stage), {})
    named = set(runbook_of(kind).all_kill_points())
    passed = set(calm.wires.places.values())
    writes = {name for name in passed if name.startswith("journal.")}
    assert len(passed & named) > 0.75 * len(named)
    assert len(writes) >= 2 * 2 * len(runbook_of(kind).steps), (
        "each step is begun and done, and killed before and after"
    )
    other = {}
    for call, place in calm.wires.places.items():
        found, said, rough = ended(copy_stage(stage), {call: Fault.KILL_BEFORE})
        assert any(line.endswith("kill_before") for line in rough.wires.trail), place
        if (found, said) != (meant, report):
            other[place] = [(key, said[key], report[key]) for key in said if said[key] != report[key]] or found
    assert not other
    print(f"{kind.value}: killed at {len(calm.wires.places)} places, {len(writes)} of them around writes")
