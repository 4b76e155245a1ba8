"""Lines of rich text, painted as they are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static


class Lines(Static):
    """Shows texts, one a line; painting the same again costs nothing."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - textual's name
        super().__init__("", id=id, classes=classes, markup=False)
        self._shown: tuple[Text, ...] | None = None

    def show(self, lines: Sequence[Text]) -> None:
        """Show these lines."""
        wanted = tuple(lines)
        if wanted != self._shown:
            self._shown = wanted
            self.update(Text("\n").join(wanted))

    @property
    def text(self) -> str:
        """What is shown, without its styles."""
        return "\n".join(line.plain for line in self._shown or ())
