"""The one way data reaches stdout: a table for people, or the JSON envelope for programs."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, TextIO

from replicator.model.forms.text import UNKNOWN, safe_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table
    from rich.text import Text

    from replicator.model.forms.plain import Plain

API_VERSION = "replicator/v1"
PIPE_WIDTH = 160
TABLE_PIPE_WIDTH = 4096
"""No terminal has a width: whoever reads a pipe gets each row of a table on one line."""


_NOTHING: Mapping[str, str] = {
    "Event": "no such event has happened",
    "Finding": "no findings",
    "FlowList": "no flows are configured",
    "FlowStatus": "no flows are configured",
    "GroupList": "no groups",
    "Lag": "no partition to show",
    "OperationList": "no operations in the journal",
    "Schedule": "no schedules are configured",
    "SnapshotList": "no snapshots",
}
"""What people are told where there is nothing of a kind."""


class OutputFormat(StrEnum):
    """How data is printed. `jsonl` is one envelope a line; `plain` tab-separated cells; `name` names alone."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    YAML = "yaml"
    NAME = "name"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Output:
    """Which format, and whether in colour: auto (a terminal without NO_COLOR), always or never."""

    format: OutputFormat = OutputFormat.TABLE
    color: str = "auto"

    def with_format(self, format_: OutputFormat) -> Output:
        """Return the same in another format."""
        return replace(self, format=format_)

    def with_color(self, color: str) -> Output:
        """Return the same with another choice of colour."""
        return replace(self, color=color)

    @property
    def is_for_people(self) -> bool:
        """Whether a human reads it."""
        return self.format is OutputFormat.TABLE

    def console(self, stream: TextIO, *, pipe_width: int = PIPE_WIDTH) -> Console:
        """Return a rich console that interprets nothing: no markup, no emoji codes, no highlighting."""
        from rich.console import Console

        return Console(
            file=stream,
            markup=False,
            emoji=False,
            highlight=False,
            soft_wrap=False,
            no_color=True if self.color == "never" else None,
            force_terminal=True if self.color == "always" else None,
            width=None if stream.isatty() else pipe_width,
        )


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title, how to read its cell from an item, whether it is a number (right-aligned),
    and a rich style for a cell where one is meant."""

    title: str
    cell: Callable[[Any], object]
    is_number: bool = False
    style: Callable[[Any], str | None] | None = None


def emit(
    kind: str,
    *,
    output: Output,
    item: object = None,
    items: Iterable[object] | None = None,
    columns: Sequence[Column] = (),
    warnings: Sequence[str] = (),
    view: RenderableType | None = None,
) -> None:
    """Print one item, or items, of `kind` to stdout.

    JSON, JSONL and YAML hold the whole value (dataclasses, pydantic models, mappings). A table shows
    `columns`; without columns an item shows its fields one a line. `view` is shown instead of a table when
    people read; whoever builds it passes foreign strings through `safe_text` into `rich.text.Text`.
    Warnings go into the envelope, else to stderr.
    """
    rows = None if items is None else list(items)
    match output.format:
        case OutputFormat.JSON | OutputFormat.YAML:
            _write(_as_document(output.format, envelope(kind, item=item, items=rows, warnings=warnings)))
            return
        case OutputFormat.JSONL:
            for row in [item] if rows is None else rows:
                emit_line(kind, row)
        case OutputFormat.NAME | OutputFormat.PLAIN:
            for row in [item] if rows is None else rows:
                cells = _cells(row, columns)
                _write("\t".join(cells[:1] if output.format is OutputFormat.NAME else cells))
        case OutputFormat.TABLE:
            _print_for_people(kind, output, item=item, rows=rows, columns=columns, view=view, is_whole=not warnings)
    for warning in warnings:
        print(f"warning: {safe_text(warning)}", file=sys.stderr)


def emit_line(kind: str, item: object) -> None:
    """Print one JSONL line now; for streams that do not end."""
    from replicator.model.forms.plain import to_json

    _write(to_json({"apiVersion": API_VERSION, "kind": kind, "item": item}))
    sys.stdout.flush()


def envelope(
    kind: str, *, item: object = None, items: Sequence[object] | None = None, warnings: Sequence[str] = ()
) -> dict[str, object]:
    """Return the envelope every JSON answer has; `items` where there may be many, else `item`."""
    body: dict[str, object] = {"item": item} if items is None else {"items": items}
    return {"apiVersion": API_VERSION, "kind": kind, **body, "warnings": list(warnings)}


def text_of(value: object, *, style: str | None = None) -> Text:
    """Return any value as one safe cell: unknown is a dash, times are RFC 3339, nothing is interpreted."""
    from rich.text import Text

    return Text(show(value), style=style or "", overflow="fold")


def show(value: object) -> str:
    """Return any value as one safe line of text."""
    from replicator.model.forms.figures import show_moment

    match value:
        case None:
            return UNKNOWN
        case bool():
            return "yes" if value else "no"
        case Enum():
            return safe_text(value.value)
        case datetime():
            return show_moment(value)
        case float():
            return f"{round(value, 3):g}" if abs(value) < 1000 else f"{value:.1f}"
        case Mapping():
            return ", ".join(f"{show(key)}={show(entry)}" for key, entry in value.items()) if value else UNKNOWN
        case tuple() | list() | set() | frozenset():
            return ", ".join(show(entry) for entry in value) if value else UNKNOWN
        case _:
            return safe_text(value)


def to_yaml(value: Plain) -> str:
    """Return plain values as YAML 1.2 in pure printable ASCII, without the last line break."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = False
    yaml.width = 4096
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().rstrip("\n")


