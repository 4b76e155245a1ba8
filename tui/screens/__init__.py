"""Screens: each turns the picture into lines and rows, and knows its own keys."""

from tui.screens.alerts import AlertsScreen
from tui.screens.base import BoardScreen
from tui.screens.events import EventsScreen
from tui.screens.flow import FlowScreen
from tui.screens.groups import GroupsScreen
from tui.screens.lag import LagScreen
from tui.screens.overview import OverviewScreen
from tui.screens.runbook import RunbookScreen
from tui.screens.snapshots import SnapshotsScreen

SCREENS: tuple[type[BoardScreen], ...] = (
    OverviewScreen,
    FlowScreen,
    LagScreen,
    GroupsScreen,
    RunbookScreen,
    SnapshotsScreen,
    EventsScreen,
    AlertsScreen,
)
"""In the order of their keys, 1 to 8."""

__all__ = ["SCREENS", "BoardScreen"]
