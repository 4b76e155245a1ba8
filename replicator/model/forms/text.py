"""Foreign text made fit for a terminal. Names of topics, groups and clusters come from others: a control
character, an escape sequence or a direction override in one of them must be seen, never obeyed."""

from __future__ import annotations

import unicodedata

UNKNOWN = "—"
"""What a figure nobody read looks like; it is never 0."""

LINES_MAX = 200

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_COMBINING_MAX = 4


def safe_text(text: object) -> str:
    """Return `str(text)` on one line with every invisible or active character escaped (`\\x1b`, `\\u202e`).

    Escaped are controls, format and direction marks, zero-width characters, line separators, surrogates,
    unassigned code points, blanks other than the space, and combining marks beyond the fourth in a row.
    """
    return "".join(_safe_characters(str(text)))


def safe_lines(text: object, *, lines_max: int = LINES_MAX) -> str:
    """Return `str(text)` with its line breaks kept, each line safe, and only the last `lines_max` lines."""
    lines = str(text).expandtabs(4).split("\n")
    return "\n".join(safe_text(line.rstrip("\r")) for line in lines[-lines_max:])


def cut_middle(text: str, *, width: int) -> str:
    """Return `text` in at most `width` characters; what is cut is cut from the middle (`payments…-v2`)."""
    if len(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    tail = (width - 1) // 2
    head = width - 1 - tail
    return f"{text[:head]}…{text[len(text) - tail :]}"


def _safe_characters(text: str) -> list[str]:
    safe: list[str] = []
    combining = 0
    for char in text:
        combining = combining + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        safe.append(_escape(char) if _is_hidden(char) or combining > _COMBINING_MAX else char)
    return safe


def _is_hidden(char: str) -> bool:
    if " " <= char <= "~":
        return False
    category = unicodedata.category(char)
    return category in _HIDDEN_CATEGORIES or category == "Zs" or char in _BLANK_LETTERS or _is_selector(char)


def _is_selector(char: str) -> bool:
    return "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef"


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
