"""One flow: clusters, objectives, connectors and tasks, the supervisor's loops; a failed task with its trace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll

from replicator.api.schema import CollectorView, ConnectorView, FlowView, StatusView
from replicator.model.forms.figures import show_lag_seconds, show_rate, show_seconds, show_short_count
from replicator.model.forms.text import safe_lines
from tui.cells import clipped, clock_time, joined, name, plain, state
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.screens.overview import cluster_text
from tui.widgets import Column, KeyedTable, Lines, Row

QUIET = frozenset({"RUNNING", "reachable", "yes"})

COLUMNS = (
    Column("what", "WHAT", 10, sort_key=lambda row: row[0]),
    Column("name", "NAME", 24, sort_key=lambda row: row[1]),
    Column("state", "STATE", 14, sort_key=lambda row: row[2]),
    Column("told", "TOLD", 16, is_filling=True),
)

Fact = tuple[str, str, str, str, str]
"""What it is, its name, its state, what is told of it in a few words, and in many lines."""


class FlowScreen(BoardScreen):
    """One flow in detail."""

    TITLE_TEXT: ClassVar[str] = "Flow"
    HINTS: ClassVar[str] = "f next flow  enter trace  a act"
    TABLE: ClassVar[str | None] = "facts"

    def compose_body(self) -> ComposeResult:
        """Lay out the flow's lines, its facts, and the text of the chosen one."""
        yield Lines(id="summary")
        yield KeyedTable(COLUMNS, id="facts")
        with VerticalScroll(id="trace"):
            yield Lines(id="text")

    def on_mount(self) -> None:
        """The text is shown when it is asked for."""
        self.query_one("#trace").display = False
        super().on_mount()

    def paint_body(self, picture: Picture) -> None:
        """Paint the flow that is looked at."""
        status = picture.status
        flow = status.flow(self.board.flow or "") if status is not None else None
        width = self.app.size.width
        if status is None or flow is None:
            self.query_one("#summary", Lines).show([Text("no flow is known yet", style="dim")])
            return
        self.query_one("#summary", Lines).show([clipped(line, width - 2) for line in self._summary(flow)])
        facts = [fact for fact in flow_facts(flow, status) if self._is_shown(fact)]
        self.query_one("#facts", KeyedTable).show([self._row(fact) for fact in facts])
        self._paint_text()

    def _is_shown(self, fact: Fact) -> bool:
        if self.board.is_issues_only and fact[2] in QUIET:
            return False
        return self.matches(" ".join(fact[:4]))

    def _summary(self, flow: FlowView) -> list[Text]:
        glyphs, lag = self.board.glyphs, flow.lag
        ends = [
            cluster_text(cluster, is_active=flow.active == cluster.cluster, glyphs=glyphs)
            for cluster in (flow.source, flow.target)
        ]
        return [
            joined(
                name(flow.flow, style="bold"),
                state(flow.state, glyphs),
                f"since {clock_time(flow.since, is_local=self.board.is_local_time)}",
                plain(flow.cause) if flow.cause else Text("no complaint", style="dim"),
            ),
            joined(ends[0], f" {glyphs.arrow} ", ends[1], f"  this supervisor: {flow.role}", separator=""),
            joined(
                f"lag {show_lag_seconds(lag.lag_seconds, is_minimum=lag.is_seconds_minimum)}",
                f"{show_short_count(lag.lag_records)} records",
                f"in {show_rate(lag.rate_in)}",
                f"out {show_rate(lag.rate_out)}",
                f"unread {show_seconds(flow.window_seconds)}",
            ),
        ]

    def _row(self, fact: Fact) -> Row:
        what, title, word, told, more = fact
        first = more.splitlines()[0] if more and more != told else ""
        cells = {
            "what": Text(what, style="dim", end=""),
            "name": name(title, width=24),
            "state": state(word, self.board.glyphs) if word else Text("", end=""),
            "told": plain(f"{told}  {first}" if first else told),
        }
        return Row(f"{what}/{title}", fact, cells, " ".join(fact[:4]))

    def enter(self) -> None:
        """Show the chosen fact's whole text, such as a task's trace."""
        row = self.query_one("#facts", KeyedTable).current
        if row is not None and row.value[4]:
            self.query_one("#trace").display = True
            self._paint_text()

    def leave(self) -> bool:
        """Close the text."""
        trace = self.query_one("#trace")
        was_open, trace.display = trace.display, False
        return bool(was_open)

    def _paint_text(self) -> None:
        if not self.query_one("#trace").display:
            return
        row = self.query_one("#facts", KeyedTable).current
        lines = safe_lines(row.value[4]).splitlines() if row is not None else []
        self.query_one("#text", Lines).show([Text(line) for line in lines or ["nothing more is known"]])

    def command(self) -> str:
        """The same on the command line."""
        return f"replicator flow show {self.board.flow or ''}".strip()


def flow_facts(flow: FlowView, status: StatusView) -> Iterator[Fact]:
    """Yield everything that is known of a flow besides its lag."""
    for verdict in flow.verdicts:
        word = {True: "yes", False: "no", None: "UNKNOWN"}[verdict.is_held]
        yield ("objective", verdict.objective, word, verdict.evidence, verdict.evidence)
    if flow.readiness is not None:
        for number, reason in enumerate(flow.readiness.reasons, start=1):
            word = "no" if flow.readiness.answer == "no" else "cost"
            yield ("failover", f"reason {number}", word, reason, reason)
    for drift in flow.drift or ():
        yield ("drift", f"{drift.kind} {drift.name}", "drifted", drift.told, drift.told)
    for cluster in (flow.source, flow.target):
        told = cluster.cluster_id or "id unknown"
        yield ("cluster", cluster.cluster, cluster.reachability, told, cluster.cause or "")
    for connector in flow.connectors:
        yield from _connector_facts(connector)
    for collector in status.collectors:
        if collector.flow == flow.flow:
            yield _collector_fact(collector)


def _connector_facts(connector: ConnectorView) -> Iterator[Fact]:
    yield ("connector", connector.name, connector.state, connector.worker, connector.trace or "")
    for task in connector.tasks:
        yield ("task", f"{connector.name} {task.id}", task.state, task.worker, task.trace or "")


def _collector_fact(collector: CollectorView) -> Fact:
    took = f"{show_seconds(collector.duration_seconds)} every {show_seconds(collector.period_seconds)}"
    word = "failed" if collector.error else "done" if collector.succeeded_at is not None else "pending"
    return ("loop", collector.name, word, took, collector.error or "")
