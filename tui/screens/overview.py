"""Every flow in a line: state, lag against the objective, rates, groups; and what happened last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from replicator.api.schema import ClusterView, EventView, FlowView
from replicator.model.forms.figures import show_lag_seconds, show_rate, show_seconds, show_short_count
from replicator.model.forms.text import UNKNOWN
from tui.cells import clipped, clock_time, event_line, figure, joined, name, plain, state
from tui.chart import sparkline
from tui.headline import told_loss
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import BAD, GOOD, INFO, Glyphs, style_of
from tui.widgets import Column, KeyedTable, Lines, Row

TREND_SECONDS = 900.0
TREND_WIDTH = 12
TREND_FLOWS_MAX = 10
EVENTS_MIN = 4
EVENTS_MAX = 20
QUIET_STATES = frozenset({"HEALTHY"})

COLUMNS = (
    Column("flow", "FLOW", 16, is_filling=True, sort_key=lambda flow: flow.flow),
    Column("state", "STATE", 13, sort_key=lambda flow: flow.state),
    Column("lag", "LAG", 7, is_number=True, sort_key=lambda flow: flow.lag.lag_seconds),
    Column("rpo", "RPO", 5, is_number=True),
    Column("records", "RECORDS", 8, is_number=True, sort_key=lambda flow: flow.lag.lag_records),
    Column("in", "IN", 8, is_number=True, needs_width=92, sort_key=lambda flow: flow.lag.rate_in),
    Column("out", "OUT", 8, is_number=True, needs_width=92, sort_key=lambda flow: flow.lag.rate_out),
    Column("eta", "ETA", 7, is_number=True, needs_width=102),
    Column("groups", "GROUPS", 8, is_number=True, sort_key=lambda flow: flow.groups_observed),
    Column("tasks", "TASKS", 6, is_number=True, needs_width=110),
    Column("trend", "15 MIN", TREND_WIDTH, needs_width=118),
)


class OverviewScreen(BoardScreen):
    """All flows."""

    TITLE_TEXT: ClassVar[str] = "Overview"
    HINTS: ClassVar[str] = "enter flow  s sort  i issues  Y command"
    TABLE: ClassVar[str | None] = "flows"

    def compose_body(self) -> ComposeResult:
        """Lay out directions, flows, the chosen flow's cause, events."""
        yield Lines(id="directions")
        yield KeyedTable(COLUMNS, id="flows")
        yield Lines(id="detail")
        yield Lines(id="latest")

    def wants(self) -> list[str]:
        """Short histories for the trend, of as many flows as have room."""
        status = self.board.picture.status
        if status is None or self.app.size.width < 118:
            return []
        return [f"history:{flow.flow}:{TREND_SECONDS:g}" for flow in status.flows[:TREND_FLOWS_MAX]]

    def paint_body(self, picture: Picture) -> None:
        """Paint the flows and what happened last."""
        flows = picture.status.flows if picture.status is not None else ()
        shown = [flow for flow in flows if self._is_shown(flow)]
        table = self.query_one("#flows", KeyedTable)
        table.show([flow_row(flow, picture=picture, glyphs=self.board.glyphs) for flow in shown])
        chosen = self._chosen(picture)
        width = self.app.size.width
        self.query_one("#directions", Lines).show([clipped(line, width - 2) for line in self._directions(chosen)])
        self.query_one("#detail", Lines).show([clipped(line, width - 2) for line in self._detail(chosen)])
        self.query_one("#latest", Lines).show([clipped(line, width - 2) for line in self._latest(picture)])

    def _is_shown(self, flow: FlowView) -> bool:
        if self.board.is_issues_only and flow.state in QUIET_STATES:
            return False
        return self.matches(f"{flow.flow} {flow.state} {flow.source.cluster} {flow.target.cluster}")

    def _chosen(self, picture: Picture) -> FlowView | None:
        key = self.query_one("#flows", KeyedTable).current_key
        if picture.status is None or key is None:
            return None
        return picture.status.flow(key)

    def on_data_table_row_highlighted(self) -> None:
        """The chosen flow is another: its cause and direction are shown."""
        if (key := self.query_one("#flows", KeyedTable).current_key) is not None:
            self.board.flow = key
            self.paint()

    def enter(self) -> None:
        """Look at the flow under the cursor."""
        if (key := self.query_one("#flows", KeyedTable).current_key) is not None:
            self.board.flow = key
            self.dashboard.action_go("Flow")

    def _directions(self, flow: FlowView | None) -> list[Text]:
        if flow is None:
            return [Text("")]
        glyphs, now = self.board.glyphs, self.board.picture.status
        assert now is not None  # noqa: S101 - a flow comes with its status
        arrow = f" ══{'▶' if flow.state in ('HEALTHY', 'LAGGING', 'DEGRADED') else '✗'}══ "
        middle = arrow if not glyphs.is_ascii else f" =={glyphs.arrow} "
        ends = [
            cluster_text(cluster, is_active=flow.active == cluster.cluster, glyphs=glyphs)
            for cluster in (flow.source, flow.target)
        ]
        return [joined(ends[0], Text(middle, style=style_of(flow.state)), ends[1], separator="")]

    def _detail(self, flow: FlowView | None) -> list[Text]:
        if flow is None:
            return [Text("no flow matches" if self._filter or self.board.is_issues_only else "", style="dim")]
        first = joined(
            name(flow.flow, style="bold"),
            plain(flow.cause) if flow.cause else Text("no complaint", style="dim"),
            f"since {clock_time(flow.since, is_local=self.board.is_local_time)}",
        )
        readiness = flow.readiness
        if readiness is None or flow.active == flow.target.cluster:
            return [first]
        return [first, joined("failover would lose ", told_loss(readiness.loss), separator="")]

    def _latest(self, picture: Picture) -> list[Text]:
        flows = len(picture.status.flows) if picture.status is not None else 0
        room = max(EVENTS_MIN, min(EVENTS_MAX, self.app.size.height - 17 - flows))
        newest = newsworthy(picture.events)[-room:][::-1]
        heading = Text("LATEST EVENTS", style="bold dim")
        return [heading, *(event_line(event, self.board.glyphs, is_local=self.board.is_local_time) for event in newest)]

    def command(self) -> str:
        """The same on the command line."""
        return "replicator status"


