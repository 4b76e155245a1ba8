"""A table whose rows have keys: painting compares and changes what differs. It is never cleared and filled again.

The cursor stays on its key, not on its place; rows do not change places while the user is among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.console import JustifyMethod
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable

ROWS_MAX = 2000


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `width` in cells; `needs_width`: hidden on a screen narrower than this.

    `sort_key` reads what rows are sorted by from a row's value; a column without one cannot be sorted by.
    One column may be `is_filling`: it takes what the others leave, and never less than its width.
    """

    key: str
    title: str
    width: int
    needs_width: int = 0
    is_filling: bool = False
    is_number: bool = False
    sort_key: Callable[[Any], Any] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its key, its value, a cell for each column by the column's key, and what the filter looks at."""

    key: str
    value: Any
    cells: dict[str, Text]
    words: str


class _Cell(Text):
    """A cell that knows its row's key, so that rows can be put in any order."""

    key: str = ""


def _cell(text: Text, key: str) -> _Cell:
    cell = _Cell(end="", no_wrap=True, overflow=text.overflow, justify=text.justify)
    cell.append_text(text)
    cell.key = key
    return cell


class KeyedTable(DataTable[Text]):
    """Rows by key. `show` paints; sorting and filtering are the caller's words, kept here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "scroll_top", show=False),
        Binding("G", "scroll_bottom", show=False),
    ]

    def __init__(self, columns: Sequence[Column], *, id: str) -> None:  # noqa: A002 - textual's name
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=1)
        self._all = tuple(columns)
        self._visible: tuple[Column, ...] = ()
        self._widths: tuple[int, ...] = ()
        self._rows: dict[str, Row] = {}
        self._order: tuple[str, ...] = ()
        self.sorted_by: str | None = None
        self.is_reversed = False
        self.is_wide = False
        self.hidden_rows = 0
        self.marked: frozenset[str] = frozenset()
        self.mark = "●"

    def on_mount(self) -> None:
        """Make the columns."""
        self._fit_columns()

    def on_resize(self) -> None:
        """Show the columns there is room for."""
        self._fit_columns()

    def _fit_columns(self) -> None:
        width = self.app.size.width
        visible = tuple(column for column in self._all if self.is_wide or column.needs_width <= width)
        widths = fit_widths(visible, width=width)
        if (visible, widths) == (self._visible, self._widths):
            return
        key = self.current_key
        rows = list(self._rows.values())
        self._visible, self._widths, self._rows, self._order = visible, widths, {}, ()
        self.clear(columns=True)
        for column, column_width in zip(visible, widths, strict=True):
            self.add_column(self._title(column), width=column_width, key=column.key)
        self.show(rows)
        self._put_cursor(key)

    def _title(self, column: Column) -> Text:
        mark = ("↓" if self.is_reversed else "↑") if column.key == self.sorted_by else ""
        side: JustifyMethod = "right" if column.is_number else "left"
        return Text(f"{column.title}{mark}", style="bold", end="", no_wrap=True, justify=side)

    def widen(self) -> bool:
        """Show every column, or only those there is room for again; return whether it is every one now."""
        self.is_wide = not self.is_wide
        self._fit_columns()
        return self.is_wide

    @property
    def current_key(self) -> str | None:
        """Key of the row under the cursor."""
        if not self._order or not 0 <= self.cursor_row < len(self._order):
            return None
        return self._order[self.cursor_row]

    @property
    def current(self) -> Row | None:
        """The row under the cursor."""
        key = self.current_key
        return None if key is None else self._rows.get(key)

    @property
    def keys_shown(self) -> tuple[str, ...]:
        """Keys of the rows, from the top."""
        return self._order

    def sort_by_next(self) -> str | None:
        """Sort by the next column that can be sorted by; return its title."""
        keys = [column.key for column in self._visible if column.sort_key is not None]
        if not keys:
            return None
        place = keys.index(self.sorted_by) + 1 if self.sorted_by in keys else 0
        self._sort(keys[place % len(keys)], is_reversed=False)
        return next(column.title for column in self._all if column.key == self.sorted_by)

    def reverse(self) -> None:
        """Turn the order round."""
        self._sort(self.sorted_by, is_reversed=not self.is_reversed)

    def _sort(self, key: str | None, *, is_reversed: bool) -> None:
        before = self.current_key
        self.sorted_by, self.is_reversed = key, is_reversed
        for column in self._visible:
            self.columns[next(k for k in self.columns if k.value == column.key)].label = self._title(column)
        self._arrange(list(self._rows.values()), is_asked=True)
        self._put_cursor(before)

    def show(self, rows: Sequence[Row], *, follows_top: bool = False) -> None:
        """Paint these rows: new ones are added, gone ones removed, of the others only changed cells are touched.

        The cursor stays on its row; with `follows_top` a cursor at the top stays at the top.
        """
        if not self._visible:
            return
        wanted = {row.key: row for row in rows[:ROWS_MAX]}
        self.marked &= frozenset(wanted)
        self.hidden_rows = max(0, len(rows) - ROWS_MAX)
        before = None if follows_top and self.cursor_row == 0 else self.current_key
        for key in [key for key in self._rows if key not in wanted]:
            self.remove_row(key)
        for key, row in wanted.items():
            self._paint_row(key, row)
        self._rows = wanted
        kept = [key for key in self._order if key in wanted]
        self._order = (*kept, *(key for key in wanted if key not in set(kept)))
        self._arrange(list(wanted.values()))
        self._put_cursor(before)

    def _paint_row(self, key: str, row: Row) -> None:
        known = self._rows.get(key)
        if known is None:
            self.add_row(*(self._made(row, column) for column in self._visible), key=key)
            return
        for column in self._visible:
            if known.cells[column.key] != row.cells[column.key]:
                self.update_cell(key, column.key, self._made(row, column), update_width=False)

    def _made(self, row: Row, column: Column) -> _Cell:
        """Return a cell as it is painted: the first of a marked row begins with the mark."""
        cell = _cell(row.cells[column.key], row.key)
        if row.key in self.marked and column.key == self._visible[0].key:
            marked = _cell(Text(f"{self.mark} ", style="bold reverse", end=""), row.key)
            marked.justify = cell.justify
            marked.append_text(cell)
            return marked
        return cell

    def toggle_mark(self) -> bool | None:
        """Mark the row under the cursor, or mark it no more; return whether it is marked now, None without a row."""
        key = self.current_key
        if key is None:
            return None
        self.marked ^= frozenset({key})
        self._repaint_marks({key})
        return key in self.marked

    def forget_marks(self) -> bool:
        """Leave no row marked; return whether one was."""
        were, self.marked = self.marked, frozenset()
        self._repaint_marks(were)
        return bool(were)

    def _repaint_marks(self, keys: Iterable[str]) -> None:
        first = self._visible[0]
        for key in keys:
            if key in self._rows:
                self.update_cell(key, first.key, self._made(self._rows[key], first), update_width=False)

    @property
    def rows_meant(self) -> tuple[Row, ...]:
        """The marked rows in the order shown; without a mark all that are shown."""
        meant = [key for key in self._order if not self.marked or key in self.marked]
        return tuple(self._rows[key] for key in meant if key in self._rows)

    @property
    def columns_known(self) -> tuple[Column, ...]:
        """Every column, also those there is no room for."""
        return self._all

    def _arrange(self, rows: list[Row], *, is_asked: bool = False) -> None:
        column = next((one for one in self._all if one.key == self.sorted_by), None)
        if self.marked and not is_asked:
            rows = [self._rows[key] for key in self._order if key in self._rows]  # nothing moves while rows are marked
        elif column is not None and column.sort_key is not None:
            read = column.sort_key
            rows = sorted(rows, key=lambda row: _sortable(read(row.value)), reverse=self.is_reversed)
        elif self.is_reversed:
            rows = rows[::-1]
        order = tuple(row.key for row in rows)
        if order == self._order and self.row_count == len(order) and self._is_in_order(order):
            return
        self._order = order
        rank = {key: place for place, key in enumerate(order)}
        self.sort(self._visible[0].key, key=lambda cell: rank.get(getattr(cell, "key", ""), len(rank)))

    def _is_in_order(self, order: tuple[str, ...]) -> bool:
        return all(row.key.value == key for row, key in zip(self.ordered_rows, order, strict=True))

    def _put_cursor(self, key: str | None) -> None:
        if key is None or key not in self._order:
            return
        place = self._order.index(key)
        if place != self.cursor_row:
            self.move_cursor(row=place, scroll=False)

    def move_by(self, step: int) -> bool:
        """Put the cursor so many rows further, round at the ends; return whether there is a row at all."""
        if self._order:
            self.cursor_coordinate = Coordinate((self.cursor_row + step) % len(self._order), 0)
        return bool(self._order)

    def move_to(self, key: str) -> None:
        """Put the cursor on a row, if it is there."""
        if key in self._order:
            self.cursor_coordinate = Coordinate(self._order.index(key), 0)


def fit_widths(columns: Sequence[Column], *, width: int) -> tuple[int, ...]:
    """Return the columns' widths on a screen; each cell has a blank at both sides, and a scrollbar may come."""
    taken = sum(column.width + 2 for column in columns)
    left = max(0, width - 4 - taken)
    return tuple(column.width + (left if column.is_filling else 0) for column in columns)


def _sortable(value: Any) -> tuple[bool, Any]:
    """Unknown comes first: it wants a look."""
    return (value is not None, 0 if value is None else value)
