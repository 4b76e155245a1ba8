"""What every screen has: the headline, the line of contact and screens, a filter, a line of keys; and one paint."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import Input

from replicator.model.forms.figures import show_seconds
from tui.board import Board
from tui.cells import clipped, clock_time, event_line, joined, plain
from tui.dialogs.export import Exported
from tui.headline import make_headline
from tui.picture import Contact, Picture
from tui.widgets import KeyedTable, Lines

if TYPE_CHECKING:
    from tui.dashboard import Dashboard

FILTER_LENGTH_MAX = 100
FILTER_HINT = "filter: part of a name; !part leaves out; ~abc: these letters in order"
TITLES = ("Overview", "Flow", "Lag", "Groups", "Runbook", "Snapshots", "Events", "Alerts")
LOG_LINES = 6
ALWAYS_WANTED = ("runbooks",)
"""A move shows its steps whatever screen it is asked for on."""


class BoardScreen(Screen[None]):
    """One screen. A subclass says its `title`, what parts it `wants`, and how it paints its body."""

    TITLE_TEXT: ClassVar[str] = ""
    HINTS: ClassVar[str] = ""
    TABLE: ClassVar[str | None] = None

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", show=False),
        Binding("escape", "leave", "back", show=False),
        Binding("enter", "enter", "in", show=False, priority=False),
        Binding("s", "sort", "sort", show=False),
        Binding("S", "reverse", "reverse", show=False),
        Binding("i", "issues", "only issues", show=False),
        Binding("n", "match(1)", "next match", show=False),
        Binding("N", "match(-1)", "match before", show=False),
        Binding("w", "wide", "every column", show=False),
        Binding("space", "mark", "mark", show=False),
        Binding("e", "export", "export", show=False),
        Binding("L", "log", "log pane", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._filter = ""

    @property
    def board(self) -> Board:
        """What the screens share."""
        return self.dashboard.board

    @property
    def dashboard(self) -> Dashboard:
        """The application."""
        return cast("Dashboard", self.app)

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Lines(id="headline")
        yield Lines(id="contact")
        with Vertical(id="body"):
            yield from self.compose_body()
        log = Lines(id="log")
        log.display = self.board.is_log_shown
        yield log
        field = Input(
            placeholder=FILTER_HINT,
            id="filter",
            max_length=FILTER_LENGTH_MAX,
        )
        field.display = False
        yield field
        caption = Lines(id="caption")
        caption.display = self.board.caption is not None
        yield caption
        yield Lines(id="keys")

    def compose_body(self) -> ComposeResult:
        """Lay out what is this screen's own."""
        yield from ()

    def wants(self) -> list[str]:
        """Return the parts to keep fresh while this screen is looked at."""
        return []

    def paint_body(self, picture: Picture) -> None:
        """Paint what is this screen's own."""

    def on_mount(self) -> None:
        """Paint once before anything has come."""
        self.paint()
        if self.table is not None:
            self.table.focus()

    def on_screen_resume(self) -> None:
        """Paint what has come while another screen was looked at."""
        self.board.feed.want([*self.wants(), *ALWAYS_WANTED])
        self.paint()

    @property
    def table(self) -> KeyedTable | None:
        """The table that keys act on."""
        return self.query_one(f"#{self.TABLE}", KeyedTable) if self.TABLE else None

    def paint(self) -> None:
        """Paint the newest picture; a screen that is still being laid out is painted when it is."""
        if not self.is_mounted or not self.query("#keys"):
            return
        picture = self.board.look()
        self.board.feed.want([*self.wants(), *ALWAYS_WANTED])
        self._paint_frame(picture)
        self.query_one("#body").set_class(self._is_stale(picture), "stale")
        self.paint_body(picture)

    def _is_stale(self, picture: Picture) -> bool:
        return picture.status is not None and picture.contact is not Contact.CONNECTED

    def _paint_frame(self, picture: Picture) -> None:
        width = self.app.size.width
        headline = make_headline(picture, now=self.board.now, glyphs=self.board.glyphs)
        self.query_one("#headline", Lines).show(
            [clipped(headline.first, width - 2), clipped(headline.second, width - 2)]
        )
        self.query_one("#contact", Lines).show([clipped(self._contact(picture), width)])
        self.query_one("#keys", Lines).show([clipped(self._keys(), width)])
        self._paint_log(picture)
        if self.board.caption is not None:
            told = plain(self.board.caption(), style="bold")
            self.query_one("#caption", Lines).show([clipped(told, width - 2)])

    def _paint_log(self, picture: Picture) -> None:
        """Show the newest events under any screen, intents included, the newest at the bottom."""
        log = self.query_one("#log", Lines)
        log.display = self.board.is_log_shown
        if self.board.is_log_shown:
            newest = picture.events[-LOG_LINES:]
            lines = [event_line(event, self.board.glyphs, is_local=self.board.is_local_time) for event in newest]
            width = self.app.size.width - 2
            log.show([clipped(line, width) for line in lines] or [Text("nothing happened yet", style="dim")])

    def _contact(self, picture: Picture) -> Text:
        age = picture.age_seconds(self.board.now)
        mode = "ACTIONS ON" if self.dashboard.may_act else "READ-ONLY"
        status = picture.status
        tail = joined(
            f"data {show_seconds(age)} old" if age is not None else "no data",
            Text("PAUSED", style="bold reverse") if self.board.is_paused else "",
            mode,
            clock_time(status.computed_at, is_local=self.board.is_local_time)
            + ("" if self.board.is_local_time else "Z")
            if status is not None
            else "",
            separator=" ",
        )
        tabs = self._tabs(is_whole=True)
        if tabs.cell_len + tail.cell_len + 2 > self.app.size.width:
            tabs = self._tabs(is_whole=False)
        room = self.app.size.width - tabs.cell_len - 1
        return joined(tabs, Text(" " * max(0, room - tail.cell_len), end=""), tail, separator="")

    def _tabs(self, *, is_whole: bool) -> Text:
        """Return the screens by their keys; where there is no room for all their names only this one has its own."""
        return joined(
            *(self._tab(place, title, is_whole=is_whole) for place, title in enumerate(TITLES, start=1)), separator=" "
        )

    def _tab(self, place: int, title: str, *, is_whole: bool) -> Text:
        is_here = title == self.TITLE_TEXT
        if not is_whole and not is_here:
            return Text(f"{place}", style="dim", end="")
        return Text(f"{place} {title}", style="bold reverse" if is_here else "dim", end="")

    def _keys(self) -> Text:
        filtered = f"filter: {self._filter}  " if self._filter else ""
        marked = len(self.table.marked) if self.table is not None else 0
        issues = ("ISSUES ONLY  " if self.board.is_issues_only else "") + (f"{marked} MARKED  " if marked else "")
        return joined(
            plain(filtered, style="bold") if filtered else "",
            Text(issues, style="bold"),
            Text(f"{self.HINTS}  / filter  ? help  q quit", style="dim"),
            separator="",
        )

    def matches(self, words: str) -> bool:
        """Whether the filter lets a row with these words through."""
        return passes_filter(self._filter, words)

    def action_filter(self) -> None:
        """Let the user type a filter."""
        field = self.query_one("#filter", Input)
        field.display = True
        field.value = self._filter
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while it is typed."""
        if event.input.id == "filter" and event.input.display:
            self._filter = event.value
            self.paint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Keep the filter and go back to the table."""
        if event.input.id == "filter":
            self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter", Input).display = False
        if self.table is not None:
            self.table.focus()
        self.paint()

    def action_leave(self) -> None:
        """Close the filter, forget it or the marks, or go back to where this screen was come from."""
        if self.query_one("#filter", Input).display or self._filter:
            self._filter = ""
            self._close_filter()
        elif self.table is not None and self.table.forget_marks():
            self.paint()
        elif not self.leave():
            self.dashboard.go_back()

    def leave(self) -> bool:
        """Leave what was entered on this screen; return whether there was anything to leave."""
        return False

    def on_data_table_row_selected(self, event: KeyedTable.RowSelected) -> None:
        """Go into the row that was chosen."""
        event.stop()
        self.enter()

    def action_enter(self) -> None:
        """Go into what is under the cursor."""
        self.enter()

    def enter(self) -> None:
        """Go into what is under the cursor, if this screen leads further."""

    def action_sort(self) -> None:
        """Sort by the next column."""
        if self.table is not None and (title := self.table.sort_by_next()):
            self.dashboard.say(f"sorted by {title}")

    def action_reverse(self) -> None:
        """Turn the order round."""
        if self.table is not None:
            self.table.reverse()

    def action_issues(self) -> None:
        """Show only what wants a look, or everything again."""
        self.board.is_issues_only = not self.board.is_issues_only
        self.paint()

    def action_match(self, step: int) -> None:
        """Go to the next row that the filter lets through, or the one before; round at the ends."""
        if self.table is not None and not self.table.move_by(step):
            self.dashboard.say("nothing matches")

    def action_wide(self) -> None:
        """Show every column, however narrow the screen is, or only those there is room for."""
        if self.table is not None:
            self.dashboard.say("every column: left and right scroll" if self.table.widen() else "columns that fit")

    def action_mark(self) -> None:
        """Mark the row under the cursor, or mark it no more: what is copied and exported is what is marked."""
        if self.table is not None and self.table.toggle_mark() is not None:
            self.paint()

    def action_export(self) -> None:
        """Ask what kind of file to write the rows to."""
        table = self.table
        if table is None:
            return
        exported = Exported(self.TITLE_TEXT, table.columns_known, table.rows_meant, is_marked_only=bool(table.marked))
        self.dashboard.export(exported)

    def action_log(self) -> None:
        """Show the newest events under every screen, or no more."""
        self.board.is_log_shown = not self.board.is_log_shown
        self.paint()

    def command(self) -> str:
        """Return the command line that shows what this screen shows."""
        return "replicator status"

    def copied(self) -> str:
        """Return what `y` copies: the name under the cursor, or the names of all marked rows."""
        if self.table is not None and self.table.marked:
            return " ".join(row.key for row in self.table.rows_meant)
        row = self.table.current if self.table is not None else None
        return "" if row is None else row.key


def passes_filter(filter_text: str, words: str) -> bool:
    """Whether words pass a filter: a part of them; `!part` that it is not there; `~abc` its letters in this order."""
    wanted, found = filter_text.casefold(), words.casefold()
    if wanted.startswith("!"):
        return not wanted[1:] or wanted[1:] not in found
    if wanted.startswith("~"):
        rest = iter(found)
        return all(letter in rest for letter in wanted[1:])
    return wanted in found
