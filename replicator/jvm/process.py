"""One JVM: started with a log of its own, told apart from any other process, and ended.

Each JVM leads its own process group and session, so that Ctrl-C in a terminal reaches only us.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replicator.clock import Deadline
from replicator.errors import LabFailed
from replicator.jvm.files import write_private
from replicator.jvm.guardian import Guardian
from replicator.jvm.identity import ProcessIdentity, ProcessState
from replicator.jvm.java import java_executable
from replicator.jvm.logs import tell_end

_LAUNCHER = Path(__file__).with_name("launcher.py")
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class JvmCommand:
    """What to run: a main class with its arguments, flags of the JVM, class path, and where its output goes.

    With `arguments_file` the arguments go into that private file instead of the command line, which
    everybody on the machine can read.
    """

    name: str
    main_class: str
    arguments: tuple[str, ...]
    flags: tuple[str, ...]
    classpath: str
    log_file: Path
    arguments_file: Path | None = None

    def argv(self) -> list[str]:
        """Return the command line; the class path travels in the environment, it is too long for `ps`."""
        if self.arguments_file is None:
            return [str(java_executable()), *self.flags, self.main_class, *self.arguments]
        write_private(self.arguments_file, render_arguments((self.main_class, *self.arguments)))
        return [str(java_executable()), *self.flags, f"@{self.arguments_file}"]


def render_arguments(arguments: Sequence[str]) -> str:
    """Return the text of a `java @file`: one quoted argument a line."""
    return "".join('"{}"\n'.format(text.replace("\\", "\\\\").replace('"', '\\"')) for text in arguments)


class JvmProcess:
    """A JVM that this or another process of ours started."""

    def __init__(self, name: str, identity: ProcessIdentity, log_file: Path) -> None:
        self.name = name
        self.identity = identity
        self.log_file = log_file
        self._child: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, command: JvmCommand, *, guardian: Guardian | None = None) -> JvmProcess:
        """Start the JVM. With a guardian it dies with us, even if we are killed.

        Raises: LabFailed when it cannot be started at all.
        """
        command.log_file.parent.mkdir(parents=True, exist_ok=True)
        argv = tied_to_us(command.argv()) if guardian and guardian.is_lifelong else command.argv()
        with command.log_file.open("ab") as log:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**clean_environment(), "CLASSPATH": command.classpath},
                start_new_session=True,
            )
        identity = ProcessIdentity.of(child.pid)
        if identity is None:
            raise LabFailed(f"{command.name} ended at once", detail=tell_end(command.log_file).excerpt)
        process = cls(command.name, identity, command.log_file)
        process._child = child
        if guardian:
            guardian.watch(identity)
        return process

    @property
    def state(self) -> ProcessState:
        """Whether the JVM runs, is frozen or is gone."""
        if self._child is None:
            return self.identity.state
        if self._child.poll() is not None:
            return ProcessState.GONE
        # A dying JVM's first thread is a zombie while others still hold its ports: not gone yet.
        return ProcessState.FROZEN if self.identity.state is ProcessState.FROZEN else ProcessState.RUNNING

    @property
    def exit_code(self) -> int | None:
        """The exit code, or minus the signal; None while it lives or when we are not its parent."""
        return self._child.poll() if self._child is not None else None

    def check_alive(self) -> None:
        """Return if the JVM lives.

        Raises: LabFailed with the end of its log.
        """
        if self.state is not ProcessState.GONE:
            return
        ending = "" if self.exit_code is None else f" (exit code {self.exit_code})"
        end = tell_end(self.log_file)
        raise LabFailed(
            f"{self.name} died{ending}: {end.cause}",
            detail=end.excerpt,
            hint=f"its log is {self.log_file}",
        )

    def kill(self, deadline: Deadline) -> None:
        """End it with SIGKILL; on return it is gone.

        Raises: LabFailed when it is still there at the deadline.
        """
        self.send_kill()
        if not self.wait_gone(deadline):
            raise LabFailed(f"{self.name} (pid {self.identity.pid}) did not end on SIGKILL")

    def send_kill(self) -> None:
        """Send SIGKILL and return at once; nothing happens when it is gone."""
        self.identity.send(signal.SIGKILL)

    def stop(self, deadline: Deadline) -> bool:
        """End it with SIGTERM, or with SIGKILL at the deadline. Return whether it went by itself."""
        self.thaw()
        self.identity.send(signal.SIGTERM)
        if self.wait_gone(deadline):
            return True
        self.kill(Deadline.after(10, clock=deadline.clock))
        return False

    def freeze(self, deadline: Deadline) -> None:
        """Stop its clock with SIGSTOP; on return the system shows it frozen.

        Raises: LabFailed when it is gone or does not freeze.
        """
        self._signal_until(signal.SIGSTOP, ProcessState.FROZEN, deadline)

    def thaw(self, deadline: Deadline | None = None) -> None:
        """Let a frozen JVM go on; nothing happens to one that runs."""
        if self.state is ProcessState.FROZEN:
            self._signal_until(signal.SIGCONT, ProcessState.RUNNING, deadline or Deadline.after(5))

    def wait_gone(self, deadline: Deadline) -> bool:
        """Return whether it was gone before the deadline."""
        return self._wait_state(ProcessState.GONE, deadline)

    def _signal_until(self, number: signal.Signals, wanted: ProcessState, deadline: Deadline) -> None:
        if not self.identity.send(number):
            raise LabFailed(f"{self.name} is not running", hint="`replicator lab status` shows what runs")
        if not self._wait_state(wanted, deadline):
            raise LabFailed(f"{self.name} (pid {self.identity.pid}) is not {wanted} after {number.name}")

    def _wait_state(self, wanted: ProcessState, deadline: Deadline) -> bool:
        while self.state is not wanted:
            if deadline.is_over:
                return False
            deadline.clock.sleep(deadline.capped(_POLL_SECONDS))
        return True


def run_to_end(command: JvmCommand, deadline: Deadline, *, guardian: Guardian | None = None) -> None:
    """Run a JVM tool until it ends well.

    Raises: LabFailed with the end of its log when it fails or takes too long.
    """
    process = JvmProcess.start(command, guardian=guardian)
    try:
        if not process.wait_gone(deadline):
            raise LabFailed(f"{command.name} did not end in time", detail=tell_end(command.log_file).excerpt)
    finally:
        process.kill(Deadline.after(10, clock=deadline.clock))
        if guardian:
            guardian.release(process.identity)
    if process.exit_code != 0:
        process.check_alive()


def tied_to_us(argv: list[str]) -> list[str]:
    """On Linux let the kernel kill the JVM with us. The signal follows the starting *thread*, so
    only the main thread, which lives as long as we do, may ask for it."""
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return argv
    return [sys.executable, "-I", "-S", str(_LAUNCHER), str(os.getpid()), *argv]


def clean_environment() -> dict[str, str]:
    """Our environment without what would change a JVM behind our back."""
    unwanted = {"CLASSPATH", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "JAVA_HOME"}
    return {key: value for key, value in os.environ.items() if key not in unwanted}
