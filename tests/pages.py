"""The pages of docs/fears, and the commands on them: tests run these words, not their own."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "fears"
FLOW = "shop"
OPERATION = "OPERATION"
_BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)


def commands_on(page: str) -> list[str]:
    """Return the command lines of a page, in order."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    return [line for block in _BLOCK.findall(text) for line in block.splitlines() if line]


def said(page: str, place: int, *, flow: str, operation: str = "") -> list[str]:
    """Return the arguments of a page's command, for another flow and operation than the page's."""
    words = shlex.split(commands_on(page)[place])
    assert words[0] == "replicator"
    return [{FLOW: flow, OPERATION: operation}.get(word, word) for word in words[1:]]
