"""Rows on a narrow terminal: nothing is squeezed, cut or lost."""

from __future__ import annotations

import pytest
from rich.console import Console
from rich.text import Text

from replicator.cli.blocks import fits, to_blocks

TITLES = ["FLOW", "HEALTH", "LAG", "CAUSE"]
CAUSE = "the source does not answer: no broker of east has answered for 34 seconds, outage suspected since 03:12:04"


def cells(*values: str) -> list[Text]:
    return [Text(value) for value in values]


ROWS = [cells("orders", "STALLED", "1,234", CAUSE), cells("payments", "HEALTHY", "0", "—")]


def drawn(width: int) -> list[str]:
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(to_blocks(TITLES, ROWS, width=width))
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "expected"), [(80, True), (50, True), (49, False), (20, False)])
def test_a_table_fits_where_no_column_falls_below_what_can_be_read(width: int, expected: bool) -> None:
    """A long cell may be folded to 24 characters, a short one is never broken: 8 + 7 + 5 + 24 and three gaps of 2."""
    assert fits(TITLES, ROWS, width=width) is expected


@pytest.mark.parametrize("width", [24, 40, 80, 120])
def test_every_word_of_every_cell_is_there_at_every_width(width: int) -> None:
    """Blocks may fold a line, never drop from it; no line is longer than the terminal is wide."""
    lines = drawn(width)
    assert max(len(line.rstrip()) for line in lines) <= width
    words = " ".join(lines).split()
    wanted = [word for row in ROWS for cell in row for word in cell.plain.split()] + TITLES[1:]
    assert not [word for word in wanted if word not in words]


def test_a_block_is_its_name_and_its_indented_figures() -> None:
    """What is folded stays under its own row, so that a name is always at the left edge alone."""
    lines = [line.rstrip() for line in drawn(60)]
    assert [line for line in lines if line and not line.startswith("  ")] == ["orders", "payments"]
    assert lines[1] == "  HEALTH STALLED   LAG 1,234"
    assert lines[2].startswith("  CAUSE the source")
    assert lines[lines.index("payments") - 1] == ""
