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
    """One command and how long it may take. `verify` is another that runs after it, within as long: it ends with 0
    where what the first is for is so. None: the command's own 0 is believed."""

    argv: tuple[str, ...]
    timeout_seconds: float = 30.0
    verify: tuple[str, ...] | None = None


def run_hooks(
    hooks: Sequence[HookCommand],
    *,
    environ: Mapping[str, str],
    operation_id: str,
    step: str,
    epoch: int,
    deadline: Deadline,
) -> None:
    """Leave every command run and ended with 0, in order, each followed by its verify. Each may be run again by a
    later try.

    They get OP, STEP and EPOCH in their environment, nothing on stdin, and never our stdout.

    Raises:
        OperationFailed: one could not be started, ended otherwise, or was killed with its process group; or it ended
            with 0, and its verify did not.
    """
    told = {**environ, "OP": operation_id, "STEP": step, "EPOCH": str(epoch)}
    for hook in hooks:
        _run_one(f"hook {safe_text(hook.argv[0])}", hook, environ=told, deadline=deadline)
        if hook.verify is not None:
            name = f"hook {safe_text(hook.argv[0])} ended with 0, and what it is for is not so: verify"
            proof = HookCommand(hook.verify, hook.timeout_seconds)
            _run_one(f"{name} {safe_text(hook.verify[0])}", proof, environ=told, deadline=deadline)


def worst_seconds(hooks: Sequence[HookCommand]) -> float:
    """Return how long the commands may take in all, their verifies too."""
    return sum(hook.timeout_seconds * (1 if hook.verify is None else 2) for hook in hooks)


def are_verified(hooks: Sequence[HookCommand]) -> bool:
    """Whether what every command is for is looked at by another."""
    return bool(hooks) and all(hook.verify is not None for hook in hooks)


def _run_one(name: str, hook: HookCommand, *, environ: Mapping[str, str], deadline: Deadline) -> None:
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
            raise OperationFailed(f"{name}: cannot be started: {exc.strerror}") from exc
        status = _wait(process, deadline.capped(hook.timeout_seconds))
        if status == 0:
            return
        told.seek(0, os.SEEK_END)
        told.seek(max(0, told.tell() - TOLD_BYTES_MAX))
        output = told.read().decode(errors="replace")
    ending = f"took longer than {hook.timeout_seconds:g} s and was killed" if status is None else f"ended with {status}"
    raise OperationFailed(f"{name} {ending}", detail=output or None, hint="mend the hook; it may be run again")


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
