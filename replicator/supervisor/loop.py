"""One loop: a named thread that does one thing at a period and never dies of what it meets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.log import get_logger
from replicator.model.forms.text import safe_text

Step = Callable[[Deadline], None]

DISABLED_SECONDS_MAX = 1.0
"""A loop that may not act asks again this soon, however rarely it acts."""
REST_SECONDS_MIN = 0.05
"""A loop that overruns its period still lets others run between two steps."""
TELL_SECONDS = 1.0
"""A loop that has not ended so long after it was asked to is told of."""
REST_SHARE = 2.0
"""What a loop of dear steps rests: so many times as long as its last step took, whoever nudges it."""


def rest_seconds(took_seconds: float, *, share: float, has_failed: bool) -> float:
    """Return how long a loop rests at least. A step that failed has mostly waited: it is not dear, only late."""
    return REST_SECONDS_MIN if has_failed else max(REST_SECONDS_MIN, took_seconds * share)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopReport:
    """How a loop is doing. `started_at` None means that it never ran; durations are of the last whole step."""

    name: str
    period_seconds: float
    started_at: datetime | None = None
    succeeded_at: datetime | None = None
    duration_seconds: float | None = None
    steps_total: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    """Steps that failed, counted by the code of their error."""
    error: str | None = None
    error_code: str | None = None
    step_began: float | None = None
    """Monotonic moment at which the step that runs now began; None between steps."""


class Loop:
    """Runs `step` every `period_seconds`, each time with a budget of `budget_seconds`, until stopped.

    A step that raises is noted and tried again at the next period; the first failure and the recovery are
    logged, what repeats between them is not. `is_enabled` False skips steps: a loop that may not act rests.
    `rest_share` > 0 is for steps that grow with the clusters: the dearer they are, the less often they come.
    A loop that `is_changing` something is worth waiting for when the supervisor ends; one that only looks is not.
    """

    def __init__(
        self,
        name: str,
        step: Step,
        *,
        period_seconds: float,
        budget_seconds: float,
        clock: Clock = SYSTEM_CLOCK,
        is_enabled: Callable[[], bool] = lambda: True,
        rest_share: float = 0.0,
        is_changing: bool = False,
    ) -> None:
        self.name = name
        self.is_changing = is_changing
        self._rest_share = rest_share
        self._step = step
        self._period_seconds = period_seconds
        self._budget_seconds = budget_seconds
        self._clock = clock
        self._is_enabled = is_enabled
        self._is_over = threading.Event()
        self._wake = threading.Event()
        self._report = LoopReport(name=name, period_seconds=period_seconds)
        self._log = get_logger(loop=name)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def report(self) -> LoopReport:
        """How the loop is doing now."""
        return self._report

    def start(self) -> None:
        """Let the thread run."""
        self._thread.start()

    def nudge(self) -> None:
        """Let the next step begin now instead of at the end of the period."""
        self._wake.set()

    def stop(self) -> None:
        """Ask the loop to end after the step it is in; `join` waits for it."""
        self._is_over.set()
        self._wake.set()

    def join(self, deadline: Deadline) -> bool:
        """Return whether the thread has ended within the deadline."""
        if self._thread.ident is None:
            return True
        self._thread.join(deadline.left)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._is_over.is_set():
            pause, rest = min(self._period_seconds, DISABLED_SECONDS_MAX), REST_SECONDS_MIN
            if self._is_enabled():
                began = self._clock.monotonic()
                self.run_once()
                took = self._clock.monotonic() - began
                rest = rest_seconds(took, share=self._rest_share, has_failed=self._report.error is not None)
                pause = self._period_seconds - took
            self._is_over.wait(rest)
            self._wake.wait(max(0.0, pause - rest))
            self._wake.clear()

    def run_once(self) -> None:
        """Run one step and note how it went; nothing is raised."""
        began = self._clock.monotonic()
        self._report = replace(self._report, started_at=self._clock.now(), step_began=began)
        try:
            self._step(Deadline.after(self._budget_seconds, clock=self._clock))
        except ReplicatorError as error:
            self._note_failure(error, code=error.code)
        except BaseException as error:  # noqa: BLE001 - a loop outlives whatever its step meets; it is logged whole
            if self._report.error is None:
                self._log.exception("loop_step_crashed")
            self._note_failure(error, code="internal")
        else:
            self._note_success(self._clock.monotonic() - began)

    def _note_success(self, seconds: float) -> None:
        if self._report.error is not None:
            self._log.info("loop_recovered", after=self._report.error_code)
        self._report = replace(
            self._report,
            succeeded_at=self._report.started_at,
            duration_seconds=seconds,
            steps_total=self._report.steps_total + 1,
            error=None,
            error_code=None,
            step_began=None,
        )

    def _note_failure(self, error: BaseException, *, code: str) -> None:
        told = safe_text(f"{type(error).__name__}: {error}")
        if self._report.error_code != code:
            self._log.warning("loop_step_failed", error=told, code=code)
        self._report = replace(
            self._report,
            steps_total=self._report.steps_total + 1,
            errors={**self._report.errors, code: self._report.errors.get(code, 0) + 1},
            error=told,
            error_code=code,
            step_began=None,
        )


def join_all(
    loops: Sequence[Loop], *, looking: Deadline, changing: Deadline, tell: Callable[[Sequence[str]], None]
) -> tuple[str, ...]:
    """Return the names of the loops that have not ended: those that look are waited for until `looking`, those that
    change something until `changing`. What is still at work after a second is told."""
    first = Deadline.after(min(TELL_SECONDS, changing.left), clock=changing.clock)
    busy = [loop for loop in loops if not loop.join(first)]
    if busy:
        tell([loop.name for loop in busy])
    return tuple(loop.name for loop in busy if not loop.join(changing if loop.is_changing else looking))
