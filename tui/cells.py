"""Values as cells: rich texts that interpret nothing. Every foreign string on the screen has come through here."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.text import Text

from replicator.api.schema import EventView
from replicator.model.forms.text import UNKNOWN, cut_middle, safe_text
from tui.theme import WORDS, Glyphs, style_of


def plain(text: object, *, style: str = "") -> Text:
    """Return any text on one line, inert: what a terminal would obey is shown instead."""
    return Text(safe_text(text), style=style, no_wrap=True, overflow="ellipsis", end="")


def name(text: object, *, width: int = 28, style: str = "") -> Text:
    """Return a name, cut in its middle to `width`."""
    return Text(cut_middle(safe_text(text), width=width), style=style, no_wrap=True, overflow="ellipsis", end="")


def figure(text: str, *, style: str = "") -> Text:
    """Return a figure, to the right; one that is unknown is dim."""
    chosen = "dim" if text == UNKNOWN else style
    return Text(text, style=chosen, justify="right", no_wrap=True, end="")


def state(word: str, glyphs: Glyphs) -> Text:
    """Return a state: glyph, word and colour."""
    shown = WORDS.get(word, word)
    return Text(f"{glyphs.mark(word)} {safe_text(shown)}", style=style_of(word), no_wrap=True, end="")


def unknown() -> Text:
    """Return what nobody read."""
    return Text(UNKNOWN, style="dim", no_wrap=True, end="")


def clock_time(moment: datetime | None, *, is_local: bool = False) -> str:
    """Return the time of day of a moment."""
    if moment is None:
        return UNKNOWN
    shown = moment.astimezone() if is_local else moment.astimezone(UTC)
    return shown.strftime("%H:%M:%S")


def date_time(moment: datetime | None, *, is_local: bool = False) -> str:
    """Return date and time of a moment, to the minute."""
    if moment is None:
        return UNKNOWN
    shown = moment.astimezone() if is_local else moment.astimezone(UTC)
    return shown.strftime("%Y-%m-%d %H:%M")


def joined(*parts: Text | str, separator: str = "  ") -> Text:
    """Return several texts on one line."""
    line = Text(end="", no_wrap=True, overflow="ellipsis")
    for number, part in enumerate(parts):
        if number:
            line.append(separator)
        line.append_text(part if isinstance(part, Text) else Text(part))
    return line


def clipped(line: Text, width: int) -> Text:
    """Return the line in at most `width` cells, cut at its end."""
    short = line.copy()
    short.truncate(max(1, width), overflow="ellipsis")
    return short


def event_line(event: EventView, glyphs: Glyphs, *, is_local: bool) -> Text:
    """Return an event on one line."""
    return joined(
        Text(clock_time(event.at, is_local=is_local), style="dim"),
        Text(glyphs.mark(event.severity), style=style_of(event.severity)),
        name(event.flow or "", width=16, style="bold"),
        plain(event.text),
        separator=" ",
    )
