"""What the dashboard asks of a feed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from replicator.api.schema import ActRequest, OperationView
from tui.picture import Picture


class Feed(Protocol):
    """Gives pictures. `start` and `close` frame its life; everything else may be called between them."""

    @property
    def picture(self) -> Picture:
        """The newest picture."""
        ...

    @property
    def where(self) -> str:
        """Whom it asks, for people."""
        ...

    def now(self) -> float:
        """Return the time pictures are dated by."""
        ...

    def start(self) -> None:
        """Begin; one that has begun goes on."""
        ...

    def close(self) -> None:
        """End; nothing is asked any more."""
        ...

    def want(self, parts: Iterable[str]) -> None:
        """Keep these parts fresh from now on, and no others."""
        ...

    def refresh(self) -> None:
        """Ask for everything now, and try to connect again at once."""
        ...

    def begin(self, act: str, *, flow: str, request: ActRequest) -> OperationView:
        """Ask for an act; blocks until it was taken on.

        Raises: what the supervisor, or the lack of contact, answers.
        """
        ...
