"""`demo --tui`: the rest of the story behind the dashboard, which watches it as it would watch anything else.

The dashboard is a client of the demo's own supervisor and knows nothing of the story but one line of it, its caption.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from replicator.errors import ReplicatorError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from replicator.api.client import ApiClient
    from replicator.cli.demo.story import Scene, Stage

ENDED = "The story has ended: q leaves the dashboard and shows the report"
BROKEN = "The story broke off: q leaves the dashboard and says why"


def require_terminal() -> None:
    """Return where there is a terminal to draw on.

    Raises:
        UsageError: there is none.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("demo --tui needs a terminal", hint="`replicator demo` tells the same story line by line")


class Told:
    """Scenes played in a thread of their own. `caption` is the line to show now."""

    def __init__(self, stage: Stage, scenes: Sequence[Scene]) -> None:
        self.caption = ""
        self._stage = stage
        self._scenes = scenes
        self._lines: list[str] = []
        self._failure: ReplicatorError | None = None
        self._crash: BaseException | None = None
        self._thread = threading.Thread(target=self._play, name="story", daemon=True)

    def start(self) -> None:
        """Let the story go on."""
        self._thread.start()

    def _play(self) -> None:
        try:
            for scene in self._scenes:
                self._play_scene(scene)
        except ReplicatorError as error:
            self._failure = error
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the story
            self._crash = error
        self.caption = ENDED if self._failure is None and self._crash is None else BROKEN

    def _play_scene(self, scene: Scene) -> None:
        clock = self._stage.clock
        began = clock.monotonic()
        self.caption = scene.says
        self._stage.tell = lambda line: setattr(self, "caption", f"{scene.says}: {line}")
        told = scene.play(self._stage)
        seconds = clock.monotonic() - began
        self.caption = f"{scene.says}: {told}"
        self._lines.append(f"✓ {scene.says} ({seconds:.1f} s)  {told}")

    def wait(self, console: Console) -> None:
        """Return once the story has ended, each of its scenes told in a line.

        Raises:
            ReplicatorError: a scene failed.
        """
        from rich.text import Text

        from replicator.model.forms.text import safe_text

        with console.status("") as status:
            while self._thread.is_alive():
                status.update(Text(f"the story goes on: {safe_text(self.caption)}"))
                self._thread.join(0.2)
        for line in self._lines:
            console.print(Text(safe_text(line)))
        for error in (self._failure, self._crash):
            if error is not None:
                raise error


def play_watched(
    stage: Stage,
    scenes: Sequence[Scene],
    *,
    console: Console,
    client: ApiClient,
    run_dashboard: Callable[..., int],
) -> None:
    """Play the scenes behind the dashboard; return when both have ended.

    Raises:
        ReplicatorError: a scene failed.
    """
    told = Told(stage, scenes)
    told.start()
    run_dashboard(client=client, caption=lambda: told.caption, is_following=True)
    told.wait(console)
