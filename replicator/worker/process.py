"""A worker as a JVM on this machine."""

from __future__ import annotations

import contextlib
import fcntl
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from replicator.clock import Deadline
from replicator.errors import LabFailed
from replicator.jvm import (
    Guardian,
    JvmCommand,
    JvmProcess,
    JvmProfile,
    ProcessIdentity,
    ProcessState,
    kafka_classpath,
    write_private,
)
from replicator.worker.files import LOG4J_FILE, PROPERTIES_FILE, write_worker_files
from replicator.worker.runtime import wait_worker_ready
from replicator.worker.template import WorkerSpec

_MAIN_CLASS = "org.apache.kafka.connect.cli.ConnectDistributed"
_LOCK_SECONDS = 20.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFiles:
    """Where one worker keeps its files."""

    folder: Path

    @property
    def properties(self) -> Path:
        """The worker's properties, readable by the owner only: they hold its password."""
        return self.folder / PROPERTIES_FILE

    @property
    def log4j(self) -> Path:
        """How it logs."""
        return self.folder / LOG4J_FILE

    @property
    def log(self) -> Path:
        """What it said."""
        return self.folder / "worker.log"

    @property
    def process(self) -> Path:
        """Which process it is, for whoever comes after the one that started it."""
        return self.folder / "process.json"

    @property
    def lock(self) -> Path:
        """Held while it is started, so that two who start it at once start one."""
        return self.folder / ".lock"


class ProcessWorker:
    """A local worker. `process` is given when another process of ours started it before.

    With `is_lasting` the worker is found again by its files: it may outlive the process that started it.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        *,
        folder: Path,
        profile: JvmProfile,
        guardian: Guardian | None = None,
        process: JvmProcess | None = None,
        is_lasting: bool = False,
    ) -> None:
        self.spec = spec
        self.files = WorkerFiles(folder=folder)
        self._process = process
        self._profile = profile
        self._guardian = guardian
        self._is_lasting = is_lasting

    @property
    def url(self) -> str:
        """The address of the worker's REST interface."""
        return self.spec.url

    @property
    def process(self) -> JvmProcess | None:
        """The JVM, living or ended; None when there never was one."""
        if self._is_lasting and (self._process is None or self._process.state is ProcessState.GONE):
            self._process = recall_process(self.files, name=self._name) or self._process
        return self._process

    @property
    def _name(self) -> str:
        return f"{self.spec.cluster.name}/connect"

    def start(self) -> JvmProcess:
        """Start the JVM, or take the one that lives; return it.

        Raises: LabFailed when it cannot be started, or when its port is somebody else's: a worker that answers
        there must not be taken for ours. DeadlineExceeded when somebody else is at it for too long.
        """
        command = self._command()
        self.files.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.files.lock, Deadline.after(_LOCK_SECONDS)):
            found = self.process
            if found is not None and found.state is not ProcessState.GONE:
                return found
            self._check_port()
            write_worker_files(self.files.folder, self.spec)
            self._process = JvmProcess.start(command, guardian=self._guardian)
            if self._is_lasting:
                remember_process(self.files, self._process)
            return self._process

    def _check_port(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the JVM does: old connections are no bar
            try:
                probe.bind((self.spec.rest_host, self.spec.rest_port))
            except OSError as exc:
                raise LabFailed(
                    f"{self._name} cannot listen at {self.url}: {exc.strerror}",
                    hint="end what listens there, or give the worker another port",
                ) from exc

    def _command(self) -> JvmCommand:
        return JvmCommand(
            name=self._name,
            main_class=_MAIN_CLASS,
            arguments=(str(self.files.properties),),
            flags=self._profile.flags(log4j_file=self.files.log4j),
            classpath=kafka_classpath(),
            log_file=self.files.log,
        )

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the worker is healthy.

        Raises: LabFailed when it died, DeadlineExceeded when it stays silent.
        """
        wait_worker_ready(self.url, deadline, check_alive=self._living().check_alive)

    def stop(self, deadline: Deadline) -> None:
        """End the JVM, by SIGKILL when it does not go in time; nothing happens when it is gone."""
        if (found := self.process) is not None:
            found.stop(deadline)

    def state(self) -> ProcessState:
        """Whether the JVM runs, is frozen or is gone."""
        return ProcessState.GONE if (found := self.process) is None else found.state

    def _living(self) -> JvmProcess:
        if (found := self.process) is None:
            raise LabFailed(f"{self._name} was never started")
        return found


def remember_process(files: WorkerFiles, process: JvmProcess) -> None:
    """Leave on disk which process the worker is."""
    identity = process.identity
    write_private(files.process, json.dumps({"pid": identity.pid, "started_at": identity.started_at}))


def recall_process(files: WorkerFiles, *, name: str) -> JvmProcess | None:
    """Return the worker that was remembered, living or gone; None when there is none."""
    try:
        known = json.loads(files.process.read_text(encoding="utf-8"))
        identity = ProcessIdentity(int(known["pid"]), float(known["started_at"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as exc:
        raise LabFailed(
            f"{files.process} is not ours: it does not say which process {name} is",
            hint="end the worker by hand if one runs, then remove the file",
        ) from exc
    return JvmProcess(name, identity, files.log)


@contextlib.contextmanager
def _locked(path: Path, deadline: Deadline) -> Iterator[None]:
    with path.open("w") as handle:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                deadline.check(f"waiting for another process that starts this worker ({path})")
                deadline.clock.sleep(deadline.capped(_POLL_SECONDS))
        yield
