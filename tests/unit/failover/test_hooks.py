"""The operator's commands: what they are told, and that a hanging one is ended with all it started."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.errors import OperationFailed
from replicator.failover import HookCommand
from replicator.failover.hooks import run_hooks

pytestmark = pytest.mark.process


def run(*hooks: HookCommand, seconds: float = 60) -> None:
    """Run hooks as a step would."""
    run_hooks(
        hooks,
        environ={"PATH": os.environ["PATH"]},
        operation_id="op-1",
        step="promote",
        epoch=7,
        deadline=Deadline.after(seconds),
    )


def python(text: str, *, timeout_seconds: float = 30) -> HookCommand:
    """Return a hook that runs a piece of Python."""
    return HookCommand(argv=(sys.executable, "-c", text), timeout_seconds=timeout_seconds)


def test_a_hook_knows_operation_step_and_epoch(tmp_path: Path) -> None:
    """They stand in its environment, and hooks run in order."""
    told = tmp_path / "told"
    write = f"import os; open({str(told)!r}, 'a').write(' '.join(os.environ[k] for k in ('OP', 'STEP', 'EPOCH')) + ';')"
    run(python(write), python(write))
    assert told.read_text() == "op-1 promote 7;op-1 promote 7;"


def test_a_hook_that_fails_stops_the_rest(tmp_path: Path) -> None:
    """Its status and the end of what it said are told; nothing behind it runs."""
    told = tmp_path / "told"
    with pytest.raises(OperationFailed, match="ended with 3") as failed:
        run(python("print('no such record'); raise SystemExit(3)"), python(f"open({str(told)!r}, 'w')"))
    assert "no such record" in (failed.value.detail or "")
    assert not told.exists()


def test_a_hanging_hook_is_killed_with_what_it_started(tmp_path: Path) -> None:
    """After its time its whole process group is gone, a grandchild that holds its output too."""
    pid_file = tmp_path / "pid"
    text = (
        "import subprocess, sys, time;"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(300)']);"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid)); time.sleep(300)"
    )
    with pytest.raises(OperationFailed, match="was killed"):
        run(python(text, timeout_seconds=8))
    grandchild = int(pid_file.read_text())
    deadline = Deadline.after(30)
    while _lives(grandchild):
        deadline.check("the grandchild to be gone")
        time.sleep(0.05)


def _lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in ("Z", "X")


@pytest.mark.parametrize("has_lied", [True, False])
def test_a_hook_that_ends_well_and_did_nothing_is_found(tmp_path: Path, has_lied: bool) -> None:
    """Its verify looks at the world, with the same words in its environment; what lies behind it does not run."""
    mark, later = tmp_path / "mark", tmp_path / "later"
    look = f"import os, pathlib; raise SystemExit(pathlib.Path({str(mark)!r}).read_text() != os.environ['OP'])"
    act = "pass" if has_lied else f"import os; open({str(mark)!r}, 'w').write(os.environ['OP'])"
    mark.touch()
    hook = HookCommand((sys.executable, "-c", act), 30, verify=(sys.executable, "-c", look))
    hooks = (hook, python(f"open({str(later)!r}, 'w')"))
    if has_lied:
        with pytest.raises(
            OperationFailed, match=r"ended with 0, and what it is for is not so: verify .* ended with 1"
        ):
            run(*hooks)
    else:
        run(*hooks)
    assert later.exists() is not has_lied


def test_a_hanging_verify_is_no_proof() -> None:
    """It is killed after its time, and the hook has failed."""
    hang = (sys.executable, "-c", "import time; time.sleep(300)")
    with pytest.raises(OperationFailed, match=r"is not so: verify .* was killed"):
        run(HookCommand((sys.executable, "-c", ""), 5, verify=hang))


def test_a_hook_that_is_not_there_is_told() -> None:
    """A program that cannot be started is named."""
    with pytest.raises(OperationFailed, match="cannot be started"):
        run(HookCommand(argv=("/no/such/program",)))
