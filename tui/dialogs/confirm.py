"""The last question before an act that moves nothing: what it means, its command line, and the word yes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from replicator.api.schema import FlowView
from tui.acts import KnownAct
from tui.cells import joined, name, plain
from tui.theme import WARN, Glyphs
from tui.widgets import Lines

TYPED_LENGTH_MAX = 249


@dataclass(frozen=True, slots=True)
class Confirmation:
    """Somebody has typed what it takes, and accepted what comes with it."""

    act: KnownAct
    flow: str
    typed: str
    accepted: tuple[str, ...] = ()


class ConfirmDialog(ModalScreen[Confirmation | None]):
    """Wants the word yes. Start is dead before that."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False)]

    def __init__(self, act: KnownAct, flow: FlowView, *, glyphs: Glyphs, why_not: str | None) -> None:
        super().__init__()
        self._act = act
        self._flow = flow
        self._glyphs = glyphs
        self._why_not = why_not

    @property
    def wanted(self) -> str:
        """What has to be typed."""
        return "yes"

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog"):
            yield Lines(id="confirm-text")
            yield Input(id="typed", max_length=TYPED_LENGTH_MAX, compact=True)
            with Horizontal(id="confirm-buttons"):
                yield Button("Start", id="start", disabled=True, compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Write what it means."""
        self.query_one("#confirm-text", Lines).show(list(self._lines()))
        typed = self.query_one("#typed", Input)
        typed.disabled = self._why_not is not None
        typed.focus()

    def _lines(self) -> list[Text]:
        flow, act = self._flow, self._act
        way = f"{flow.source.cluster} {self._glyphs.arrow} {flow.target.cluster}"
        lines = [
            joined(Text(act.name.upper(), style="bold"), name(flow.flow, style="bold"), plain(way)),
            Text(act.says),
        ]
        lines += [Text(""), joined("the same in a shell:", plain(act.shell(flow.flow), style="bold"))]
        if self._why_not is not None:
            lines.append(plain(self._why_not, style=f"bold {WARN}"))
        else:
            lines.append(
                joined("type", plain(self.wanted, style="bold"), "to go on; esc changes nothing", separator=" ")
            )
        return lines

    def _is_typed(self) -> bool:
        return self._why_not is None and self.query_one("#typed", Input).value == self.wanted

    def on_input_changed(self) -> None:
        """Let Start live only while exactly the right word stands there."""
        self.query_one("#start", Button).disabled = not self._is_typed()

    def on_input_submitted(self) -> None:
        """Enter starts, but only with the exact word."""
        self._start()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start or cancel."""
        if event.button.id == "start":
            self._start()
        else:
            self.dismiss(None)

    def _start(self) -> None:
        if self._is_typed():
            self.dismiss(Confirmation(self._act, self._flow.flow, self.query_one("#typed", Input).value))

    def action_close(self) -> None:
        """Close it; nothing was done."""
        self.dismiss(None)
