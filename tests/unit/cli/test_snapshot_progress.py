"""Long snapshot verbs show that they are alive, where nobody looks on too; logs of commands are plain lines."""

from __future__ import annotations

import threading
import time

import pytest

from replicator import log
from replicator.cli.context import App
from replicator.cli.snapshots.doors import describe_progress, show_progress, tell_lines
from replicator.snapshot import Progress, Stage, say_nothing


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress(stage=Stage.SURVEY), "survey, 12 s so far"),
        (Progress(stage=Stage.VERIFY, done=0, total=3), "verify 0 of 3, 12 s so far"),
        (Progress(stage=Stage.COPY, done=5, total=10, done_bytes=2_000_000), "copy 5 of 10, 1.9 MiB, 12 s so far"),
    ],
)
def test_a_line_says_how_far_it_is(progress: Progress, told: str) -> None:
    """The stage, figures where there are some, and the time."""
    assert describe_progress(progress, seconds=12.3) == told


def test_lines_come_while_nothing_is_reported(capsys) -> None:
    """A machine that is busy with one thing says so; when it is done nobody goes on talking."""
    found = ""
    with tell_lines(App(), every_seconds=0.01) as report:
        report(Progress(stage=Stage.STORE))
        for _ in range(3000):
            time.sleep(0.01)
            found += capsys.readouterr().err
            if found.count("store, ") >= 3:
                break
    assert found.count("store, ") >= 3
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_quiet_says_nothing() -> None:
    """With -q there is no teller at all."""
    app = App()
    app.is_quiet = True
    with show_progress(app) as report:
        assert report is say_nothing
        assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_a_command_logs_plain_lines(capsys) -> None:
    """Without a terminal too: no JSON, no colours, nothing that a terminal would obey."""
    App().configure_log()
    log.get_logger().warning("retention_put_off", cause="x\x1b[2J\ny")
    told = capsys.readouterr().err
    assert told.startswith("[warning")
    assert "\x1b" not in told
    assert (told.count("\n"), "retention_put_off" in told) == (1, True)
