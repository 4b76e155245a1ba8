"""An operation while it runs: one line a step on stderr, with a spinner where a human watches."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Self

from replicator.cli.context import App
from replicator.failover import RUNBOOKS, StepEvent
from replicator.model.forms.figures import show_seconds
from replicator.model.forms.text import safe_text
from replicator.model.operations import StepPhase

if TYPE_CHECKING:
    from rich.status import Status

_ENDS = {
    StepPhase.DONE: ("✓", "done", "green"),
    StepPhase.ALREADY: ("✓", "already", "green"),
    StepPhase.UNDONE: ("↩", "undone", "yellow"),
    StepPhase.BLOCKED: ("✗", "blocked", "red"),
    StepPhase.FAILED: ("✗", "failed", "red"),
}
_STEP_WIDTH = max(len(step.name) for runbook in RUNBOOKS.values() for step in runbook.steps)


class StepTeller:
    """Told every event of a run, it shows the step at work and leaves a line for each that ended."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._is_watched = sys.stderr.isatty() and not app.is_quiet
        self._status: Status | None = None
        self._began: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._is_watched:
            self._status = self._app.error_console().status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, event: StepEvent) -> None:
        """Show one event."""
        if event.phase is None:
            self._began[event.step] = self._app.clock.monotonic()
            self._show_at_work(event)
        elif event.phase in _ENDS:
            self._leave_line(event)

    def _show_at_work(self, event: StepEvent) -> None:
        if self._status is not None:
            from rich.text import Text

            self._status.update(Text(safe_text(event.says)))

    def _leave_line(self, event: StepEvent) -> None:
        mark, word, style = _ENDS[event.phase or StepPhase.DONE]
        took = self._app.clock.monotonic() - self._began.get(event.step, self._app.clock.monotonic())
        told = safe_text(event.text or event.says)
        line = f"{mark} {event.step:<{_STEP_WIDTH}} {word:<8} {show_seconds(took):>6}  {told}"
        if self._status is None:
            self._app.tell(line)
            return
        from rich.text import Text

        self._status.console.print(Text(line, style=style), soft_wrap=True)
