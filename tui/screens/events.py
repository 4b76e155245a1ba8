"""What happened, the newest first; one event with everything that is known of it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from replicator.api.schema import EventView
from replicator.clock import to_rfc3339
from tui.cells import clipped, clock_time, joined, name, plain
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import ODD, Glyphs, style_of
from tui.widgets import Column, KeyedTable, Lines, Row

COLUMNS = (
    Column("at", "TIME", 8),
    Column("severity", "", 2, sort_key=lambda event: event.severity),
    Column("flow", "FLOW", 14, sort_key=lambda event: event.flow or ""),
    Column("text", "WHAT HAPPENED", 30, is_filling=True),
)


class EventsScreen(BoardScreen):
    """Events."""

    TITLE_TEXT: ClassVar[str] = "Events"
    HINTS: ClassVar[str] = "enter whole text  i issues  z local time"
    TABLE: ClassVar[str | None] = "events"

    def compose_body(self) -> ComposeResult:
        """Lay out the list and the chosen event."""
        yield Lines(id="missed")
        yield KeyedTable(COLUMNS, id="events")
        yield Lines(id="detail")

    def paint_body(self, picture: Picture) -> None:
        """Paint the events that the filter lets through."""
        shown = [event for event in picture.events[::-1] if self._is_shown(event)]
        rows = [event_row(event, self.board.glyphs, is_local=self.board.is_local_time) for event in shown]
        self.query_one("#events", KeyedTable).show(rows, follows_top=True)
        width = self.app.size.width
        missed = [plain(f"some events are gone: {one.reason}", style=ODD) for one in picture.missed[-1:]]
        self.query_one("#missed", Lines).show([clipped(line, width - 2) for line in missed])
        self.query_one("#detail", Lines).show(self._detail(picture))

    def _is_shown(self, event: EventView) -> bool:
        if self.board.is_issues_only and event.severity == "info":
            return False
        return self.matches(f"{event.flow} {event.kind} {event.text} {event.severity} {event.cluster}")

    def _detail(self, picture: Picture) -> list[Text]:
        key = self.query_one("#events", KeyedTable).current_key
        event = next((one for one in picture.events if one.id == key), None)
        if event is None:
            return [Text("nothing happened yet" if not picture.events else "", style="dim")]
        facts = joined(
            to_rfc3339(event.at),
            Text(event.severity, style=style_of(event.severity)),
            plain(event.kind, style="bold"),
            plain(event.flow or ""),
            plain(event.operation_id or "", style="dim"),
        )
        whole = plain(event.text)
        whole.no_wrap, whole.overflow = False, "fold"
        return [clipped(facts, self.app.size.width - 2), whole]

    def on_data_table_row_highlighted(self) -> None:
        """Another event is chosen: show all of it."""
        self.paint()

    def enter(self) -> None:
        """Look at the flow it happened to."""
        row = self.query_one("#events", KeyedTable).current
        if row is None:
            return
        if row.value.operation_id is not None:
            self.board.operation = row.value.operation_id
            self.dashboard.action_go("Runbook")
        elif row.value.flow is not None:
            self.board.flow = row.value.flow
            self.dashboard.action_go("Flow")

    def command(self) -> str:
        """The same on the command line."""
        return "replicator events"


def event_row(event: EventView, glyphs: Glyphs, *, is_local: bool) -> Row:
    """Return an event as a row."""
    cells = {
        "at": Text(clock_time(event.at, is_local=is_local), style="dim", end=""),
        "severity": Text(glyphs.mark(event.severity), style=style_of(event.severity), end=""),
        "flow": name(event.flow or "", width=14, style="bold"),
        "text": plain(event.text),
    }
    return Row(event.id, event, cells, event.text)
