"""A move before it is begun: which, what stands against it, each step, what it costs, its command, the typed name."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Checkbox, Input

from replicator.api.schema import FlowView, ForecastView, RunbookView
from replicator.model.forms.figures import show_count, show_seconds
from replicator.model.forms.text import UNKNOWN
from tui.acts import MOVES, KnownAct
from tui.cells import joined, name, plain, state
from tui.dialogs.confirm import TYPED_LENGTH_MAX, Confirmation
from tui.headline import told_loss
from tui.picture import Picture
from tui.theme import WARN, Glyphs
from tui.widgets import Lines

ACCEPTABLE = ("split-brain", "stale-groups", "loss")
"""What a failover may be told to take into the bargain."""


class MoveDialog(ModalScreen[Confirmation | None]):
    """Shows what a move would do, and wants the flow's exact name (a drill: the word yes). Up and down change it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", show=False),
        Binding("up", "other(-1)", "move before", show=False),
        Binding("down", "other(1)", "next move", show=False),
        Binding("pageup", "scroll(-1)", "up", show=False),
        Binding("pagedown", "scroll(1)", "down", show=False),
    ]

    def __init__(
        self,
        act: KnownAct,
        flow: FlowView,
        *,
        look: Callable[[], Picture],
        glyphs: Glyphs,
        why_not: Callable[[KnownAct], str | None],
    ) -> None:
        super().__init__()
        self._act = act
        self._flow = flow
        self._look = look
        self._glyphs = glyphs
        self._why_not = why_not

    @property
    def wanted(self) -> str:
        """What has to be typed."""
        return self._flow.flow if self._act.is_severe else "yes"

    @property
    def accepted(self) -> tuple[str, ...]:
        """What is taken into the bargain."""
        if self._act.name != "failover":
            return ()
        return tuple(what for what in ACCEPTABLE if self.query_one(f"#accept-{what}", Checkbox).value)

    @property
    def shell(self) -> str:
        """The same on the command line."""
        accepted = self.accepted
        return self._act.shell(self._flow.flow) + (f" --accept {','.join(accepted)}" if accepted else "")

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog", id="move"):
            yield Lines(id="move-title")
            with VerticalScroll(id="move-plan", can_focus=False):
                yield Lines(id="move-text")
            with Horizontal(id="accepts"):
                for what in ACCEPTABLE:
                    box = Checkbox(f"accept {what}", id=f"accept-{what}", compact=True)
                    box.BUTTON_INNER = " "
                    yield box
            yield Lines(id="move-shell")
            yield Input(id="typed", max_length=TYPED_LENGTH_MAX, compact=True)
            with Horizontal(id="confirm-buttons"):
                yield Button("Start", id="start", disabled=True, compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Write it, and again whenever more is known."""
        self._paint()
        self.set_interval(1.0, self._paint)
        self.query_one("#typed", Input).focus()

    def _paint(self) -> None:
        picture = self._look()
        status = picture.status
        self._flow = (status.flow(self._flow.flow) if status is not None else None) or self._flow
        why_not = self._why_not(self._act)
        self.query_one("#move-title", Lines).show(list(self._title()))
        self.query_one("#move-text", Lines).show(plan_lines(self._flow, self._act, picture, self._glyphs))
        self.query_one("#accepts").display = self._act.name == "failover"
        self.query_one("#typed", Input).disabled = why_not is not None
        if why_not is not None:
            last = plain(why_not, style=f"bold {WARN}")
        else:
            wanted = plain(self.wanted, style="bold")
            last = joined("type", wanted, "to go on; esc changes nothing", separator=" ")
        shell = joined("the same in a shell:", plain(self.shell, style="bold"))
        shell.no_wrap, shell.overflow = False, "fold"
        self.query_one("#move-shell", Lines).show([shell, last])
        self.query_one("#start", Button).disabled = not self._is_typed()

    def _title(self) -> tuple[Text, Text]:
        way = f"{self._flow.source.cluster} {self._glyphs.arrow} {self._flow.target.cluster}"
        first = joined(Text(self._act.name.upper(), style="bold"), name(self._flow.flow, style="bold"), plain(way))
        chosen = [f"({'*' if move is self._act else ' '}) {move.name}" for move in MOVES]
        second = joined(Text("  ".join(chosen)), Text("up/down", style="dim"), separator="   ")
        return first, second

    def _is_typed(self) -> bool:
        return self._why_not(self._act) is None and self.query_one("#typed", Input).value == self.wanted

    def on_input_changed(self) -> None:
        """Let Start live only while exactly the right name stands there."""
        self.query_one("#start", Button).disabled = not self._is_typed()

    def on_checkbox_changed(self, event: Checkbox.Changed) -> None:
        """Show what the command line is now; a box is told apart by its letter, not by its colour alone."""
        event.checkbox.BUTTON_INNER = "X" if event.value else " "
        event.checkbox.refresh()
        self._paint()

    def on_input_submitted(self) -> None:
        """Enter starts, but only with the exact name."""
        self._start()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Start or cancel."""
        if event.button.id == "start":
            self._start()
        else:
            self.dismiss(None)

    def _start(self) -> None:
        if self._is_typed():
            typed = self.query_one("#typed", Input).value
            self.dismiss(Confirmation(self._act, self._flow.flow, typed, self.accepted))

    def action_other(self, step: int) -> None:
        """Look at another move; what was typed for this one is gone."""
        self._act = MOVES[(MOVES.index(self._act) + step) % len(MOVES)]
        self.query_one("#typed", Input).value = ""
        self._paint()

    def action_scroll(self, pages: int) -> None:
        """Read on, or back."""
        plan = self.query_one("#move-plan", VerticalScroll)
        plan.scroll_relative(y=pages * max(1, plan.size.height - 1), animate=False)

    def action_close(self) -> None:
        """Close it; nothing was done."""
        self.dismiss(None)


def plan_lines(flow: FlowView, act: KnownAct, picture: Picture, glyphs: Glyphs) -> list[Text]:
    """Return what stands against a move, what it costs and what it would do."""
    return [
        Text(act.says),
        *_cost(flow, act, glyphs),
        *_preflight(flow.forecast, glyphs),
        *_steps(picture.runbook(act.name)),
    ]


def _cost(flow: FlowView, act: KnownAct, glyphs: Glyphs) -> list[Text]:
    forecast, readiness = flow.forecast, flow.readiness
    lines = []
    if act.name == "failover" and readiness is not None:
        lines.append(joined(state(readiness.answer, glyphs), f"lose {told_loss(readiness.loss)}"))
        lines += [joined(" ", plain(reason), separator="") for reason in readiness.reasons[:3]]
    if forecast is not None:
        twice = UNKNOWN if forecast.reread_records_max is None else show_count(forecast.reread_records_max)
        measured = f"(median of {forecast.rto_measured_in})" if forecast.rto_measured_in else "(never measured)"
        rto = show_seconds(forecast.expected_rto_seconds)
        lines.append(Text(f"groups read at most {twice} records twice; down about {rto} {measured}"))
    return lines


def _preflight(forecast: ForecastView | None, glyphs: Glyphs) -> list[Text]:
    if forecast is None:
        return [Text("PRE-FLIGHT  no forecast is known yet", style="bold dim")]
    ranks = {False: 0, None: 1, True: 2}
    gates = sorted(forecast.gates, key=lambda gate: (ranks[gate.is_open], not gate.is_blocking))
    counts = [sum(gate.is_open is wanted for gate in gates) for wanted in (True, False, None)]
    lines = [Text(f"PRE-FLIGHT  {counts[0]} open, {counts[1]} closed, {counts[2]} unknown", style="bold dim")]
    for gate in gates:
        word = {True: "yes", None: "UNKNOWN"}.get(gate.is_open, "no" if gate.is_blocking else "cost")
        fix = plain(f"{glyphs.arrow} {gate.fix}", style="dim") if gate.fix and gate.is_open is False else Text("")
        mark = state(word, glyphs)
        mark.truncate(1)
        lines.append(joined(mark, plain(gate.name, style="bold"), plain(gate.told), fix, separator=" "))
    return lines


def _steps(runbook: RunbookView | None) -> list[Text]:
    if runbook is None:
        return [Text("WHAT WILL HAPPEN  the supervisor has not told its steps yet", style="bold dim")]
    lines = [Text("WHAT WILL HAPPEN", style="bold dim")]
    for place, step in enumerate(runbook.steps, start=1):
        note = Text("no way back but a failback", style=f"bold {WARN}") if step.is_point_of_no_return else Text("")
        title = plain(step.name, style="bold")
        title.pad_right(max(0, 16 - title.cell_len))
        lines.append(joined(Text(f"{place:>2}"), title, plain(step.says), note, separator=" "))
    return lines
