"""Alerts that hold: which fire, which are pending, since when; and what to do about each."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from replicator.api.schema import AlertView
from tui.cells import clipped, clock_time, joined, name, plain, state
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import Glyphs, style_of
from tui.widgets import Column, KeyedTable, Lines, Row

COLUMNS = (
    Column("state", "STATE", 10, sort_key=lambda alert: alert.state),
    Column("severity", "SEVERITY", 10, sort_key=lambda alert: alert.severity),
    Column("since", "SINCE", 8, sort_key=lambda alert: alert.since),
    Column("alert", "ALERT", 26, sort_key=lambda alert: alert.name),
    Column("summary", "WHAT IT SAYS", 16, is_filling=True),
)


class AlertsScreen(BoardScreen):
    """The shipped alerts, as the supervisor's own figures have them."""

    TITLE_TEXT: ClassVar[str] = "Alerts"
    HINTS: ClassVar[str] = "enter to the cause  i firing only"
    TABLE: ClassVar[str | None] = "alerts"

    def compose_body(self) -> ComposeResult:
        """Lay out the counts, the list, the chosen alert."""
        yield Lines(id="counts")
        yield KeyedTable(COLUMNS, id="alerts")
        yield Lines(id="detail")

    def wants(self) -> list[str]:
        """The alerts."""
        return ["alerts"]

    def paint_body(self, picture: Picture) -> None:
        """Paint the alerts that the filter lets through."""
        width = self.app.size.width
        alerts = picture.alerts()
        self.query_one("#counts", Lines).show([clipped(counts_line(alerts, picture), width - 2)])
        shown = [alert for alert in alerts or () if self._is_shown(alert)]
        rows = [alert_row(alert, self.board.glyphs, is_local=self.board.is_local_time) for alert in shown]
        self.query_one("#alerts", KeyedTable).show(rows)
        self.query_one("#detail", Lines).show(self._detail())

    def _is_shown(self, alert: AlertView) -> bool:
        if self.board.is_issues_only and alert.state != "firing":
            return False
        return self.matches(f"{alert.name} {alert.state} {alert.severity} {alert.summary} {labels_text(alert)}")

    def _detail(self) -> list[Text]:
        row = self.query_one("#alerts", KeyedTable).current
        if row is None:
            return [Text("")]
        labels = clipped(plain(labels_text(row.value), style="dim"), self.app.size.width - 2)
        whole = plain(row.value.description)
        whole.no_wrap, whole.overflow = False, "fold"
        return [labels, whole]

    def on_data_table_row_highlighted(self) -> None:
        """Another alert is chosen: show what to do about it."""
        self.paint()

    def enter(self) -> None:
        """Look at what causes it: the runbook that stands still, the snapshots, or the flow."""
        row = self.query_one("#alerts", KeyedTable).current
        if row is None:
            return
        if (flow := row.value.labels.get("flow")) is not None:
            self.board.flow = flow
        self.dashboard.action_go(cause_screen(row.value))

    def command(self) -> str:
        """The same on the command line: alerts are Prometheus' matter, this is what the API tells of them."""
        return f"curl -s {self.board.feed.where}/v1/alerts"


def cause_screen(alert: AlertView) -> str:
    """Return the screen on which an alert's cause is seen."""
    if alert.name == "ReplicatorOperationHalted":
        return "Runbook"
    if "schedule" in alert.labels or "Snapshot" in alert.name:
        return "Snapshots"
    if alert.name == "ReplicatorGroupsUnplaced":
        return "Groups"
    if alert.name == "ReplicatorRPOBreached":
        return "Lag"
    return "Flow" if "flow" in alert.labels else "Overview"


def counts_line(alerts: tuple[AlertView, ...] | None, picture: Picture) -> Text:
    """Return how many fire and how many are pending."""
    if alerts is None:
        return plain(picture.part("alerts").refusal or "the alerts are not known yet", style="dim")
    if not alerts:
        return Text("no alert holds", style="dim")
    firing = sum(alert.state == "firing" for alert in alerts)
    told = f"{firing} firing, {len(alerts) - firing} pending"
    return joined(
        Text(told, style="bold"), Text("by this supervisor's figures; silences are Alertmanager's", style="dim")
    )


def labels_text(alert: AlertView) -> str:
    """Return what an alert is about."""
    return ", ".join(f"{key} {value}" for key, value in alert.labels.items())


def alert_row(alert: AlertView, glyphs: Glyphs, *, is_local: bool) -> Row:
    """Return an alert as a row."""
    cells = {
        "state": state(alert.state, glyphs),
        "severity": Text(alert.severity if alert.severity in ("critical", "warning", "info") else "?", end=""),
        "since": Text(clock_time(alert.since, is_local=is_local), style="dim", end=""),
        "alert": name(alert.name.removeprefix("Replicator"), width=26, style="bold"),
        "summary": plain(alert.summary),
    }
    cells["severity"].stylize(style_of(alert.severity))
    return Row(f"{alert.name} {labels_text(alert)}", alert, cells, alert.summary)
