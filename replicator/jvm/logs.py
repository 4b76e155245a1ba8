"""What the log of a dead JVM says: the cause in one line, and the lines around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TAIL_BYTES = 256 * 1024
_EXCERPT_LINES = 12
_CAUSE_CHARACTERS = 300
_EMPTY_WORDS = ("A fatal exception has occurred", "Could not create the Java Virtual Machine")
_MARKS = ("Caused by: ", "Exception: ", "Error: ", "Exception in thread", " ERROR ", " FATAL ")


@dataclass(frozen=True, slots=True)
class LogEnd:
    """`cause` is one line; `excerpt` a dozen lines from there on. No control character is in them."""

    cause: str
    excerpt: str


def tell_end(log_file: Path) -> LogEnd:
    """Return what the end of the log says; an empty or missing log says that it is."""
    return pick_end(_read_tail(log_file))


def pick_end(log: Sequence[str]) -> LogEnd:
    """Return the end that a log's last lines tell: the last deepest cause, else exception, error, or last line."""
    lines = [line for line in log if line.strip() and not any(words in line for words in _EMPTY_WORDS)]
    at = next((i for mark in _MARKS for i in range(len(lines) - 1, -1, -1) if mark in lines[i]), None)
    if at is None:
        return LogEnd(_shorten(lines[-1]) if lines else "it wrote no log", "\n".join(lines[-_EXCERPT_LINES:]))
    start = max(0, at - 1)
    return LogEnd(_shorten(lines[at].replace("Caused by: ", "")), "\n".join(lines[start : start + _EXCERPT_LINES]))


def _shorten(line: str) -> str:
    return line.strip()[:_CAUSE_CHARACTERS]


def _read_tail(log_file: Path) -> list[str]:
    try:
        with log_file.open("rb") as handle:
            handle.seek(max(0, log_file.stat().st_size - _TAIL_BYTES))
            text = handle.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [_make_visible(line.replace("\t", "    ")) for line in text.splitlines()]


def _make_visible(line: str) -> str:
    return line if line.isprintable() else line.encode("unicode_escape").decode("ascii")
