"""The dashboard in a real terminal: tmux sends the keys and reads the screen, over a recording."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.model.forms.plain import to_json
from tui.scenes import story

TMUX = shutil.which("tmux")
MAY_SKIP = TMUX is None and not os.environ.get("REPLICATOR_REQUIRE_ALL")
SECONDS_MAX = 30.0

pytestmark = pytest.mark.skipif(MAY_SKIP, reason="tmux is not installed: no real terminal to drive")


class Terminal:
    """One tmux server of its own, with one window of a fixed size."""

    def __init__(self, folder: Path, *, size: tuple[int, int], command: str) -> None:
        self._socket = str(folder / "tmux")
        width, height = size
        shell = f"TERM=xterm-256color LC_ALL=C.UTF-8 {command}; echo ended with $?; sleep 60"
        self._ask("-f", "/dev/null", "new-session", "-d", "-x", str(width), "-y", str(height), shell)

    def _ask(self, *arguments: str) -> str:
        asked = [str(TMUX), "-u", "-S", self._socket, *arguments]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout

    def press(self, *keys: str) -> None:
        """Press keys as a user would."""
        self._ask("send-keys", *keys)

    def read(self) -> str:
        """Return the screen."""
        return self._ask("capture-pane", "-p")

    def see(self, words: str) -> str:
        """Return the screen once the words are on it."""
        deadline = Deadline.after(SECONDS_MAX)
        while words not in (screen := self.read()):
            assert not deadline.is_over, f"{words!r} never came:\n{screen}"
            SYSTEM_CLOCK.sleep(0.05)
        return screen

    def miss(self, words: str) -> None:
        """Return once the words have gone: escape and a key at once would reach the dashboard as alt and that key."""
        deadline = Deadline.after(SECONDS_MAX)
        while words in (screen := self.read()):
            assert not deadline.is_over, f"{words!r} never went:\n{screen}"
            SYSTEM_CLOCK.sleep(0.05)

    def close(self) -> None:
        """End this server and all in it."""
        subprocess.run([str(TMUX), "-S", self._socket, "kill-server"], capture_output=True, timeout=20, check=False)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """The story as a file."""
    path = tmp_path / "story.jsonl"
    lines = (to_json({"at": moment.at, "kind": moment.kind, "value": moment.value}) for moment in story())
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def terminal(request: pytest.FixtureRequest, tmp_path: Path, recording: Path) -> Iterator[Terminal]:
    """The dashboard in a terminal, 312 seconds into the story: the source is lost."""
    command = [sys.executable, "-m", "replicator", "tui", "--replay", str(recording), "--at", "312"]
    opened = Terminal(tmp_path, size=request.param, command=shlex.join(command))
    yield opened
    opened.close()


def test_real_keys_on_a_real_terminal(terminal: Terminal) -> None:
    """The outage stands in the first line; keys lead through the screens and out with status 0."""
    first = terminal.see("LATEST EVENTS").splitlines()[0]
    assert "lose 1,204 known" in first
    terminal.press("4")
    screen = terminal.see("READS TWICE")
    assert "\\x1b]52" in screen
    terminal.press("?")
    terminal.see("command palette")
    terminal.press("Escape")
    terminal.miss("command palette")
    terminal.press("3")
    terminal.see("objective 30s")
    terminal.press("1", "/")
    terminal.see("filter:")
    terminal.press("aud", "Enter")
    terminal.see("filter: aud")
    terminal.press("Escape")
    terminal.miss("filter: aud")
    terminal.press("q")
    terminal.see("ended with 0")