def make_table(*titles: str, numbers: Iterable[str] = ()) -> Table:
    """Return an empty table in the house style; columns named in `numbers` are right-aligned."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    right = set(numbers)
    for title in titles:
        table.add_column(text_of(title), justify="right" if title in right else "left", overflow="fold")
    return table


def _as_document(format_: OutputFormat, document: dict[str, object]) -> str:
    from replicator.model.forms.plain import to_json, to_plain

    if format_ is OutputFormat.JSON:
        return to_json(document, indent=2)
    return to_yaml(to_plain(document))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _cells(row: object, columns: Sequence[Column]) -> list[str]:
    if columns:
        return [show(column.cell(row)) for column in columns]
    fields = _fields(row)
    return [show(value) for value in fields.values()]


def _fields(row: object) -> dict[str, object]:
    from replicator.model.forms.plain import to_plain

    plain = to_plain(row)
    return dict(plain) if isinstance(plain, dict) else {"value": plain}


def _print_for_people(
    kind: str,
    output: Output,
    *,
    item: object,
    rows: list[object] | None,
    columns: Sequence[Column],
    view: RenderableType | None,
    is_whole: bool,
) -> None:
    console = output.console(sys.stdout, pipe_width=TABLE_PIPE_WIDTH)
    if view is not None:
        output.console(sys.stdout).print(view, soft_wrap=isinstance(view, str) or hasattr(view, "plain"))
    elif rows is None:
        console.print(_item_table(item, columns))
    elif rows:
        console.print(_rows_view(rows, columns, width=console.width))
    else:
        told = _NOTHING.get(kind, "nothing to show")
        print(told if is_whole else f"{told}, as far as could be read", file=sys.stderr)


def _rows_view(rows: list[object], columns: Sequence[Column], *, width: int) -> RenderableType:
    """Return a table, or on a terminal where it could not be read a block for each row."""
    from replicator.cli.blocks import fits, to_blocks

    if not columns:
        columns = [_field_column(title) for title in _fields(rows[0])]
    titles = [column.title for column in columns]
    cells = [[_cell(row, column) for column in columns] for row in rows]
    if not fits(titles, cells, width=width):
        return to_blocks(titles, cells, width=width)
    table = make_table(*titles, numbers=[c.title for c in columns if c.is_number])
    for row in cells:
        table.add_row(*row)
    return table


def _field_column(title: str) -> Column:
    return Column(title, lambda row: _fields(row).get(title))


def _item_table(item: object, columns: Sequence[Column]) -> Table:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    if columns:
        for column in columns:
            table.add_row(text_of(column.title), _cell(item, column))
    else:
        for name, value in _fields(item).items():
            table.add_row(text_of(name), text_of(value))
    return table


def _cell(row: object, column: Column) -> Text:
    return text_of(column.cell(row), style=column.style(row) if column.style else None)
