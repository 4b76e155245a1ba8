"""The only thing that runs a runbook: forward, backward before the point of no return, or in rehearsal.

For each step: check the world → journal the intent → do → check the world again → journal that it is done.
A step whose goal already holds is passed over, so running again *is* resuming. Once the intent of the
point of no return is journaled, nothing before it is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar, assert_never

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import (
    DeadlineExceeded,
    Fenced,
    LimitExceeded,
    OperationHalted,
    PreflightBlocked,
    ReplicatorError,
    Unreachable,
)
from replicator.failover.engine.crash import (
    AFTER_DONE,
    AFTER_EFFECT,
    AFTER_INTENT,
    AFTER_UNDO,
    BEFORE_INTENT,
    Crashpoint,
    never_crash,
)
from replicator.failover.engine.logbook import Logbook
from replicator.failover.engine.runbook import Runbook, Step
from replicator.model.operations import Blocked, Done, Finding, OperationState, Ready, StepPhase

W = TypeVar("W")

PROOF_PAUSE_SECONDS = 0.1
PROOF_PAUSE_SECONDS_MAX = 1.0


@dataclass(frozen=True, slots=True)
class StepEvent:
    """What an onlooker is told while a runbook runs. `phase` None: the step is being looked at."""

    step: str
    says: str
    phase: StepPhase | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ForeseenStep:
    """One step of a rehearsal: what its check found, and nothing was changed."""

    step: str
    says: str
    finding: Finding


Onlooker = Callable[[StepEvent], None]


def nobody_looks(_event: StepEvent) -> None:
    """Tell nobody."""


class Engine(Generic[W]):
    """Runs one runbook against one world, writing one operation's journal."""

    def __init__(
        self,
        runbook: Runbook[W],
        world: W,
        logbook: Logbook,
        *,
        clock: Clock = SYSTEM_CLOCK,
        crashpoint: Crashpoint = never_crash,
        onlooker: Onlooker = nobody_looks,
    ) -> None:
        self._runbook = runbook
        self._world = world
        self._log = logbook
        self._clock = clock
        self._crashpoint = crashpoint
        self._onlooker = onlooker

    def run(self, *, hold_before: str | None = None) -> None:
        """Bring every step to Done, in order; afterwards the last one's goal holds.

        Raises:
            PreflightBlocked, LimitExceeded, Unreachable…: a step said no before anything was changed; the
                operation has ended.
            OperationHalted, LimitExceeded: it stopped midway; the hint names the next command.
            Fenced: a newer holder of the lease has taken over; nothing more was journaled.
        """
        if hold_before is not None:
            self._runbook.step(hold_before)
        with self._told_when_cut_off():
            for step in self._remaining():
                if step.name == hold_before:
                    self._hold(step)
                self._run_step(step)

    @contextmanager
    def _told_when_cut_off(self) -> Iterator[None]:
        """Journal, if it can still be, that a signal or a fault of our own has ended this run midway."""
        try:
            yield
        except ReplicatorError as error:
            error.operation_id = error.operation_id or self._log.request.operation_id
            raise
        except BaseException as error:
            with suppress(ReplicatorError):
                self._log.halt(f"cut off by {type(error).__name__}")
            raise

    def _remaining(self) -> Sequence[Step[W]]:
        place = self._runbook.point_of_no_return
        is_settled = place is not None and self._log.is_past_promote
        return self._runbook.steps[place:] if is_settled else self._runbook.steps

    def _hold(self, step: Step[W]) -> NoReturn:
        reason = f"held before {step.name}, as asked"
        self._log.halt(reason)
        raise self._halted(reason)

    def _run_step(self, step: Step[W]) -> None:
        self._log.require_lease()
        self._tell(step, None)
        try:
            finding = self._advance(step)
        except Fenced:
            raise
        except ReplicatorError as error:
            self._fail(step, error)
        if isinstance(finding, Blocked):
            self._block(step, finding)

    def _advance(self, step: Step[W]) -> Finding:
        """Return Done once the goal holds, or the Blocked that keeps the step from it."""
        finding = step.check(self._world)
        match finding:
            case Done(evidence):
                self._log.note(step.name, StepPhase.ALREADY, evidence)
                self._tell(step, StepPhase.ALREADY)
                return finding
            case Blocked():
                return finding
            case Ready(says):
                return self._act(step, says)
            case never:
                assert_never(never)

    def _act(self, step: Step[W], says: str) -> Finding:
        self._crashpoint(f"{step.name}.{BEFORE_INTENT}")
        self._log.note(step.name, StepPhase.INTENT, {"says": says} if says else {})
        self._tell(step, StepPhase.INTENT, says)
        self._crashpoint(f"{step.name}.{AFTER_INTENT}")
        step.do(self._world)
        self._crashpoint(f"{step.name}.{AFTER_EFFECT}")
        finding = self._prove(step)
        if isinstance(finding, Done):
            self._log.note(step.name, StepPhase.DONE, finding.evidence)
            self._tell(step, StepPhase.DONE)
            self._crashpoint(f"{step.name}.{AFTER_DONE}")
        return finding

    def _prove(self, step: Step[W]) -> Finding:
        """Ask the world until it shows the goal; it may be slow to."""
        deadline = Deadline.after(step.proof_seconds, clock=self._clock)
        pause = PROOF_PAUSE_SECONDS
        while True:
            finding = step.check(self._world)
            if not isinstance(finding, Ready):
                return finding
            if deadline.is_over:
                raise OperationHalted(f"{step.name} ran, and its goal does not show: {finding.says or 'not yet'}")
            self._clock.sleep(deadline.capped(pause))
            pause = min(pause * 2, PROOF_PAUSE_SECONDS_MAX)

    def _block(self, step: Step[W], finding: Blocked) -> NoReturn:
        body = {"reason": finding.reason, "hint": finding.hint}
        self._log.note(step.name, StepPhase.BLOCKED, body)
        self._tell(step, StepPhase.BLOCKED, finding.reason)
        kind = LimitExceeded if finding.is_limit else PreflightBlocked
        message = f"{step.name}: {finding.reason}"
        if not self._has_effects():
            self._log.end(OperationState.ABORTED, {"reason": finding.reason})
            raise kind(message, hint=finding.hint, operation_id=self._log.request.operation_id)
        self._log.halt(finding.reason)
        if finding.is_limit:
            raise kind(message, hint=finding.hint, operation_id=self._log.request.operation_id)
        raise self._halted(message, hint=finding.hint)

    def _fail(self, step: Step[W], error: ReplicatorError) -> NoReturn:
        self._log.note(step.name, StepPhase.FAILED, {"code": error.code, "message": error.message})
        self._tell(step, StepPhase.FAILED, error.message)
        if not self._has_effects():
            self._log.end(OperationState.ABORTED, {"reason": error.message})
            error.operation_id = self._log.request.operation_id
            raise error
        self._log.halt(f"{step.name}: {error.message}")
        raise self._halted(f"{step.name}: {error.message}", hint=error.hint) from error

    def _has_effects(self) -> bool:
        """Whether any step that changes the world was ever begun in this operation."""
        return any(not step.is_read_only and self._log.has(step.name, StepPhase.INTENT) for step in self._runbook.steps)

    def _halted(self, message: str, *, hint: str | None = None) -> OperationHalted:
        operation_id = self._log.request.operation_id
        ways = f"`replicator op resume {operation_id}` goes on"
        if not self._log.is_past_promote:
            ways += f", `replicator op abort {operation_id}` goes back"
        return OperationHalted(message, hint=f"{hint}; {ways}" if hint else ways, operation_id=operation_id)

    def abort(self) -> None:
        """Undo, backwards, every step that was begun; afterwards the start is restored and the operation over.

        Raises:
            PreflightBlocked: it is past the point of no return; nothing was changed.
            OperationHalted: an undo failed; the same command goes on.
        """
        if self._log.is_past_promote:
            operation_id = self._log.request.operation_id
            raise PreflightBlocked(
                f"operation {operation_id} is past its point of no return: the way back is a failback",
                hint=f"replicator op resume {operation_id}",
                operation_id=operation_id,
            )
        with self._told_when_cut_off():
            self._log.begin_abort()
            for step in reversed(self._runbook.steps):
                if step.undo is not None and self._log.has(step.name, StepPhase.INTENT):
                    self._undo(step)
            self._log.end(OperationState.ABORTED)

    def _undo(self, step: Step[W]) -> None:
        if self._log.has(step.name, StepPhase.UNDONE) or step.undo is None:
            return
        self._log.require_lease()
        try:
            step.undo(self._world)
        except Fenced:
            raise
        except ReplicatorError as error:
            self._log.note(step.name, StepPhase.FAILED, {"code": error.code, "message": error.message, "is_undo": True})
            self._log.halt(f"undo of {step.name}: {error.message}")
            operation_id = self._log.request.operation_id
            raise OperationHalted(
                f"undo of {step.name}: {error.message}",
                hint=f"`replicator op abort {operation_id}` goes on",
                operation_id=operation_id,
            ) from error
        self._crashpoint(f"{step.name}.{AFTER_UNDO}")
        self._log.note(step.name, StepPhase.UNDONE)
        self._tell(step, StepPhase.UNDONE)

    def _tell(self, step: Step[W], phase: StepPhase | None, text: str = "") -> None:
        self._onlooker(StepEvent(step.name, step.says, phase, text))


