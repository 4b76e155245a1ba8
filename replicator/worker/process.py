"""A worker as a JVM on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replicator.clock import Deadline
from replicator.errors import LabFailed
from replicator.jvm import (
    Guardian,
    JvmCommand,
    JvmProcess,
    JvmProfile,
    ProcessState,
    kafka_classpath,
    log4j_properties,
    render_properties,
    write_private,
)
from replicator.worker.runtime import wait_worker_ready
from replicator.worker.template import WorkerSpec, worker_properties

_MAIN_CLASS = "org.apache.kafka.connect.cli.ConnectDistributed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFiles:
    """Where one worker keeps its files."""

    folder: Path

    @property
    def properties(self) -> Path:
        """The worker's properties, readable by the owner only: they hold its password."""
        return self.folder / "worker.properties"

    @property
    def log4j(self) -> Path:
        """How it logs."""
        return self.folder / "log4j2.properties"

    @property
    def log(self) -> Path:
        """What it said."""
        return self.folder / "worker.log"


class ProcessWorker:
    """A local worker. `process` is given when another process of ours started it before."""

    def __init__(
        self,
        spec: WorkerSpec,
        *,
        folder: Path,
        profile: JvmProfile,
        guardian: Guardian | None = None,
        process: JvmProcess | None = None,
    ) -> None:
        self.spec = spec
        self.files = WorkerFiles(folder=folder)
        self.process = process
        self._profile = profile
        self._guardian = guardian

    @property
    def url(self) -> str:
        """The address of the worker's REST interface."""
        return self.spec.url

    def start(self) -> JvmProcess:
        """Start the JVM, or take the one that lives; return it.

        Raises: LabFailed when it cannot be started.
        """
        if self.process is not None and self.process.state is not ProcessState.GONE:
            return self.process
        self.files.folder.mkdir(parents=True, exist_ok=True)
        write_private(self.files.properties, render_properties(worker_properties(self.spec)))
        self.files.log4j.write_text(log4j_properties(), encoding="utf-8")
        self.process = JvmProcess.start(self._command(), guardian=self._guardian)
        return self.process

    def _command(self) -> JvmCommand:
        return JvmCommand(
            name=f"{self.spec.cluster.name}/connect",
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
        if self.process is not None:
            self.process.stop(deadline)

    def state(self) -> ProcessState:
        """Whether the JVM runs, is frozen or is gone."""
        return ProcessState.GONE if self.process is None else self.process.state

    def _living(self) -> JvmProcess:
        if self.process is None:
            raise LabFailed(f"{self.spec.cluster.name}/connect was never started")
        return self.process
