"""How an operation looks to people: its report, its rehearsal, its place in a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from replicator.cli.output import Column, make_table, text_of
from replicator.failover import Fence, ForeseenStep, OperationReport, OrphanReport
from replicator.model.forms.figures import show_count, show_moment, show_seconds
from replicator.model.forms.text import UNKNOWN
from replicator.model.operations import Blocked, Done, Finding, LossReport, OperationKind, Ready

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

_VERDICTS = {True: ("held", "green"), False: ("broken", "bold red"), None: ("unknown", "yellow")}


def report_view(report: OperationReport) -> Group:
    """Return the whole report: sums first, then verdicts, groups, exceptions."""
    from rich.console import Group

    parts: list[Table] = [_sums(report)]
    if report.verdicts:
        parts.append(_table(report.verdicts, _VERDICT_COLUMNS))
    if report.groups:
        parts.append(_table(report.groups, _GROUP_COLUMNS))
    parts.append(_table(report.steps, _STEP_COLUMNS))
    lines = [text_of(f"exception: {told}", style="yellow") for told in report.exceptions]
    return Group(*parts, *lines)


def _table(rows: Sequence[object], columns: Sequence[Column]) -> Table:
    table = make_table(*(c.title for c in columns), numbers=[c.title for c in columns if c.is_number])
    for row in rows:
        table.add_row(*(text_of(c.cell(row), style=c.style(row) if c.style else None) for c in columns))
    return table


def _sums(report: OperationReport) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for title, told in _facts(report):
        table.add_row(text_of(title), text_of(told))
    return table


def _facts(report: OperationReport) -> list[tuple[str, str]]:
    return [
        ("operation", report.operation_id),
        ("state", report.state.value + (f" ({report.halted_because})" if report.halted_because else "")),
        ("flow", f"{report.flow}: {report.source} to {report.target}"),
        ("by", f"{report.actor}, {show_moment(report.commanded_at)}"),
        ("accepted", ", ".join(report.accepted) or "nothing"),
        *([] if report.loss_max is None else [("limit", f"{show_count(report.loss_max)} records lost at most")]),
        ("recovery time", f"{show_seconds(report.rto_seconds)} from command to verified"),
        ("no writes", f"{show_seconds(report.unwritable_seconds)} from fence to promotion"),
        *([] if report.kind is OperationKind.DRILL else [("loss", tell_loss(report.loss))]),
        *([("rights given", str(given))] if (given := report.evidence.get("rights_given")) else []),
        *([("orphans", _tell_orphans(report.orphans))] if report.orphans else []),
        *([] if report.kind is OperationKind.DRILL else _tell_fences(report.fence)),
    ]


def _tell_fences(fence: Fence | None) -> list[tuple[str, str]]:
    return [("source fence", fence.source if fence else UNKNOWN), ("flow fence", fence.mm2 if fence else UNKNOWN)]


def _tell_orphans(orphans: OrphanReport) -> str:
    """Return how many records only the old active had, and where they are kept."""
    if not orphans.records:
        return f"none: {orphans.of} lost nothing"
    kept = ", ".join([*orphans.topics, *([f"snapshot {orphans.snapshot}"] if orphans.snapshot else [])])
    return f"{show_count(orphans.records)} records that {orphans.of} lost, kept in {kept or UNKNOWN}"


def tell_loss(loss: LossReport | None) -> str:
    """Return the three values of a loss, always together."""
    if loss is None:
        return UNKNOWN
    bound = UNKNOWN if loss.possible_lost_max is None else show_count(loss.possible_lost_max)
    window = show_seconds(loss.unknown_window_seconds)
    told = f"{show_count(loss.known_lost)} known, {bound} possible at most, {window} unread"
    return (
        told if loss.lost_seconds_max is None else f"{told}, all written within {show_seconds(loss.lost_seconds_max)}"
    )


_VERDICT_COLUMNS = (
    Column("OBJECTIVE", lambda v: v.objective),
    Column("VERDICT", lambda v: _VERDICTS[v.is_held][0], style=lambda v: _VERDICTS[v.is_held][1]),
    Column("EVIDENCE", lambda v: v.evidence),
)

_GROUP_COLUMNS = (
    Column("GROUP", lambda g: g.group),
    Column("GRADE", lambda g: g.grade.value),
    Column("RE-READ AT MOST", lambda g: show_count(g.reread_records_max), is_number=True),
    Column("PARTITIONS", lambda g: show_count(len(g.translations)), is_number=True),
    Column("POSITIONS READ", lambda g: show_moment(g.observed_at)),
    Column("OUTCOME", lambda g: UNKNOWN if g.outcome is None else g.outcome.value),
)


_STEP_COLUMNS = (
    Column("STEP", lambda s: s.step),
    Column("STANDS", lambda s: s.phase),
    Column("TOOK", lambda s: show_seconds(s.seconds), is_number=True),
)


def tell_finding(finding: Finding) -> str:
    """Return a finding as one word and its sentence."""
    match finding:
        case Done():
            return "holds now"
        case Ready(says):
            return f"ready: {says}" if says else "ready"
        case Blocked(reason, _):
            return f"blocked: {reason}"


FORESEEN_COLUMNS = (
    Column("STEP", lambda s: s.step),
    Column("DOES", lambda s: s.says),
    Column("FINDING", lambda s: tell_finding(s.finding), style=lambda s: "bold red" if is_blocked(s) else None),
)


def is_blocked(step: ForeseenStep) -> bool:
    """Whether the step would stop the operation."""
    return isinstance(step.finding, Blocked)


def foreseen_items(steps: Sequence[ForeseenStep]) -> list[dict[str, object]]:
    """Return the rehearsal as JSON tells it: each step with the kind of its finding and what it says."""
    return [
        {"step": s.step, "says": s.says, "finding": type(s.finding).__name__.lower(), "detail": s.finding}
        for s in steps
    ]


OPERATION_COLUMNS = (
    Column("OPERATION", lambda o: o["id"]),
    Column("FLOW", lambda o: o["flow"]),
    Column("KIND", lambda o: o["kind"]),
    Column("STATE", lambda o: o["state"]),
    Column("STEP", lambda o: o["step"]),
    Column("FROM", lambda o: o["source"]),
    Column("TO", lambda o: o["target"]),
    Column("BEGUN", lambda o: show_moment(o["started_at"])),
    Column("BY", lambda o: o["actor"]),
)
