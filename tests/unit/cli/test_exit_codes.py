"""docs/exit-codes.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from replicator import errors
from replicator.cli.exits import EXIT_MEANINGS

DOC = Path(__file__).parents[3] / "docs" / "exit-codes.md"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| (.*?) ?\|$", re.MULTILINE)


def _classes(class_: type[errors.ReplicatorError]) -> list[type[errors.ReplicatorError]]:
    return [class_, *(found for below in class_.__subclasses__() for found in _classes(below))]


def test_the_page_lists_every_status_with_its_meaning() -> None:
    """The table of the page is the table of the code, row by row."""
    rows = {int(code): meaning for code, meaning, _ in ROW.findall(DOC.read_text())}
    assert rows == dict(EXIT_MEANINGS)


def test_the_page_lists_every_error_beside_its_status() -> None:
    """Every class of the tree stands with its word in the row of its status, and no word stands that is none."""
    listed = {
        (int(code), word) for code, _, words in ROW.findall(DOC.read_text()) for word in re.findall(r"`([^`]+)`", words)
    }
    assert listed == {(class_.exit_status, class_.code) for class_ in _classes(errors.ReplicatorError)}


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """errors.py draws its tree at its head; each class stands there with its own status."""
    drawn = dict(re.findall(r"[├└]── (\w+)\s+(\d+)\s", errors.__doc__ or ""))
    assert drawn == {class_.__name__: str(class_.exit_status) for class_ in _classes(errors.ReplicatorError)[1:]}
