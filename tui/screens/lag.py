"""Lag over time against the objective, and the topics furthest behind; a topic by its partitions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from replicator.api.schema import FlowLagView, FlowView, HistoryPoint, PartitionLagView, TopicLagView
from replicator.model.forms.figures import show_count, show_lag_seconds, show_rate, show_seconds, show_short_count
from tui.cells import clipped, figure, joined, name, plain
from tui.chart import Curve, Show, draw, resample
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import BAD, ODD
from tui.widgets import Column, KeyedTable, Lines, Row

LagLine = TopicLagView | PartitionLagView


def title_of(lag: LagLine) -> str:
    """Return what a line is sorted and filtered by."""
    return lag.topic if isinstance(lag, TopicLagView) else f"{lag.partition:06}"


COLUMNS = (
    Column("name", "TOPIC", 24, is_filling=True, sort_key=title_of),
    Column("seconds", "LAG", 7, is_number=True, sort_key=lambda lag: lag.lag_seconds),
    Column("records", "RECORDS", 9, is_number=True, sort_key=lambda lag: lag.lag_records),
    Column("in", "IN", 8, is_number=True, sort_key=lambda lag: lag.rate_in),
    Column("out", "OUT", 8, is_number=True, sort_key=lambda lag: lag.rate_out),
    Column("eta", "ETA", 7, is_number=True, needs_width=90),
    Column("note", "NOTE", 10, needs_width=90),
    Column("end", "SOURCE END", 12, is_number=True, needs_width=110),
    Column("mirrored", "MIRRORED", 12, is_number=True, needs_width=120),
)
CHART_HEIGHT = 9


class LagScreen(BoardScreen):
    """Lag of one flow."""

    TITLE_TEXT: ClassVar[str] = "Lag"
    HINTS: ClassVar[str] = "t window  u unit  enter partitions  s sort  f flow"
    TABLE: ClassVar[str | None] = "topics"

    def __init__(self) -> None:
        super().__init__()
        self._topic: str | None = None

    def compose_body(self) -> ComposeResult:
        """Lay out the chart, its summary, the topics."""
        yield Lines(id="title")
        yield Lines(id="chart")
        yield Lines(id="figures")
        yield KeyedTable(COLUMNS, id="topics")

    def wants(self) -> list[str]:
        """This flow's lag by topic and over time."""
        flow = self.board.flow
        return [] if flow is None else [f"lag:{flow}", f"history:{flow}:{self.board.window_seconds:g}"]

    def paint_body(self, picture: Picture) -> None:
        """Paint the curve and the topics, or the partitions of the one that was entered."""
        flow = picture.status.flow(self.board.flow or "") if picture.status is not None else None
        width = self.app.size.width
        self.query_one("#title", Lines).show([clipped(self._heading(flow), width - 2)])
        self.query_one("#chart", Lines).show(self._chart(picture, flow))
        self.query_one("#figures", Lines).show([clipped(line, width - 2) for line in self._figures(picture, flow)])
        lag = picture.lag(self.board.flow or "")
        lines = [one for one in self._lines(lag) if self._is_shown(one)]
        self.query_one("#topics", KeyedTable).show([lag_row(one) for one in lines])

    def _heading(self, flow: FlowView | None) -> Text:
        if flow is None:
            return Text("no flow is known yet", style="dim")
        arrow = self.board.glyphs.arrow
        return joined(
            name(flow.flow, style="bold"),
            plain(f"{flow.source.cluster} {arrow} {flow.target.cluster}"),
            f"window {show_window(self.board.window_seconds)} (t)",
            f"unit {self.board.unit} (u)",
            plain(f"topic {self._topic} (esc back)", style="bold") if self._topic is not None else "",
        )

    def _lines(self, lag: FlowLagView | None) -> Sequence[LagLine]:
        if lag is None:
            return ()
        if self._topic is None:
            return lag.topics
        return next((topic.partitions for topic in lag.topics if topic.topic == self._topic), ())

    def _is_shown(self, lag: LagLine) -> bool:
        if self.board.is_issues_only and not lag.lag_records and lag.lag_records is not None:
            return False
        return self.matches(title_of(lag))

    def _chart(self, picture: Picture, flow: FlowView | None) -> list[Text]:
        height = min(CHART_HEIGHT, max(5, self.app.size.height - 14))
        curve = self._curve(picture, flow)
        if curve is None:
            return [Text("no history yet", style="dim")]
        show: Show = show_axis_seconds if self.board.unit == "seconds" else show_short_count
        width = self.app.size.width - 2
        return draw(curve, width=width, height=height, is_ascii=self.board.glyphs.is_ascii, show=show)

    def _curve(self, picture: Picture, flow: FlowView | None) -> Curve | None:
        history = None if flow is None else picture.history(flow.flow, self.board.window_seconds)
        if flow is None or history is None or not history.points:
            return None
        until = max(
            history.points[-1].at, picture.status.computed_at if picture.status is not None else history.points[-1].at
        )
        since = until - timedelta(seconds=self.board.window_seconds)
        is_seconds = self.board.unit == "seconds"
        points = [(point.at, point.lag_seconds if is_seconds else point.lag_records) for point in history.points]
        columns = max(10, self.app.size.width - 10) * (1 if self.board.glyphs.is_ascii else 2)
        limit = flow.objectives.rpo_seconds if is_seconds else flow.objectives.rpo_records
        values = resample(points, since=since, until=until, count=columns)
        return Curve(values, since, until, None if limit is None else float(limit))

    def _figures(self, picture: Picture, flow: FlowView | None) -> list[Text]:
        if flow is None:
            return [Text("")]
        history = picture.history(flow.flow, self.board.window_seconds)
        peak = (
            max((p.lag_seconds for p in history.points if p.lag_seconds is not None), default=None) if history else None
        )
        blind = blind_spans(history.points, step_seconds=history.step_seconds) if history else []
        first = joined(
            f"now {show_lag_seconds(flow.lag.lag_seconds, is_minimum=flow.lag.is_seconds_minimum)}",
            f"peak {show_seconds(peak)}",
            f"{show_count(flow.lag.lag_records)} records",
            f"in {show_rate(flow.lag.rate_in)}",
            f"out {show_rate(flow.lag.rate_out)}",
            f"ETA {show_seconds(flow.lag.eta_seconds)}",
        )
        if not blind:
            return [first]
        began, ended = blind[-1]
        told = f"lag unknown {began:%H:%M:%S} to {ended:%H:%M:%S}" + (
            f", and {len(blind) - 1} more in this window" if len(blind) > 1 else ""
        )
        return [first, Text(told, style=ODD)]

    def enter(self) -> None:
        """Look at a topic's partitions."""
        row = self.query_one("#topics", KeyedTable).current
        if row is not None and self._topic is None:
            self._topic = row.key
            self.paint()

    def leave(self) -> bool:
        """Go back to the topics."""
        topic, self._topic = self._topic, None
        if topic is None:
            return False
        self.paint()
        self.query_one("#topics", KeyedTable).move_to(topic)
        return True

    def command(self) -> str:
        """The same on the command line."""
        return f"replicator lag {self.board.flow or ''}".strip()


