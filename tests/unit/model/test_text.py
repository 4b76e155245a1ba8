"""Foreign text is seen, never obeyed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.model.forms.text import cut_middle, safe_lines, safe_text

HOSTILE = [
    ("\x1b[2J", "\\x1b[2J"),
    ("\x1b]52;c;aGk=\x07", "\\x1b]52;c;aGk=\\x07"),
    ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
    ("\x9b31m", "\\x9b31m"),
    ("\x7f\x00", "\\x7f\\x00"),
    ("user\u202egpj.exe", "user\\u202egpj.exe"),
    ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
    ("line\u2028sep", "line\\u2028sep"),
    ("no\u00a0break\u3000wide", "no\\xa0break\\u3000wide"),
    ("half \ud83d", "half \\ud83d"),
    ("tag\U000e0041", "tag\\U000e0041"),
    ("filler\u3164", "filler\\u3164"),
    ("select\ufe0f", "select\\ufe0f"),
    ("z" + "\u0301" * 6, "z" + "\u0301" * 4 + "\\u0301" * 2),
    ("plain größe 東京 😀 [bold]", "plain größe 東京 😀 [bold]"),
]


@pytest.mark.security
@pytest.mark.parametrize(("text", "shown"), HOSTILE)
def test_hostile_characters_are_escaped(text: str, shown: str) -> None:
    """Each kind of active or invisible character is shown by its number; honest letters stay."""
    assert safe_text(text) == shown


@pytest.mark.security
@given(st.text())
def test_nothing_active_survives(text: str) -> None:
    """Whatever comes in, what goes out is visible characters and spaces on one line, and safe stays safe."""
    shown = safe_text(text)
    assert all(char == " " or not unicodedata.category(char).startswith(("C", "Z")) for char in shown)
    assert safe_text(shown) == shown


def test_lines_are_kept_and_bounded() -> None:
    """Text of many lines keeps its breaks, loses its tabs, and only its end is shown."""
    assert safe_lines("a\tb\r\n\x1bc") == "a   b\n\\x1bc"
    assert safe_lines("\n".join(map(str, range(1000))), lines_max=2) == "998\n999"


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("payments-v2", 20, "payments-v2"),
        ("payments-v2", 7, "pay…-v2"),
        ("abcdef", 4, "ab…f"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_long_names_are_cut_in_the_middle(text: str, width: int, shown: str) -> None:
    """Both ends of a long name stay readable, within the width."""
    assert cut_middle(text, width=width) == shown
