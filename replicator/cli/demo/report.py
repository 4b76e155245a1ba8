"""The demo's last word: promises, verdicts, loss, groups, snapshot; as tables and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Group as Stack
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from replicator.model.forms.figures import show_bytes, show_count, show_seconds
from replicator.model.forms.text import safe_text


@dataclass(frozen=True, slots=True)
class PromiseKept:
    """One promise, whether the ledger says that it held, and the figures it held by."""

    name: str
    ok: bool
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupLine:
    """One group's move."""

    group: str
    grade: str
    skipped: int
    reread: int
    predicted_reread_max: int | None
    commits_after_last_observation: int


@dataclass(slots=True, kw_only=True)
class DemoReport:
    """Everything the demo proved."""

    promises: list[PromiseKept] = field(default_factory=list)
    verdicts: list[dict[str, Any]] = field(default_factory=list)
    rto_seconds: float | None = None
    groups: list[GroupLine] = field(default_factory=list)
    loss: dict[str, Any] = field(default_factory=dict)
    snapshot: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every promise held."""
        return bool(self.promises) and all(promise.ok for promise in self.promises)

    def promise(self, name: str, evidence: str, *, is_kept: bool) -> None:
        """Enter one promise."""
        self.promises.append(PromiseKept(name, is_kept, evidence))

    def to_plain(self) -> dict[str, Any]:
        """Return the report in the shape `--json` writes."""
        return {
            "ok": self.ok,
            "promises": [{"name": p.name, "ok": p.ok, "evidence": p.evidence} for p in self.promises],
            "verdicts": self.verdicts,
            "rto_seconds": self.rto_seconds,
            "groups": [
                {
                    "group": g.group,
                    "grade": g.grade,
                    "skipped": g.skipped,
                    "reread": g.reread,
                    "predicted_reread_max": g.predicted_reread_max,
                    "commits_after_last_observation": g.commits_after_last_observation,
                }
                for g in self.groups
            ],
            "loss": self.loss,
            "snapshot": self.snapshot,
            "seconds": self.seconds,
        }


def render(report: DemoReport) -> RenderableType:
    """Return the report as tables."""
    return Stack(_promises(report), _groups(report), _verdicts(report), _footer(report))


def _mark(is_good: bool | None) -> Text:
    if is_good is None:
        return Text("? unknown", style="yellow")
    return Text("✓ kept", style="green") if is_good else Text("✗ BROKEN", style="bold red")


def _promises(report: DemoReport) -> Table:
    table = Table(title="Promises, judged by the ledger", title_justify="left")
    for title in ("", "promise", "evidence"):
        table.add_column(title)
    for promise in report.promises:
        table.add_row(_mark(promise.ok), Text(promise.name), Text(safe_text(promise.evidence)))
    return table


def _groups(report: DemoReport) -> Table:
    table = Table(title="Groups, resumed on west", title_justify="left")
    for title in ("group", "grade"):
        table.add_column(title)
    for title in ("skipped", "read twice", "predicted at most", "newer than last seen commit"):
        table.add_column(title, justify="right")
    for line in report.groups:
        bound = "—" if line.predicted_reread_max is None else f"{line.predicted_reread_max:,}"
        figures = (f"{line.skipped:,}", f"{line.reread:,}", bound, f"{line.commits_after_last_observation:,}")
        table.add_row(Text(safe_text(line.group)), Text(line.grade), *(Text(figure) for figure in figures))
    return table


def _verdicts(report: DemoReport) -> Table:
    table = Table(title="Objectives", title_justify="left")
    for title in ("objective", "verdict", "evidence"):
        table.add_column(title)
    for verdict in report.verdicts:
        table.add_row(Text(verdict["objective"]), _mark(verdict["held"]), Text(safe_text(verdict["evidence"])))
    return table


def _told_verdict(report: DemoReport) -> str:
    count, broken = len(report.promises), sum(not promise.ok for promise in report.promises)
    if not count:
        return "nothing was proven"
    return f"{broken} of {count} promises BROKEN" if broken else f"all {count} promises kept"


def _footer(report: DemoReport) -> Text:
    loss, snapshot = report.loss, report.snapshot
    window = loss.get("unknown_window_seconds")
    lines = (
        (
            f"loss      {show_count(loss.get('known_lost'))} known ≤ {show_count(loss.get('true_records'))} true ≤ "
            f"{show_count(loss.get('possible_lost_max'))} possible, nobody read the last {show_seconds(window)}"
        ),
        f"          written {show_seconds(loss.get('lost_seconds_max'))} before the end, or later",
        f"rto       {show_seconds(report.rto_seconds)} from the command to verified",
        (
            f"snapshot  {show_bytes(snapshot.get('bytes'))}, {show_count(snapshot.get('records'))} records in "
            f"{show_seconds(snapshot.get('seconds'))} ({snapshot.get('megabytes_per_second')} MB/s)"
        ),
        f"all in    {show_seconds(report.seconds)}",
        f"verdict   {_told_verdict(report)}",
        "next      `replicator lab up` keeps two clusters and a configuration to try every command on",
    )
    return Text("\n".join(lines))
