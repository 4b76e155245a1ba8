"""The demo's hands: the same commands an operator types, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from replicator.errors import OperationFailed
from replicator.lab import free_address
from replicator.settings import Settings, load_settings

STOP_SECONDS = 25.0


class Answer(NamedTuple):
    """What a command printed as JSON, and how it ended."""

    envelope: dict[str, Any]
    exit_status: int

    @property
    def item(self) -> dict[str, Any]:
        """The envelope's one item."""
        return dict(self.envelope["item"])

    @property
    def items(self) -> list[dict[str, Any]]:
        """The envelope's items."""
        return list(self.envelope["items"])


class Shell:
    """Runs `replicator` with one configuration, in a folder and a HOME of its own."""

    def __init__(self, *, config: Path, folder: Path) -> None:
        self._config = config
        self._folder = folder
        self.listen = free_address()
        self.environ = {
            **os.environ,
            "HOME": str(folder / "home"),
            "REPLICATOR_CONFIG": str(config),
            "REPLICATOR_SUPERVISOR__LISTEN": self.listen,
        }
        (folder / "home").mkdir(exist_ok=True)

    def settings(self) -> Settings:
        """Return the configuration as the commands read it."""
        return load_settings(self._config, self.environ)

    def _argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "replicator", *words]

    def run(self, *words: str, timeout_seconds: float = 120.0, allowed: tuple[int, ...] = (0,)) -> Answer:
        """Return what the command answered.

        Raises:
            OperationFailed: it exited with a status that is not allowed, or printed no JSON.
        """
        argv = self._argv(*words, "-o", "json", "--no-input")
        done = subprocess.run(
            argv,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        line = f"replicator {' '.join(words)}"
        (self._folder / "commands.log").open("a").write(f"$ {line}\n[{done.returncode}]\n{done.stdout}{done.stderr}\n")
        if done.returncode not in allowed:
            raise OperationFailed(f"`{line}` exited {done.returncode}", detail=done.stderr[-2000:])
        return Answer(json.loads(done.stdout) if done.stdout.strip() else {}, done.returncode)

    def spawn(self, *words: str, log: str) -> subprocess.Popen[bytes]:
        """Return the process of a command that goes on; its output goes to a log file."""
        return subprocess.Popen(
            self._argv(*words),
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=(self._folder / log).open("ab"),
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen[bytes]) -> int:
    """Return the exit status of a process asked to end; one that does not is killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()
