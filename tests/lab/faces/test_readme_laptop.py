"""README's part for a laptop: each of its lines as it stands there, typed into one shell by a new user."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.names import GroupName, TopicName, TopicPartition

from .conftest import wait_until

ROOT = Path(__file__).parents[3]
TOPIC, GROUP = TopicName("shop.orders"), GroupName("shop.billing")
RECORDS, BEHIND = 10_000, 500
PARTITIONS = [TopicPartition(TOPIC, number) for number in range(3)]
END = re.compile(r"@@ (\d+)\n")


def lines() -> list[str]:
    """Return README's lines, without what is said about them."""
    section = (ROOT / "README.md").read_text().partition("## On a laptop\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, flags=re.DOTALL)
    return [line.partition("  #")[0].strip() for line in block.splitlines()]


class Shell:
    """A shell in a folder that looks like a clone with its environment made."""

    def __init__(self, folder: Path) -> None:
        (folder / ".venv").mkdir()
        (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [shutil.which("bash") or "/bin/bash"],
            cwd=folder,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(os.environ),
        )

    def type(self, line: str) -> tuple[int, str]:
        """Return the status of the line, and what it printed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\necho; echo @@ $?\n" if line.endswith("&") else f"{line}\necho @@ $?\n")
        self._process.stdin.flush()
        printed = ""
        for told in self._process.stdout:
            if ended := END.fullmatch(told):
                return int(ended[1]), printed
            printed += told
        pytest.fail(f"the shell ended in: {line}\n{printed}")

    def ask(self, line: str) -> Any:
        """Return what a command tells programs."""
        status, printed = self.type(f"{line} -o json 2>/dev/null")
        assert status == 0, printed
        return json.loads(printed)

    def close(self) -> None:
        """End what was begun in the background, and the shell."""
        self.type("kill %1 2>/dev/null; wait")
        self._process.communicate("exit\n", timeout=60)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A new user's shell. Whatever becomes of the test, nothing of it goes on."""
    shell = Shell(tmp_path)
    try:
        yield shell
    finally:
        shell.close()
        if (tmp_path / "lab").exists():
            Lab.open(tmp_path / "lab").purge()


def left_to_read(lab: Lab, cluster: str, *, from_start: bool = False) -> list[int]:
    """Return how many records of each partition the group would be handed on a cluster, or anybody from the start."""
    with KafkaCluster(lab.access(cluster)) as kafka:
        deadline = Deadline.after(60)
        places = kafka.groups.committed([GROUP], deadline)[GROUP].committed
        stable = kafka.positions.ends(PARTITIONS, deadline)
        ranges = {tp: (0 if from_start else places[tp], stable[tp].last_stable) for tp in PARTITIONS}
        return [len(read.records) for read in kafka.read_ranges(ranges, deadline=deadline).values()]


def test_every_line_for_a_laptop_does_what_it_says(shell: Shell, tmp_path: Path) -> None:
    """From an empty folder to a flow, an outage, a failover and home again: nothing lost, the group where it stood."""
    typed = lines()
    assert typed[0] == "make venv"
    assert re.search(r"^venv:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    for line in typed[1:]:
        if line.startswith("replicator lab kill"):
            lab = Lab.open(tmp_path / "lab")
            wait_until(lambda: caught_up(shell), what="a supervisor that saw the copy complete")
        status, printed = shell.type(line.replace("replicator run &", "replicator run > run.log 2>&1 &"))
        assert status == 0, f"{line}\n{printed}"
        if line == "replicator failover shop --confirm shop":
            assert sum(left_to_read(lab, "west", from_start=True)) == RECORDS
            assert left_to_read(lab, "west") == [BEHIND] * 3
        if line.startswith("replicator failback"):
            assert sum(left_to_read(lab, "east", from_start=True)) == RECORDS
            assert left_to_read(lab, "east") == [BEHIND] * 3
            assert [flow["active"] for flow in shell.ask("replicator status")["item"]["flows"]] == ["east"]
    assert not (tmp_path / "lab").exists()


def caught_up(shell: Shell) -> bool:
    """Whether the supervisor itself answers, with every record mirrored and every group proven."""
    item = shell.ask("replicator status")["item"]
    return item["is_standalone"] is False and item["flows"][0]["lag"]["lag_records"] == 0
