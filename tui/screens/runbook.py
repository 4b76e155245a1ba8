"""An operation as it runs: each step of its runbook, how it stands, how long it has taken, what was found."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from replicator.api.schema import OperationView, StepView
from replicator.model.forms.figures import show_seconds
from replicator.model.forms.text import UNKNOWN
from tui.cells import clipped, date_time, figure, joined, name, plain, state
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import BAD, WARN, Glyphs
from tui.widgets import Column, KeyedTable, Lines, Row

COLUMNS = (
    Column("place", "#", 2, is_number=True),
    Column("step", "STEP", 16),
    Column("state", "STATE", 11),
    Column("elapsed", "TIME", 7, is_number=True),
    Column("finding", "FINDING", 24, is_filling=True),
)


class RunbookScreen(BoardScreen):
    """The newest operation, or another one."""

    TITLE_TEXT: ClassVar[str] = "Runbook"
    HINTS: ClassVar[str] = "[ ] other operation  enter finding"
    TABLE: ClassVar[str | None] = "steps"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "other(-1)", "older", show=False),
        Binding("right_square_bracket", "other(1)", "newer", show=False),
    ]

    def compose_body(self) -> ComposeResult:
        """Lay out the operation's lines, its steps, the chosen step's words."""
        yield Lines(id="operation")
        yield KeyedTable(COLUMNS, id="steps")
        yield Lines(id="finding")

    def _operation(self, picture: Picture) -> OperationView | None:
        chosen = picture.operations.get(self.board.operation or "")
        return chosen or picture.newest_operation()

    def paint_body(self, picture: Picture) -> None:
        """Paint the operation that is looked at."""
        operation = self._operation(picture)
        width = self.app.size.width
        if operation is None:
            self.query_one("#operation", Lines).show([Text("no operation is known", style="dim"), Text("")])
            self.query_one("#steps", KeyedTable).show([])
            self.query_one("#finding", Lines).show([Text("")])
            return
        now = self._now(picture, operation)
        self.query_one("#operation", Lines).show(
            [
                clipped(line, width - 2)
                for line in operation_lines(
                    operation, picture, now=now, glyphs=self.board.glyphs, is_local=self.board.is_local_time
                )
            ]
        )
        steps = [
            step_row(place, step, now=now, glyphs=self.board.glyphs)
            for place, step in enumerate(operation.steps, start=1)
            if self.matches(f"{step.name} {step.state}")
        ]
        self.query_one("#steps", KeyedTable).show(steps)
        self.query_one("#finding", Lines).show(self._finding(operation))

    def _now(self, picture: Picture, operation: OperationView) -> datetime | None:
        """Return the supervisor's now: its last status, and the age of that; what has ended stands still."""
        if operation.ended_at is not None or picture.status is None:
            return operation.ended_at
        return picture.status.computed_at

    def _finding(self, operation: OperationView) -> list[Text]:
        row = self.query_one("#steps", KeyedTable).current
        step = next((one for one in operation.steps if row is not None and one.name == row.key), None)
        if step is None:
            return [Text("")]
        lines = [plain(step.says or step.name, style="bold")]
        if step.is_point_of_no_return:
            lines.append(Text("past this step the only way back is a failback", style=f"bold {WARN}"))
        lines.append(plain(step.finding or "nothing found yet", style="" if step.finding else "dim"))
        return lines

    def on_data_table_row_highlighted(self) -> None:
        """Another step is chosen: show what it says."""
        self.paint()

    def action_other(self, step: int) -> None:
        """Look at an older or a newer operation."""
        known = sorted(self.board.picture.operations.values(), key=lambda one: one.started_at)
        current = self._operation(self.board.picture)
        if current is not None:
            place = known.index(current) + step
            self.board.operation = known[max(0, min(len(known) - 1, place))].id
            self.paint()

    def leave(self) -> bool:
        """Go back to the newest operation."""
        was_chosen, self.board.operation = self.board.operation is not None, None
        self.paint()
        return was_chosen

    def command(self) -> str:
        """The same on the command line."""
        operation = self._operation(self.board.picture)
        return "replicator op list" if operation is None else f"replicator op show {operation.id}"


def operation_lines(
    operation: OperationView, picture: Picture, *, now: datetime | None, glyphs: Glyphs, is_local: bool
) -> list[Text]:
    """Return what is told of an operation as a whole."""
    elapsed = None if now is None else max(0.0, (now - operation.started_at).total_seconds())
    way = f"{operation.source} {glyphs.arrow} {operation.target}" if operation.source and operation.target else ""
    first = joined(
        name(operation.kind.upper(), style="bold"),
        name(operation.flow, style="bold"),
        plain(way),
        state(operation.state, glyphs),
        f"{show_seconds(elapsed)} elapsed",
        Text("past the point of no return", style=f"bold {WARN}") if operation.is_past_promote else "",
    )
    known = len(picture.operations)
    second = joined(
        plain(operation.id, style="dim"),
        plain(f"by {operation.actor}", style="dim"),
        Text(f"since {date_time(operation.started_at, is_local=is_local)}{'' if is_local else 'Z'}", style="dim"),
        Text(f"{known} operations" if known > 1 else "", style="dim"),
    )
    third = (
        plain(operation.reason, style=f"bold {BAD}") if operation.reason else Text(next_step(operation), style="dim")
    )
    return [first, second, third]


def next_step(operation: OperationView) -> str:
    """Return in words what comes next."""
    match operation.state:
        case "running":
            return "it goes on in the supervisor or the command that began it; leaving this screen stops nothing"
        case "halted":
            return f"replicator op resume {operation.id}   or   replicator op abort {operation.id}"
        case _:
            return "it has ended"


def step_row(place: int, step: StepView, *, now: datetime | None, glyphs: Glyphs) -> Row:
    """Return a step as a row."""
    title = f"{step.name}{' !' if step.is_point_of_no_return else ''}"
    cells = {
        "place": figure(str(place), style="dim"),
        "step": plain(title, style="bold" if step.state == "running" else ""),
        "state": state(step.state, glyphs),
        "elapsed": figure(elapsed_of(step, now=now)),
        "finding": plain(step.finding or ""),
    }
    return Row(step.name, step, cells, f"{step.name} {step.state}")


def elapsed_of(step: StepView, *, now: datetime | None) -> str:
    """Return how long a step has taken; nothing before it began."""
    until = step.ended_at or (now if step.state == "running" else None)
    if step.started_at is None or until is None:
        return "" if step.started_at is None else UNKNOWN
    return show_seconds(max(0.0, (until - step.started_at).total_seconds()))
