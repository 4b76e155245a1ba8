"""`replicator demo --tui` in a real terminal: the outage and the failover are seen in the dashboard as they happen."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.clock import Deadline

TMUX = shutil.which("tmux")
MAY_SKIP = TMUX is None and not os.environ.get("REPLICATOR_REQUIRE_ALL")
STORY_SECONDS = 400.0

pytestmark = [
    pytest.mark.drill,
    pytest.mark.long,
    pytest.mark.lab,
    pytest.mark.skipif(MAY_SKIP, reason="tmux is not installed: no real terminal to drive"),
]


class Terminal:
    """One tmux server with one window of a fixed size."""

    def __init__(self, folder: Path, command: str, *, size: tuple[int, int]) -> None:
        self._socket = str(folder / "tmux")
        shell = f"TERM=xterm-256color LC_ALL=C.UTF-8 {command}; echo ended with $?; sleep 60"
        self._ask("-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), shell)

    def _ask(self, *arguments: str) -> str:
        asked = [str(TMUX), "-u", "-S", self._socket, *arguments]
        return subprocess.run(asked, capture_output=True, text=True, timeout=20, check=True).stdout

    def press(self, key: str) -> None:
        """Press a key."""
        self._ask("send-keys", key)

    def see(self, *words: str) -> str:
        """Return the screen once all the words are on it at once."""
        deadline = Deadline.after(STORY_SECONDS)
        while not all(word in (screen := self._ask("capture-pane", "-p")) for word in words):
            deadline.check(f"{words} never stood on the screen together:\n{screen}")
            time.sleep(0.1)
        return screen

    def close(self) -> None:
        """End this server and all in it."""
        subprocess.run([str(TMUX), "-S", self._socket, "kill-server"], capture_output=True, timeout=20, check=False)


@pytest.fixture(params=[(80, 24), (120, 40)], ids=["80x24", "120x40"])
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    """A terminal in which the demo has begun."""
    command = [sys.executable, "-m", "replicator", "demo", "--tui", "--json", str(tmp_path / "report.json")]
    opened = Terminal(tmp_path, shlex.join(command), size=request.param)
    yield opened
    opened.close()


def test_the_demo_is_watched(terminal: Terminal, tmp_path: Path) -> None:
    """The lost source, the runbook by itself, the flow at home again, its traces; then the report, and status 0."""
    terminal.see("HEALTHY", "READ-ONLY")
    lost = terminal.see("east ACTIVE", "refused", "UNKNOWN")
    assert "—" in lost  # lag is unknown, never 0
    runbook = terminal.see("FAILOVER", "promote", "done", "hold_lease")
    assert "east → west" in runbook
    terminal.see("The story has ended")
    terminal.press("1")
    terminal.see("east ACTIVE", "HEALTHY")
    terminal.press("7")
    terminal.see("drill ended: done")
    terminal.press("q")
    terminal.see("ended with 0")
    assert json.loads((tmp_path / "report.json").read_text())["ok"] is True
