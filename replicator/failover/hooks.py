"""Commands of the operator that a runbook calls: an argument list, no shell, a time limit, its own process group."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replicator.clock import Deadline
from replicator.errors import OperationFailed
from replicator.model.forms.text import safe_text

TOLD_BYTES_MAX = 4_096
KILL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class HookCommand:
    """One command and how long it may take."""

    argv: tuple[str, ...]
    timeout_seconds: float = 30.0


def run_hooks(
    hooks: Sequence[HookCommand],
    *,
    environ: Mapping[str, str],
    operation_id: str,
    step: str,
    epoch: int,
    deadline: Deadline,
) -> None:
    """Leave every command run and ended with 0, in order. Each may be run again by a later try.

    They get OP, STEP and EPOCH in their environment, nothing on stdin, and never our stdout.

    Raises:
        OperationFailed: one could not be started, ended otherwise, or was killed with its process group.
    """
    told = {**environ, "OP": operation_id, "STEP": step, "EPOCH": str(epoch)}
    for hook in hooks:
        _run_one(hook, environ=told, deadline=deadline)


def _run_one(hook: HookCommand, *, environ: Mapping[str, str], deadline: Deadline) -> None:
    name = safe_text(hook.argv[0])
    # A file, not a pipe: a grandchild that keeps a pipe open would hold us beyond the limit.
    with tempfile.TemporaryFile() as told:
        try:
            process = subprocess.Popen(
                hook.argv,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError as exc:
            raise OperationFailed(f"hook {name}: cannot be started: {exc.strerror}") from exc
        status = _wait(process, deadline.capped(hook.timeout_seconds))
        if status == 0:
            return
        told.seek(0, os.SEEK_END)
        told.seek(max(0, told.tell() - TOLD_BYTES_MAX))
        output = told.read().decode(errors="replace")
    ending = f"took longer than {hook.timeout_seconds:g} s and was killed" if status is None else f"ended with {status}"
    raise OperationFailed(f"hook {name} {ending}", detail=output or None, hint="mend the hook; it may be run again")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return how it ended; None when it had to be killed, and nothing of its group is left then."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=KILL_SECONDS)
