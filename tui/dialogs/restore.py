"""A restore before it is begun: into which cluster, which topics, under which names; its command; the typed name."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ValidationError
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from replicator.api.schema import RestoreOrder, SnapshotView
from replicator.model.forms.figures import show_bytes, show_count
from tui.cells import date_time, joined, name, plain
from tui.dialogs.confirm import TYPED_LENGTH_MAX
from tui.theme import WARN
from tui.widgets import Lines

FIELDS = (
    ("cluster", "into cluster", ""),
    ("topics", "topics like", "*"),
    ("renames", "OLD=NEW ...", ""),
    ("groups", "groups like", ""),
    ("options", "KEY=VALUE ...", ""),
)
OPTIONS = {
    "offsets": "offsets",
    "limit": "exact_seconds_max",
    "prefix": "prefix",
    "partitions": "partitions",
    "until": "until",
    "configs": "configs",
    "acls": "acls",
}
"""What may stand in the last field, and what of an order it is."""
LISTS = {"stop": "stops", "pattern": "rename_patterns"}
"""The same of what may be given more than once."""
_LENGTH_MAX = 2000


@dataclass(frozen=True, slots=True)
class RestoreAsked:
    """What somebody wants to bring back, on behalf of which flow."""

    flow: str
    order: RestoreOrder


def read_options(text: str) -> dict[str, Any] | None:
    """Return the parts of an order that `KEY=VALUE ...` stands for; None where that cannot be meant."""
    found: dict[str, Any] = {}
    for word in text.split():
        key, _, value = word.partition("=")
        if not value or (key in OPTIONS and OPTIONS[key] in found):
            return None
        if key in OPTIONS:
            found[OPTIONS[key]] = value
        elif key in LISTS:
            found[LISTS[key]] = (*found.get(LISTS[key], ()), value)
        else:
            return None
    return found


def option_words(order: RestoreOrder) -> list[str]:
    """Return the options of the command line that stand for the rest of an order."""
    plain_order = RestoreOrder(snapshot=order.snapshot, cluster=order.cluster)
    named = {"limit": "--exact-limit", "pattern": "--rename-pattern"}
    words = []
    for key, field in (OPTIONS | LISTS).items():
        value = getattr(order, field)
        if value != getattr(plain_order, field):
            values = value if key in LISTS else [value]
            words += [word for one in values for word in (named.get(key, f"--{key}"), str(one))]
    return words


class RestoreDialog(ModalScreen[RestoreAsked | None]):
    """Plan asks what a restore would do and changes nothing; Start wants the target cluster's exact name once more."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "close", show=False)]

    def __init__(self, snapshot: SnapshotView, *, flow: str, clusters: tuple[str, ...], why_not: str | None) -> None:
        super().__init__()
        self._snapshot = snapshot
        self._flow = flow
        self._clusters = clusters
        self._why_not = why_not

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog", id="restore"):
            yield Lines(id="restore-title")
            for field, _label, value in FIELDS:
                with Horizontal(classes="field"):
                    yield Lines(id=f"label-{field}", classes="label")
                    yield Input(value=value, id=f"restore-{field}", max_length=_LENGTH_MAX, compact=True)
            yield Lines(id="restore-shell")
            yield Input(id="typed", max_length=TYPED_LENGTH_MAX, compact=True)
            with Horizontal(id="confirm-buttons"):
                yield Button("Plan", id="plan", disabled=True, compact=True)
                yield Button("Start", id="start", disabled=True, compact=True)
                yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """Write what is known."""
        one = self._snapshot
        first = joined(Text("RESTORE", style="bold"), plain(one.id, style="bold"), plain(f"of {one.cluster}"))
        figures = f"{show_count(one.records)} records in {one.topics} topics, {show_bytes(one.size_bytes)}"
        lines = [first, Text(f"{figures}, taken {date_time(one.created_at)}Z", style="dim")]
        if one.is_sound is False or one.gaps or one.missing_topics:
            told = (
                f"{one.gaps} gaps, {one.missing_topics} topics missing"
                if one.is_sound is not False
                else "it is damaged"
            )
            lines.append(Text(told, style=f"bold {WARN}"))
        lines.append(Text("onto topics that are not there or empty, and onto no others", style="dim"))
        self.query_one("#restore-title", Lines).show(lines)
        for field, label, _value in FIELDS:
            self.query_one(f"#label-{field}", Lines).show([Text(f"{label:>13}", style="dim")])
        self._paint()
        self.query_one("#restore-cluster", Input).focus()

    def _read(self, field: str) -> str:
        return self.query_one(f"#restore-{field}", Input).value.strip()

    def order(self, *, is_dry_run: bool) -> RestoreOrder | None:
        """Return what is asked for; None while it cannot be meant."""
        pairs = [text.partition("=") for text in self._read("renames").split()]
        options = read_options(self._read("options"))
        is_known = self._read("cluster") in self._clusters and options is not None
        if not is_known or not all(old and new for old, _, new in pairs):
            return None
        try:
            return RestoreOrder(
                snapshot=self._snapshot.id,
                cluster=self._read("cluster"),
                topics=tuple(self._read("topics").split()),
                renames={old: new for old, _, new in pairs},
                groups=tuple(self._read("groups").split()),
                is_dry_run=is_dry_run,
                **(options or {}),
            )
        except ValidationError:
            return None

    def shell(self) -> str:
        """Return the same as a command line."""
        order = self.order(is_dry_run=False)
        if order is None:
            return f"replicator snapshot restore {self._snapshot.id} --target CLUSTER --dry-run"
        words = ["replicator", "snapshot", "restore", order.snapshot, "--target", order.cluster]
        words += [word for topic in order.topics if topic != "*" for word in ("--topics", topic)]
        words += [word for old, new in order.renames.items() for word in ("--rename", f"{old}={new}")]
        words += [word for group in order.groups for word in ("--groups", group)]
        return shlex.join([*words, *option_words(order)])

    def _paint(self) -> None:
        shell = joined("the same in a shell:", plain(self.shell(), style="bold"))
        shell.no_wrap, shell.overflow = False, "fold"
        if self._why_not is not None:
            last = plain(self._why_not, style=f"bold {WARN}")
        elif self.order(is_dry_run=False) is None:
            last = joined("name a cluster:", *(name(one, style="bold") for one in self._clusters), separator=" ")
        else:
            wanted = plain(self._read("cluster"), style="bold")
            last = joined("Plan changes nothing; type", wanted, "to start", separator=" ")
        self.query_one("#restore-shell", Lines).show([shell, last])
        self.query_one("#plan", Button).disabled = self._why_not is not None or self.order(is_dry_run=True) is None
        self.query_one("#start", Button).disabled = not self._is_typed()

    def _is_typed(self) -> bool:
        typed = self.query_one("#typed", Input).value
        may_start = self._why_not is None and self.order(is_dry_run=False) is not None
        return may_start and typed == self._read("cluster")

    def on_input_changed(self) -> None:
        """Follow what is typed."""
        self._paint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter goes on to the next field; after the typed name it starts."""
        if event.input.id != "typed":
            self.focus_next()
        elif self._is_typed():
            self._ask(is_dry_run=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Plan, start or cancel."""
        if event.button.id == "plan":
            self._ask(is_dry_run=True)
        elif event.button.id == "start" and self._is_typed():
            self._ask(is_dry_run=False)
        elif event.button.id == "cancel":
            self.dismiss(None)

    def _ask(self, *, is_dry_run: bool) -> None:
        order = self.order(is_dry_run=is_dry_run)
        if order is not None and self._why_not is None:
            self.dismiss(RestoreAsked(self._flow, order))

    def action_close(self) -> None:
        """Close it; nothing was done."""
        self.dismiss(None)
