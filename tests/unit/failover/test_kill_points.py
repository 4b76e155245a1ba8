"""Every place where a runbook may be killed is named, and every name is a place in the code."""

from __future__ import annotations

import inspect
import re
from types import ModuleType

import pytest

from replicator.failover import RUNBOOKS, Step, World
from replicator.failover.steps.hold_lease import act_on_nothing

STEPS = {(kind.value, step.name): step for kind, runbook in RUNBOOKS.items() for step in runbook.steps}
_STRIKE = re.compile(r'crashpoint\(f"\{(\w+)\}\.(\w+)"\)')


def strikes_in(module: ModuleType) -> set[tuple[str, str]]:
    """Return step and place of every kill point that a module strikes at."""
    found = _STRIKE.findall(inspect.getsource(module))
    return {(getattr(module, constant), place) for constant, place in found}


def module_of(step: Step[World]) -> ModuleType:
    """Return the module that holds what a step does."""
    module = inspect.getmodule(step.do)
    assert module is not None
    return module


@pytest.mark.parametrize("key", STEPS, ids="/".join)
def test_a_step_names_the_kill_points_it_has(key: tuple[str, str]) -> None:
    """What `do` strikes at is declared, what is declared is struck at: the crash matrix misses none."""
    step = STEPS[key]
    struck = {place for name, place in strikes_in(module_of(step)) if name == step.name}
    assert struck == set(step.kill_points)


@pytest.mark.parametrize("key", STEPS, ids="/".join)
def test_a_step_that_changes_the_world_can_be_killed_inside(key: tuple[str, str]) -> None:
    """A step with effects has a kill point between them; around each step there are four in any case."""
    step = STEPS[key]
    assert step.is_read_only or step.do is act_on_nothing or step.kill_points, f"{step.name} has none"
    assert len(step.all_kill_points()) >= 4


def test_there_are_as_many_places_as_promised() -> None:
    """At least sixty over all runbooks, each with a name of its own within its runbook."""
    for runbook in RUNBOOKS.values():
        points = runbook.all_kill_points()
        assert len(points) == len(set(points))
    assert sum(len(runbook.all_kill_points()) for runbook in RUNBOOKS.values()) >= 60
