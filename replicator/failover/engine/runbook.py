"""A runbook is a list you can read aloud: steps with a check, an act, and a way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from replicator.errors import NotFound
from replicator.failover.engine.crash import AFTER_UNDO, AROUND_EVERY_STEP
from replicator.model.operations import Finding, OperationKind

W = TypeVar("W")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[W]):
    """One entry. `check` asks the world and changes nothing; `do` may be repeated; `undo` leads back.

    `says` is the sentence an operator reads before it runs. `foresee` tells in a rehearsal what `do` would
    find. `proof_seconds` is how long the world may take to show the goal after `do`. A step that is
    `is_read_only` changes nothing but the journal. Before a step that `lays_ground` is done, a rehearsal foresees
    nothing of those that `needs_ground`: what they would find is not there yet. `kill_points` names the places
    inside `do` where a crash test may strike.
    """

    name: str
    says: str
    check: Callable[[W], Finding]
    do: Callable[[W], None]
    undo: Callable[[W], None] | None = None
    foresee: Callable[[W], str] | None = None
    is_point_of_no_return: bool = False
    is_read_only: bool = False
    lays_ground: bool = False
    needs_ground: bool = False
    proof_seconds: float = 10.0
    kill_points: tuple[str, ...] = ()

    def all_kill_points(self) -> tuple[str, ...]:
        """Return the full names of every place where this step can be killed."""
        undo = (AFTER_UNDO,) if self.undo is not None else ()
        return tuple(f"{self.name}.{point}" for point in (*AROUND_EVERY_STEP, *self.kill_points, *undo))


@dataclass(frozen=True, slots=True, kw_only=True)
class Runbook(Generic[W]):
    """The steps of one kind of operation, in order."""

    kind: OperationKind
    steps: tuple[Step[W], ...]

    @property
    def point_of_no_return(self) -> int | None:
        """The place of the step past which the only way is forward; None when all can be undone."""
        return next((place for place, step in enumerate(self.steps) if step.is_point_of_no_return), None)

    def step(self, name: str) -> Step[W]:
        """Return the step of this name.

        Raises:
            NotFound: this runbook has none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        known = ", ".join(step.name for step in self.steps)
        raise NotFound(f"{self.kind.value} has no step {name!r}", hint=f"its steps are {known}")

    def all_kill_points(self) -> tuple[str, ...]:
        """Return the names of every place where this runbook can be killed."""
        return tuple(point for step in self.steps for point in step.all_kill_points())
