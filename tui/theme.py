"""How things look: a state is always glyph, word and colour together, so that none of the three is needed alone.

The colours are Okabe and Ito's, which people with any colour vision tell apart. Source: "Color Universal Design", 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.style import Style

GOOD = "#009e73"
WARN = "#e69f00"
BAD = "#d55e00"
INFO = "#56b4e9"
ODD = "#cc79a7"


@dataclass(frozen=True, slots=True)
class Look:
    """One word's look. `ascii` stands for the glyph where the terminal has no such letters."""

    glyph: str
    ascii: str
    style: str


_GOOD = Look("✓", "+", GOOD)
_WARN = Look("!", "!", f"bold {WARN}")
_BAD = Look("✗", "x", f"bold {BAD}")
_REST = Look("‖", "=", INFO)
_ODD = Look("?", "?", f"bold {ODD}")
_MOVED = Look("↔", "<>", f"bold {INFO}")
_NONE = Look("·", ".", "dim")
_RUNNING = Look("▶", ">", f"bold {INFO}")
_UNDONE = Look("↶", "<", WARN)

LOOKS: dict[str, Look] = {
    "HEALTHY": _GOOD,
    "LAGGING": _WARN,
    "DEGRADED": _WARN,
    "STALLED": _BAD,
    "FAILED": _BAD,
    "PAUSED": _REST,
    "STOPPED": _REST,
    "FAILED_OVER": _MOVED,
    "UNKNOWN": _ODD,
    "yes": _GOOD,
    "yes_at_a_cost": _WARN,
    "no": _BAD,
    "EXACT": _GOOD,
    "BOUNDED": _WARN,
    "FLOOR": _WARN,
    "UNAVAILABLE": _BAD,
    "RUNNING": _GOOD,
    "UNASSIGNED": _WARN,
    "RESTARTING": _WARN,
    "DESTROYED": _BAD,
    "reachable": _GOOD,
    "refused": _BAD,
    "silent": _BAD,
    "cost": _WARN,
    "drifted": _WARN,
    "info": _NONE,
    "warning": _WARN,
    "critical": _BAD,
    "pending": _NONE,
    "firing": _BAD,
    "running": _RUNNING,
    "done": _GOOD,
    "already": _GOOD,
    "done_with_exceptions": _WARN,
    "aborted": _UNDONE,
    "undone": _UNDONE,
    "blocked": _WARN,
    "halted": _BAD,
    "failed": _BAD,
    "unknown": _ODD,
    "sound": _GOOD,
    "damaged": _BAD,
    "unverified": _NONE,
}
"""Every word that has a look; one that is new to this version looks odd."""

WORDS = {"FAILED_OVER": "FAILED-OVER", "yes": "YES", "yes_at_a_cost": "YES, AT A COST", "no": "NO", "cost": "COST"}
"""Words that read otherwise on a screen than on the wire."""

DIMMED = Style(dim=True)


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Which letters may be used."""

    is_ascii: bool = False

    def mark(self, word: str) -> str:
        """Return the glyph of a word."""
        look = LOOKS.get(word, _ODD)
        return look.ascii if self.is_ascii else look.glyph

    @property
    def arrow(self) -> str:
        """From here to there."""
        return "->" if self.is_ascii else "→"

    @property
    def rule(self) -> str:
        """Between two figures."""
        return "|" if self.is_ascii else "·"

    @property
    def unknown(self) -> str:
        """What nobody read."""
        return "?" if self.is_ascii else "—"

    @property
    def bars(self) -> str:
        """Eight heights of a bar, the lowest first."""
        return "_.-:=+*#" if self.is_ascii else "▁▂▃▄▅▆▇█"


def style_of(word: str) -> str:
    """Return the style of a word."""
    return LOOKS.get(word, _ODD).style