def rehearse(runbook: Runbook[W], world: W, *, onlooker: Onlooker = nobody_looks) -> tuple[ForeseenStep, ...]:
    """Return what each step's check finds now; nothing is changed. Passing it promises no success.

    Behind a step that something needed did not answer no step is looked at: each would wait as long, for nothing.
    """
    foreseen: list[ForeseenStep] = []
    silent: Step[W] | None = None
    ground: Step[W] | None = None
    for step in runbook.steps:
        if silent is not None:
            finding: Finding = Blocked(f"not looked at: {silent.name} got no answer", "replicator doctor")
        elif ground is not None and step.needs_ground:
            finding = Ready(f"can be told once {ground.name} is done")
        else:
            onlooker(StepEvent(step.name, step.says, None))
            try:
                finding = _foresee(step, world)
            except (Unreachable, DeadlineExceeded) as error:
                silent = step
                finding = Blocked(error.message, error.hint or "replicator doctor")
        if step.lays_ground and not isinstance(finding, Done):
            ground = step
        foreseen.append(ForeseenStep(step.name, step.says, finding))
    return tuple(foreseen)


def _foresee(step: Step[W], world: W) -> Finding:
    try:
        finding = step.check(world)
        if isinstance(finding, Ready) and step.foresee is not None:
            return Ready(step.foresee(world))
    except (Unreachable, DeadlineExceeded):
        raise
    except ReplicatorError as error:
        return Blocked(error.message, error.hint or "replicator status")
    return finding