def show_axis_seconds(seconds: float) -> str:
    """Return a duration as an axis says it: `0s`, `7.5s`, `10m00s`."""
    return f"{seconds:.3g}s" if seconds < 60 else show_seconds(seconds)


def show_window(seconds: float) -> str:
    """Return a window as people say it."""
    return f"{seconds / 3600:g}h" if seconds >= 3600 else f"{seconds / 60:g}m"


def lag_row(lag: LagLine) -> Row:
    """Return a topic or a partition as a row."""
    stalled = lag.is_stalled if isinstance(lag, PartitionLagView) else bool(lag.stalled_partitions)
    note = "STALLED" if stalled else "unknown" if lag.lag_records is None else ""
    end = mirrored = None
    if isinstance(lag, PartitionLagView):
        end, mirrored, title, key = (
            lag.source_end,
            lag.mirrored_position,
            f"partition {lag.partition}",
            str(lag.partition),
        )
    else:
        title = key = lag.topic
    cells = {
        "name": name(title, width=60),
        "seconds": figure(show_lag_seconds(lag.lag_seconds, is_minimum=lag.is_seconds_minimum)),
        "records": figure(show_short_count(lag.lag_records)),
        "in": figure(show_rate(lag.rate_in)),
        "out": figure(show_rate(lag.rate_out)),
        "eta": figure(show_seconds(lag.eta_seconds)),
        "note": Text(note, style=f"bold {BAD}" if stalled else ODD, end=""),
        "end": figure(show_count(end) if isinstance(lag, PartitionLagView) else ""),
        "mirrored": figure(show_count(mirrored) if isinstance(lag, PartitionLagView) else ""),
    }
    return Row(key, lag, cells, key)


def blind_spans(points: Sequence[HistoryPoint], *, step_seconds: float) -> list[tuple[datetime, datetime]]:
    """Return the spans in which lag was unknown, or in which there is no point at all."""
    spans: list[tuple[datetime, datetime]] = []
    step = timedelta(seconds=step_seconds)
    last: datetime | None = None
    for point in points:
        if last is not None and point.at - last > step * 2:
            spans.append((last + step, point.at))
        if point.lag_seconds is None:
            if spans and point.at - spans[-1][1] <= step:
                spans[-1] = (spans[-1][0], point.at + step)
            else:
                spans.append((point.at, point.at + step))
        last = point.at
    return spans
