"""The acts on a flow: each with its words and its command line; those not offered are greyed, and say why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.acts import ACTS, KnownAct
from tui.cells import joined, name, plain
from tui.widgets import Lines


@dataclass(frozen=True, slots=True)
class Chosen:
    """An act somebody wants on a flow."""

    act: KnownAct
    flow: str


class ActsDialog(ModalScreen[Chosen | None]):
    """A list of acts. Choosing one begins nothing yet: a confirmation follows."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,a,q", "close", "close", show=False)]

    def __init__(self, flow: str, *, offered: tuple[str, ...], why_not: str | None) -> None:
        super().__init__()
        self._flow = flow
        self._offered = offered
        self._why_not = why_not

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog"):
            yield Lines(id="acts-title")
            yield OptionList(*(self._option(act) for act in ACTS), id="acts", markup=False)
            yield Lines(id="acts-command")

    def on_mount(self) -> None:
        """Write the title, and why nothing can be done if so."""
        why = (
            plain(self._why_not, style="bold")
            if self._why_not
            else Text("enter chooses; nothing is done yet", style="dim")
        )
        self.query_one("#acts-title", Lines).show([joined("acts on", name(self._flow, style="bold")), why])
        self.query_one("#acts", OptionList).focus()

    def _option(self, act: KnownAct) -> Option:
        is_offered = act.name in self._offered and self._why_not is None
        prompt = Text.assemble(
            (f"{act.name:<11}", "bold" if is_offered else "dim"), (act.says, "" if is_offered else "dim")
        )
        return Option(prompt, id=act.name, disabled=False)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show the command line of the act under the cursor."""
        act = next(act for act in ACTS if act.name == event.option_id)
        offered = "" if act.name in self._offered else "  (not offered by this supervisor)"
        command = plain(f"$ {act.shell(self._flow)}", style="bold")
        self.query_one("#acts-command", Lines).show([joined(command, Text(offered, style="dim"), separator="")])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on to the confirmation."""
        act = next(act for act in ACTS if act.name == event.option_id)
        self.dismiss(Chosen(act, self._flow))

    def action_close(self) -> None:
        """Close it; nothing was done."""
        self.dismiss(None)
