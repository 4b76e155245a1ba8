"""Jump: a letter for every place there is to go to, screens and flows alike."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Key
from textual.screen import ModalScreen

from tui.cells import joined, name
from tui.widgets import Lines

LETTERS = tuple(letter for letter in ascii_lowercase if letter not in "oq")
"""Letters that lead somewhere; o and q close."""


class JumpDialog(ModalScreen[tuple[str, str] | None]):
    """One key goes there: digits lead to screens, letters to flows. Any other key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,o,q,enter", "close", "close", show=False)]

    def __init__(self, screens: Sequence[str], flows: Sequence[str]) -> None:
        super().__init__()
        self._screens = {str(place): title for place, title in enumerate(screens, start=1)}
        self._flows = dict(zip(LETTERS, flows, strict=False))
        self._hidden = max(0, len(flows) - len(LETTERS))

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with VerticalScroll(classes="dialog", id="jump"):
            yield Lines(id="jump-text")

    def on_mount(self) -> None:
        """Write every place with its key."""
        screens = [
            joined(Text(f" {key} ", style="bold reverse"), title, separator=" ") for key, title in self._screens.items()
        ]
        flows = [
            joined(Text(f" {key} ", style="bold reverse"), name(flow, width=60), separator=" ")
            for key, flow in self._flows.items()
        ]
        more = [Text(f"{self._hidden} more flows: filter for them with /", style="dim")] if self._hidden else []
        heads = Text("SCREENS", style="bold dim"), Text("FLOWS", style="bold dim")
        self.query_one("#jump-text", Lines).show([heads[0], *screens, heads[1], *flows, *more])

    def on_key(self, event: Key) -> None:
        """Go where the key leads."""
        letter = event.character or ""
        if letter in self._screens:
            event.stop()
            self.dismiss(("screen", self._screens[letter]))
        elif letter in self._flows:
            event.stop()
            self.dismiss(("flow", self._flows[letter]))

    def action_close(self) -> None:
        """Stay here."""
        self.dismiss(None)
