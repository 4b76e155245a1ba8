"""What is on the screen as a file: rows as CSV or JSON, or the picture as SVG. A file that exists is left as it is."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from replicator.api.schema import Travelling
from replicator.errors import NotFound
from replicator.model.forms.plain import to_json
from replicator.model.forms.text import safe_text
from tui.cells import joined, plain
from tui.widgets import Column, Lines, Row

KINDS = (
    ("csv", "the rows, a line each, as they are shown"),
    ("json", "the rows with everything that is known of them"),
    ("svg", "the screen as a picture"),
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Exported:
    """What is to be written: rows and their columns, and the name of the screen."""

    screen: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    is_marked_only: bool = False


def to_csv(exported: Exported) -> str:
    """Return the rows as CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    stream = StringIO()
    writer = csv.writer(stream)
    writer.writerow(["key", *(column.key for column in exported.columns)])
    for row in exported.rows:
        cells = [safe_text(row.key), *(row.cells[column.key].plain.strip() for column in exported.columns)]
        writer.writerow([_inert(cell) for cell in cells])
    return stream.getvalue()


def _inert(cell: str) -> str:
    is_number = cell.lstrip("-").replace(".", "", 1).replace(",", "").isdigit()
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) and not is_number else cell


def to_rows_json(exported: Exported) -> str:
    """Return the rows as JSON, each with its key, what is shown, and the value behind it."""
    rows = [
        {
            "key": row.key,
            "shown": {column.key: row.cells[column.key].plain.strip() for column in exported.columns},
            "value": _plain(row.value),
        }
        for row in exported.rows
    ]
    return to_json({"screen": exported.screen, "rows": rows}) + "\n"


def _plain(value: object) -> Any:
    if isinstance(value, Travelling):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value


def file_name(screen: str, kind: str, at: datetime) -> str:
    """Return the name of a new file."""
    return f"replicator-{screen.lower()}-{at:%Y%m%dT%H%M%SZ}.{kind}"


def write_new(path: Path, text: str) -> Path:
    """Return the file, written whole.

    Raises:
        NotFound: it exists already, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except OSError as exc:
        raise NotFound(f"{path}: cannot be written: {exc.strerror}", hint="go to a folder you may write to") from exc
    return path


class ExportDialog(ModalScreen[str | None]):
    """Asks for the kind of file. Nothing is written before one is chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,e,q", "close", "close", show=False)]

    def __init__(self, exported: Exported) -> None:
        super().__init__()
        self._exported = exported

    def compose(self) -> ComposeResult:
        """Lay it out."""
        with Vertical(classes="dialog"):
            yield Lines(id="export-title")
            options = [Option(Text.assemble((f"{kind:<6}", "bold"), says), id=kind) for kind, says in KINDS]
            yield OptionList(*options, id="kinds", markup=False)

    def on_mount(self) -> None:
        """Write what would be written."""
        which = "marked rows" if self._exported.is_marked_only else "rows"
        title = joined(plain(f"export {self._exported.screen}", style="bold"), f"{len(self._exported.rows)} {which}")
        where = Text("a new file in the folder the dashboard was started in; esc writes nothing", style="dim")
        self.query_one("#export-title", Lines).show([title, where])
        self.query_one("#kinds", OptionList).focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go and write it."""
        self.dismiss(event.option_id)

    def action_close(self) -> None:
        """Close it; nothing was written."""
        self.dismiss(None)
