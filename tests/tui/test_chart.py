"""The chart and the headline's words: values to lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from replicator.api.schema import LossView
from tui.chart import Curve, draw, resample, sparkline, top_of
from tui.headline import told_loss

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
END = START + timedelta(seconds=100)


def at(second: float) -> datetime:
    """Return a moment of the window."""
    return START + timedelta(seconds=second)


def test_the_worst_of_a_slot_is_shown() -> None:
    """Points that share a slot show as their largest."""
    points = [(at(second), float(value)) for second, value in ((0, 1), (5, 9), (10, 2), (60, 4), (90, 3))]
    assert resample(points, since=START, until=END, count=2) == [9.0, 4.0]


def test_an_unknown_point_makes_its_slot_unknown() -> None:
    """A slot in which one value was unknown has none."""
    points = [(at(0), 1.0), (at(10), None), (at(60), 2.0)]
    assert resample(points, since=START, until=END, count=2) == [None, 2.0]


def test_a_silence_is_a_gap() -> None:
    """Where no point came for long nothing is drawn; between two near points there is no hole."""
    points = [(at(second), 5.0) for second in range(0, 40, 2)] + [(at(second), 5.0) for second in range(80, 100, 2)]
    values = resample(points, since=START, until=END, count=100)
    assert values[10] == values[11] == 5.0
    assert values[50:75] == [None] * 25


@pytest.mark.parametrize("is_ascii", [False, True])
@pytest.mark.parametrize(("width", "height"), [(40, 8), (120, 12), (10, 3)])
def test_a_chart_fits_its_place(width: int, height: int, is_ascii: bool) -> None:
    """No line is wider, and there are no more of them, than there is room; in plain letters it is ASCII alone."""
    curve = Curve([1.0, 5.0, None, 20.0] * 30, START, END, limit=10.0)
    lines = draw(curve, width=width, height=height, is_ascii=is_ascii, show=lambda value: f"{value:g}s")
    assert len(lines) <= max(5, height)
    assert all(line.cell_len <= max(18, width) for line in lines)
    assert not is_ascii or all(line.plain.isascii() for line in lines)


def test_the_objective_is_drawn_and_named() -> None:
    """The objective is a rule with its name."""
    curve = Curve([1.0] * 60, START, END, limit=30.0)
    text = "\n".join(line.plain for line in draw(curve, width=70, height=10, is_ascii=False, show=lambda v: f"{v:g}s"))
    assert "objective 30s" in text
    assert "╌╌╌" in text


@pytest.mark.parametrize(("values", "limit"), [([0.0], None), ([3.0], 30.0), ([99_999.0], 1.0), ([None], None)])
def test_the_top_is_above_everything(values: list[float | None], limit: float | None) -> None:
    """Neither a value nor the objective is cut off at the top."""
    top = top_of(Curve(values, START, END, limit))
    assert top >= max([value for value in values if value is not None], default=0.0)
    assert top >= (limit or 0.0)


def test_a_sparkline_shows_gaps_as_gaps() -> None:
    """Unknown is a blank, never the lowest bar."""
    assert sparkline([0.0, None, 4.0], bars="_-#", width=3) == "_ #"


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (None, "— (the source was never read)"),
        (LossView(known_lost=0, unknown_window_seconds=0.5, possible_lost_max=52), "0 known, max 52, unread 0.5s"),
        (LossView(known_lost=7, unknown_window_seconds=None, possible_lost_max=None), "7 known, max —, unread —"),
    ],
)
def test_a_loss_always_has_three_values(loss: LossView | None, told: str) -> None:
    """Known, bound and window are all told, and what is unknown is a dash."""
    assert told_loss(loss) == told
