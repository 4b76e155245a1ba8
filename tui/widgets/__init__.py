"""Widgets that know nothing of flows: a table that changes in place, and lines of inert text."""

from tui.widgets.lines import Lines
from tui.widgets.table import Column, KeyedTable, Row

__all__ = ["Column", "KeyedTable", "Lines", "Row"]
