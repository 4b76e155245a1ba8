"""Every key, and what the words on the screen mean."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui.theme import Glyphs
from tui.widgets import Lines

KEYS = (
    ("1-8", "overview, flow, lag, groups, runbook, snapshots, events, alerts"),
    (": or ctrl+p", "command palette"),
    ("o", "jump: a letter for every screen and flow"),
    ("enter / esc", "into what is under the cursor / come back"),
    ("f / F", "look at the next / the previous flow"),
    ("/", "filter by part of a name; !part leaves out, ~abc: letters in this order; esc forgets"),
    ("n / N", "the next row that matches / the one before, round at the ends"),
    ("s / S", "sort by the next column / turn the order round"),
    ("i", "only what wants a look"),
    ("w", "every column, however narrow the screen; left and right scroll"),
    ("t / u", "lag: window of time / seconds or records"),
    ("[ / ]", "runbook: older / newer operation"),
    ("p / r", "hold the picture still / ask for everything now"),
    ("z", "times in UTC or local"),
    ("space", "mark the row; what is marked is what y and e take; esc forgets"),
    ("e", "export the rows as CSV or JSON, the screen as SVG"),
    ("L", "the newest events under every screen, or no more"),
    ("y / Y", "copy the name under the cursor / the screen as a command"),
    ("a", "acts on the flow (only with --allow-actions)"),
    ("? or F1", "this help"),
    ("q", "quit; an operation goes on without the dashboard, and says so first"),
)

WORDS = (
    ("HEALTHY", "records move, within the objective"),
    ("LAGGING", "records move, beyond the objective"),
    ("STALLED", "the source moves, the copy does not; the cause is shown"),
    ("DEGRADED", "a gap, a re-created topic, some tasks failed"),
    ("FAILED", "tasks failed and restarts are spent"),
    ("UNKNOWN", "source, target or Connect cannot be read"),
    ("PAUSED", "asked for; STOPPED likewise"),
    ("FAILED_OVER", "the standby is active now"),
    ("EXACT", "the group resumes exactly where it is"),
    ("BOUNDED", "skips nothing, reads at most so many records twice"),
    ("FLOOR", "it starts over at the log start"),
    ("UNAVAILABLE", "it has no place on the standby yet"),
)


class HelpDialog(ModalScreen[None]):
    """Help; any of its keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "close", "close", show=False),
    ]

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll(classes="dialog", id="help"):
            yield Lines(id="help-text")

    def on_mount(self) -> None:
        """Write it."""
        lines = [Text("KEYS", style="bold")]
        lines += [Text.assemble((f"{key:>12}  ", "bold"), says) for key, says in KEYS]
        lines += [Text(""), Text("WORDS", style="bold")]
        lines += [Text.assemble((f"{self._glyphs.mark(word):>2} {word:<12}", "bold"), says) for word, says in WORDS]
        lines += [Text(""), Text("unknown is — and never 0; what is dim is old; esc closes", style="dim")]
        self.query_one("#help-text", Lines).show(lines)

    def action_close(self) -> None:
        """Close the help."""
        self.dismiss(None)
