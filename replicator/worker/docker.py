"""A worker in a container: run, health, logs, stop, replace, remove; found again by its labels.

The only module that imports the docker SDK. Secrets reach the container as files mounted read-only,
never as environment or labels, which anybody who may inspect a container can read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicator.clock import Deadline
from replicator.errors import AccessDenied, LabFailed, NotFound, OperationFailed, Unreachable
from replicator.jvm import ProcessState, log4j_properties, render_properties, write_private
from replicator.worker.runtime import wait_worker_ready
from replicator.worker.template import WorkerSpec, worker_properties

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

DEFAULT_IMAGE = "apache/kafka:4.3.1"
CONNECT_SCRIPT = "/opt/kafka/bin/connect-distributed.sh"
LABEL_KIND = "io.replicator.kind"
LABEL_WORKER = "io.replicator.worker"
LABEL_CLUSTER = "io.replicator.cluster"
MOUNT = "/etc/replicator/worker"
LOG_TAIL_LINES = 40
CLEAN_EXITS = frozenset({0, 143})
"""143 is a JVM that ended on SIGTERM: a clean stop. 137 is SIGKILL; the engine tells whether memory ran out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """How the container is run. `network` `host` is what brokers on loopback addresses need."""

    image: str = DEFAULT_IMAGE
    heap_mib: int = 1024
    memory_mib: int = 1536
    network: str = "host"
    restarts_max: int = 5
    jvm_flags: str = "-XX:+UseG1GC"
    extra_mounts: Mapping[Path, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says. `health` is None where the image has no health check."""

    id: str
    status: str
    health: str | None
    exit_status: int | None
    is_out_of_memory: bool
    restarts: int
    image: str


class DockerWorker:
    """One worker in one container, known by the label `io.replicator.worker=<group.id>@<REST port>`."""

    def __init__(self, spec: WorkerSpec, *, folder: Path, plan: ContainerPlan | None = None) -> None:
        self.spec = spec
        self._folder = folder
        self._plan = plan or ContainerPlan()

    @property
    def url(self) -> str:
        """The address of the worker's REST interface."""
        return self.spec.url

    @property
    def name(self) -> str:
        """The container's name, the same for every generation of this worker."""
        safe_group = "".join(c if c.isalnum() else "-" for c in self.spec.group_id).strip("-")
        return f"replicator-{safe_group}-{self.spec.rest_port}"

    def start(self) -> ContainerState:
        """Run the container, or start the one that stands; return it as it is.

        Raises:
            NotFound: the image is not there (no pull is tried).
            Unreachable, AccessDenied: no Docker engine answers us.
        """
        with _engine() as engine:
            found = self._find(engine)
            if found is not None and found.status == "running":
                return _state(found)
            if found is not None:
                found.remove(force=True)
            self._write_files()
            return _state(self._run(engine))

    def replace(self, plan: ContainerPlan, deadline: Deadline) -> ContainerState:
        """Leave the worker running as `plan` says, its old container gone; its connectors stay in Kafka."""
        self.remove(deadline)
        self._plan = plan
        return self.start()

    def _write_files(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write_private(self._folder / "worker.properties", render_properties(worker_properties(self.spec)))
        (self._folder / "log4j2.properties").write_text(log4j_properties(), encoding="utf-8")

    def _run(self, engine: DockerClient) -> Container:
        from docker.errors import ImageNotFound

        plan = self._plan
        try:
            engine.images.get(plan.image)
        except ImageNotFound as exc:
            raise NotFound(
                f"Docker has no image {plan.image}",
                hint=f"docker pull {plan.image}, or build the project's own: make -C compose image",
            ) from exc
        return engine.containers.run(
            plan.image,
            command=[CONNECT_SCRIPT, f"{MOUNT}/worker.properties"],
            name=self.name,
            labels=self._labels(),
            detach=True,
            init=True,
            network_mode=plan.network,
            mem_limit=f"{plan.memory_mib}m",
            memswap_limit=f"{plan.memory_mib}m",
            environment=self._environment(),
            volumes=self._volumes(),
            restart_policy={"Name": "on-failure", "MaximumRetryCount": plan.restarts_max},
        )

    def _labels(self) -> dict[str, str]:
        return {
            LABEL_KIND: "connect-worker",
            LABEL_WORKER: f"{self.spec.group_id}@{self.spec.rest_port}",
            LABEL_CLUSTER: str(self.spec.cluster.name),
        }

    def _environment(self) -> dict[str, str]:
        heap = self._plan.heap_mib
        return {
            "KAFKA_HEAP_OPTS": f"-Xms{min(256, heap)}m -Xmx{heap}m",
            "KAFKA_JVM_PERFORMANCE_OPTS": self._plan.jvm_flags,
            "KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={MOUNT}/log4j2.properties",
        }

    def _volumes(self) -> dict[str, dict[str, str]]:
        mounts: dict[Path, str] = {self._folder: MOUNT, **self._plan.extra_mounts}
        if self.spec.secrets_folder is not None:
            mounts[self.spec.secrets_folder] = str(self.spec.secrets_folder)
        return {str(path): {"bind": inside, "mode": "ro"} for path, inside in mounts.items()}

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the worker is healthy.

        Raises: LabFailed with the end of its log when the container died, DeadlineExceeded.
        """
        wait_worker_ready(self.url, deadline, check_alive=self._check_alive)

    def _check_alive(self) -> None:
        found = self.inspect()
        if found is None:
            raise LabFailed(f"container {self.name} was never started")
        if found.status in ("exited", "dead"):
            why = "it ran out of memory" if found.is_out_of_memory else f"exit status {found.exit_status}"
            raise LabFailed(f"container {self.name} died: {why}", detail="\n".join(self.logs(tail=LOG_TAIL_LINES)))

    def inspect(self) -> ContainerState | None:
        """Return the container as the engine knows it; None when there is none."""
        with _engine() as engine:
            found = self._find(engine)
            return None if found is None else _state(found)

    def logs(self, *, tail: int = 200) -> list[str]:
        """Return the last lines the worker said."""
        with _engine() as engine:
            found = self._find(engine)
            raw = b"" if found is None else found.logs(tail=tail, timestamps=False)
        return raw.decode("utf-8", errors="replace").splitlines()

    def stop(self, deadline: Deadline) -> None:
        """End the worker, by SIGKILL when it does not go in time; its container stays for its log."""
        with _engine() as engine:
            found = self._find(engine)
            if found is not None and found.status not in ("exited", "created", "dead"):
                found.stop(timeout=max(1, int(deadline.left)))

    def remove(self, deadline: Deadline) -> None:
        """Leave no container of this worker."""
        self.stop(deadline)
        with _engine() as engine:
            found = self._find(engine)
            if found is not None:
                found.remove(force=True)

    def state(self) -> ProcessState:
        """Whether the container runs, is paused or is gone."""
        found = self.inspect()
        if found is None:
            return ProcessState.GONE
        return {"running": ProcessState.RUNNING, "paused": ProcessState.FROZEN}.get(found.status, ProcessState.GONE)

    def _find(self, engine: DockerClient) -> Container | None:
        label = f"{LABEL_WORKER}={self.spec.group_id}@{self.spec.rest_port}"
        found = engine.containers.list(all=True, filters={"label": label})
        return found[0] if found else None


def _state(container: Container) -> ContainerState:
    container.reload()
    state: dict[str, Any] = container.attrs["State"]
    return ContainerState(
        id=container.id,
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status"),
        exit_status=state.get("ExitCode") if state["Status"] == "exited" else None,
        is_out_of_memory=bool(state.get("OOMKilled")),
        restarts=int(container.attrs.get("RestartCount", 0)),
        image=container.attrs["Config"]["Image"],
    )


@contextmanager
def _engine() -> Iterator[DockerClient]:
    """Give a client of the Docker engine; raise only our errors from the block."""
    import docker
    from docker.errors import APIError, DockerException

    try:
        with closing(docker.from_env()) as engine:
            yield engine
    except APIError as exc:
        raise OperationFailed(f"Docker refused: {exc.explanation or exc}") from exc
    except DockerException as exc:
        if "Permission denied" in str(exc):
            raise AccessDenied(
                "the Docker engine's socket refuses us",
                hint="add this user to the group docker, or use runtime: process",
            ) from exc
        raise Unreachable("no Docker engine answers", hint="start dockerd, or use runtime: process") from exc