def newsworthy(events: Sequence[EventView]) -> list[EventView]:
    """Return the events that tell of something that happened; the events screen has them all."""
    return [event for event in events if not event.kind.endswith(("_intent", "_already"))]


def cluster_text(cluster: ClusterView, *, is_active: bool, glyphs: Glyphs) -> Text:
    """Return a cluster: its name, its duty, whether it answers."""
    duty = Text("ACTIVE" if is_active else "STANDBY", style=f"bold {GOOD}" if is_active else "bold")
    answers = "answers" if cluster.reachability == "reachable" else cluster.reachability
    mark = Text(f"{glyphs.mark(cluster.reachability)} {answers}", style=style_of(cluster.reachability))
    return joined("[", name(cluster.cluster, width=18, style="bold"), " ", duty, " ", mark, "]", separator="")


def flow_row(flow: FlowView, *, picture: Picture, glyphs: Glyphs) -> Row:
    """Return a flow as a row."""
    lag, rpo = flow.lag, flow.objectives.rpo_seconds
    is_late = rpo is not None and lag.lag_seconds is not None and lag.lag_seconds > rpo
    cells = {
        "flow": name(flow.flow, width=40, style="bold"),
        "state": state(flow.state, glyphs),
        "lag": figure(
            show_lag_seconds(lag.lag_seconds, is_minimum=lag.is_seconds_minimum), style=f"bold {BAD}" if is_late else ""
        ),
        "rpo": figure(show_seconds(rpo).replace(".0s", "s")),
        "records": figure(show_short_count(lag.lag_records)),
        "in": figure(show_rate(lag.rate_in)),
        "out": figure(show_rate(lag.rate_out)),
        "eta": figure(show_seconds(lag.eta_seconds)),
        "groups": groups_text(flow),
        "tasks": tasks_text(flow),
        "trend": trend_text(flow.flow, picture=picture, glyphs=glyphs),
    }
    return Row(flow.flow, flow, cells, f"{flow.flow} {flow.state}")


def groups_text(flow: FlowView) -> Text:
    """Return how many groups there are, and how many of them have a place on the target."""
    if flow.groups_observed is None:
        return figure(UNKNOWN)
    counts = flow.groups
    if counts is None or counts.ungraded == flow.groups_observed:
        return figure(str(flow.groups_observed))
    graded = sum(counts.grades.values()) - counts.grades.get("UNAVAILABLE", 0)
    return figure(f"{graded}/{flow.groups_observed}")


def tasks_text(flow: FlowView) -> Text:
    """Return how many tasks run, of all there are."""
    tasks = [task for connector in flow.connectors for task in connector.tasks]
    if flow.connectors_observed_at is None:
        return figure(UNKNOWN)
    running = sum(task.state == "RUNNING" for task in tasks)
    return figure(f"{running}/{len(tasks)}", style="" if running == len(tasks) else f"bold {BAD}")


def trend_text(flow: str, *, picture: Picture, glyphs: Glyphs) -> Text:
    """Return the last quarter of an hour as bars."""
    history = picture.history(flow, TREND_SECONDS)
    if history is None:
        return Text("", end="")
    values = [point.lag_seconds for point in history.points]
    size = max(1, -(-len(values) // TREND_WIDTH))
    merged = [_worst(values[place : place + size]) for place in range(0, len(values), size)]
    return Text(sparkline(merged, bars=glyphs.bars, width=TREND_WIDTH), style=INFO, end="", no_wrap=True)


def _worst(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return max(known) if len(known) == len(values) and known else None
