"""Lag over time as lines of text: a curve in braille or blocks, the objective as a dashed rule, and gaps as gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.text import Text

from tui.theme import BAD, INFO, WARN

Show = Callable[[float], str]

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_BRAILLE = 0x2800
_LABEL_WIDTH = 7
BLANKS = " \u2800"
"""An empty place: of a chart in letters, and of one in braille, where it is as wide as its neighbours."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Values at equal distances from `since` to `until`; None is unknown. `limit` is the objective."""

    values: Sequence[float | None]
    since: datetime
    until: datetime
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Canvas:
    """Size in characters of the curve's own field."""

    width: int
    height: int


def resample(
    points: Sequence[tuple[datetime, float | None]], *, since: datetime, until: datetime, count: int
) -> list[float | None]:
    """Return `count` values over the window: the largest of each slot; a slot with an unknown one, or none, is None."""
    slots: list[list[float | None]] = [[] for _ in range(max(1, count))]
    span = max(1e-9, (until - since).total_seconds())
    for moment, value in points:
        place = int((moment - since).total_seconds() / span * len(slots))
        if 0 <= place < len(slots) or (place == len(slots) and moment == until):
            slots[min(place, len(slots) - 1)].append(value)
    return _bridge([_worst(slot) for slot in slots], [bool(slot) for slot in slots])


def _worst(slot: list[float | None]) -> float | None:
    known = [value for value in slot if value is not None]
    return max(known) if known and len(known) == len(slot) else None


def _bridge(values: list[float | None], is_filled: list[bool]) -> list[float | None]:
    """Carry a value over the few empty slots between two points; a longer silence stays a gap."""
    reach = max(1, round(len(values) / max(1, sum(is_filled))) + 1)
    bridged = list(values)
    last, since = None, reach + 1
    for place, filled in enumerate(is_filled):
        if filled:
            last, since = values[place], 0
        else:
            since += 1
            bridged[place] = last if since <= reach else None
    return bridged


def sparkline(values: Sequence[float | None], *, bars: str, width: int) -> str:
    """Return the newest values as bars, a blank for unknown; the highest bar is the largest of them."""
    shown = list(values)[-width:]
    known = [value for value in shown if value is not None]
    top = max(known, default=0.0)
    return "".join(_bar(value, top=top, bars=bars) for value in shown).rjust(width)


def _bar(value: float | None, *, top: float, bars: str) -> str:
    if value is None:
        return " "
    return bars[0] if top <= 0 else bars[min(len(bars) - 1, int(value / top * (len(bars) - 1) + 0.5))]


def draw(curve: Curve, *, width: int, height: int, is_ascii: bool, show: Show) -> list[Text]:
    """Return the chart's lines: an axis with three labels, the curve, the objective, and the times below."""
    canvas = Canvas(max(10, width - _LABEL_WIDTH - 1), max(3, height - 2))
    top = top_of(curve)
    columns = 1 if is_ascii else 2
    values = list(curve.values)
    field = _plot(values, canvas=canvas, top=top, columns=columns, is_ascii=is_ascii)
    limit_row = None if curve.limit is None else _row_of(curve.limit, top=top, height=canvas.height)
    lines = []
    for row in range(canvas.height):
        label = _label(row, canvas=canvas, top=top, show=show)
        lines.append(_line(label, field[row], is_limit=row == limit_row, curve=curve, is_ascii=is_ascii, show=show))
    lines.append(
        Text(" " * _LABEL_WIDTH + ("+" if is_ascii else "└") + ("-" if is_ascii else "─") * canvas.width, style="dim")
    )
    lines.append(_times(curve, canvas=canvas))
    return lines


def top_of(curve: Curve) -> float:
    """Return the value at the chart's top: above every value and the objective, and round."""
    known = [value for value in curve.values if value is not None]
    highest = max([*known, curve.limit or 0.0, 1.0]) * 1.05
    for step in (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 86_400):
        if highest <= step:
            return float(step)
    scale = 10.0 ** (len(str(int(highest))) - 1)
    return (int(highest / scale) + 1) * scale


def _plot(values: list[float | None], *, canvas: Canvas, top: float, columns: int, is_ascii: bool) -> list[str]:
    if is_ascii:
        return _plot_ascii(values, canvas=canvas, top=top)
    dots = [[0] * canvas.width for _ in range(canvas.height)]
    before: int | None = None
    for place, value in enumerate(values[: canvas.width * columns]):
        if value is None:
            before = None
            continue
        level = min(canvas.height * 4 - 1, max(0, round(value / top * (canvas.height * 4 - 1))))
        for filled in _between(before, level):
            row, dot = divmod(canvas.height * 4 - 1 - filled, 4)
            dots[row][place // columns] |= _DOTS[dot][place % columns]
        before = level
    return ["".join(chr(_BRAILLE + cell) for cell in row) for row in dots]


def _between(before: int | None, level: int) -> range:
    if before is None or before == level:
        return range(level, level + 1)
    return range(before + 1, level + 1) if before < level else range(level, before)


def _plot_ascii(values: list[float | None], *, canvas: Canvas, top: float) -> list[str]:
    rows = [[" "] * canvas.width for _ in range(canvas.height)]
    for place, value in enumerate(values[: canvas.width]):
        if value is not None:
            rows[_row_of(value, top=top, height=canvas.height)][place] = "*"
    return ["".join(row) for row in rows]


def _row_of(value: float, *, top: float, height: int) -> int:
    return height - 1 - min(height - 1, max(0, round(value / top * (height - 1))))


def _label(row: int, *, canvas: Canvas, top: float, show: Show) -> str:
    if row not in (0, canvas.height // 2, canvas.height - 1):
        return ""
    return str(show(top * (canvas.height - 1 - row) / max(1, canvas.height - 1)))


def _line(label: str, field: str, *, is_limit: bool, curve: Curve, is_ascii: bool, show: Show) -> Text:
    edge = "|" if is_ascii else "┤"
    line = Text(f"{label[:_LABEL_WIDTH]:>{_LABEL_WIDTH}}{edge}", style="dim", end="", no_wrap=True)
    if not is_limit:
        line.append(field, style=f"not dim {INFO}")
        return line
    name = f" objective {show(curve.limit or 0.0)}"
    for place, letter in enumerate(field):
        if place >= len(field) - len(name):
            line.append(name[place - len(field) + len(name)], style=f"not dim {WARN}")
        elif letter in BLANKS:
            line.append("-" if is_ascii else "╌", style=f"not dim {WARN}")
        else:
            line.append(letter, style=f"not dim bold {BAD}")
    return line


def _times(curve: Curve, *, canvas: Canvas) -> Text:
    marks = max(2, canvas.width // 14)
    line = [" "] * (_LABEL_WIDTH + 1 + canvas.width)
    span = curve.until - curve.since
    for mark in range(marks + 1):
        text = (curve.since + span * (mark / marks)).strftime("%H:%M")
        place = _LABEL_WIDTH + 1 + round((canvas.width - len(text)) * mark / marks)
        line[place : place + len(text)] = text
    return Text("".join(line), style="dim", no_wrap=True, end="")
