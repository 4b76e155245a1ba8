"""Rows on a terminal too narrow for their table: each a block, its first cell as the heading, the others as pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

READABLE_WIDTH = 24
"""A cell that is folded into lines of so many characters can still be read."""
GAP = 3
INDENT = 2
Cells = Sequence["Text"]


def fits(titles: Sequence[str], rows: Sequence[Cells], *, width: int) -> bool:
    """Whether a table of these cells can be read at this width: no column is squeezed below what it needs."""
    needed = [
        min(READABLE_WIDTH, max([len(title), *(row[place].cell_len for row in rows)]))
        for place, title in enumerate(titles)
    ]
    return sum(needed) + 2 * (len(needed) - 1) <= width


def to_blocks(titles: Sequence[str], rows: Sequence[Cells], *, width: int) -> Group:
    """Return the rows one below the other."""
    from rich.console import Group
    from rich.text import Text

    lines: list[Text | Padding] = []
    for row in rows:
        lines += [Text(), *_block(titles, row, width)] if lines else _block(titles, row, width)
    return Group(*lines)


def _block(titles: Sequence[str], row: Cells, width: int) -> list[Text | Padding]:
    from rich.text import Text

    heading = row[0].copy()
    heading.stylize("bold")
    lines: list[Text | Padding] = [heading]
    open_line = Text()
    for title, cell in zip(titles[1:], row[1:], strict=True):
        pair = Text.assemble((f"{title} ", "dim"), cell)
        if open_line and INDENT + open_line.cell_len + GAP + pair.cell_len > width:
            lines.append(_indented(open_line))
            open_line = Text()
        open_line = Text.assemble(open_line, " " * GAP, pair) if open_line else pair
    return [*lines, _indented(open_line)] if open_line else lines


def _indented(line: Text) -> Padding:
    from rich.padding import Padding

    line.overflow = "fold"
    return Padding(line, (0, 0, 0, INDENT), expand=False)
