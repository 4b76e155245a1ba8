"""A worker's container as values: how it is to be run, how it stands, and what its end means.

Nothing here talks to an engine. Secrets are in mounted files only: whoever may inspect a container can
read its environment, labels and command.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from replicator.worker.template import WorkerSpec

DEFAULT_IMAGE = "apache/kafka:4.3.1"
CONNECT_SCRIPT = "/opt/kafka/bin/connect-distributed.sh"
LABEL_KIND = "io.replicator.kind"
LABEL_WORKER = "io.replicator.worker"
LABEL_CLUSTER = "io.replicator.cluster"
MOUNT = "/etc/replicator/worker"

_SECOND_NANOS = 1_000_000_000
_LOG_CONFIG = {"type": "json-file", "config": {"max-size": "20m", "max-file": "3"}}
_TMPFS = {"/tmp": "rw,exec,nosuid,nodev,size=256m"}  # noqa: S108 - the container's own; codecs unpack libraries there


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """How the container is run: always on the host's network, so that brokers on loopback addresses are in reach.

    `memory_mib` is the limit of the whole container, heap and all. `restart` is a policy of Docker's:
    `unless-stopped` brings a worker back that was killed or ran out of memory, and after a reboot. `user` is
    `uid:gid`; None takes ours, which is the one that can read our private files. `files` are mounted
    where they are, for configurations that name certificates by path.
    """

    image: str = DEFAULT_IMAGE
    heap_mib: int = 1024
    memory_mib: int = 1536
    restart: str = "unless-stopped"
    jvm_flags: str = "-XX:+UseG1GC"
    user: str | None = None
    files: tuple[Path, ...] = ()


class ContainerEnd(StrEnum):
    """Why a container is no longer running."""

    STOPPED = "stopped"
    KILLED = "killed"
    OUT_OF_MEMORY = "out of memory"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says. `health` is None before the first probe; `restarts` counts the engine's own."""

    id: str
    status: str
    health: str | None
    exit_status: int | None
    is_out_of_memory: bool
    restarts: int
    image: str

    @property
    def is_running(self) -> bool:
        """Whether the worker runs now."""
        return self.status == "running"

    @property
    def end(self) -> ContainerEnd | None:
        """Why it ended; None where it did not."""
        if self.exit_status is None:
            return None
        return judge_end(self.exit_status, is_out_of_memory=self.is_out_of_memory)


def judge_end(exit_status: int, *, is_out_of_memory: bool) -> ContainerEnd:
    """Return what an exit status means.

    Source: a JVM that got SIGTERM ends with 143 after its shutdown hooks: a clean stop. 137 is SIGKILL, which
    the kernel also sends when the container's memory is spent; the engine alone can tell.
    """
    if is_out_of_memory:
        return ContainerEnd.OUT_OF_MEMORY
    return {0: ContainerEnd.STOPPED, 143: ContainerEnd.STOPPED, 137: ContainerEnd.KILLED}.get(
        exit_status, ContainerEnd.FAILED
    )


def read_state(attributes: dict[str, Any]) -> ContainerState:
    """Return the state that the engine's description of a container holds."""
    state = attributes["State"]
    has_ended = state["Status"] in ("exited", "dead", "restarting")
    return ContainerState(
        id=attributes["Id"],
        status=state["Status"],
        health=(state.get("Health") or {}).get("Status"),
        exit_status=state.get("ExitCode") if has_ended else None,
        is_out_of_memory=bool(state.get("OOMKilled")),
        restarts=int(attributes.get("RestartCount", 0)),
        image=attributes["Config"]["Image"],
    )


def worker_label(spec: WorkerSpec) -> str:
    """Return what tells a worker from all others on one machine."""
    return f"{spec.group_id}@{spec.rest_port}"


def container_name(spec: WorkerSpec) -> str:
    """Return the container's name, the same for every generation of this worker."""
    safe_group = "".join(char if char.isalnum() and char.isascii() else "-" for char in spec.group_id).strip("-")
    return f"replicator-{safe_group}-{spec.rest_port}"


def container_options(spec: WorkerSpec, plan: ContainerPlan, *, folder: Path, user: str) -> dict[str, Any]:
    """Return the arguments with which the engine creates the container; `folder` holds the worker's files."""
    return {
        "image": plan.image,
        "command": [CONNECT_SCRIPT, f"{MOUNT}/worker.properties"],
        "name": container_name(spec),
        "labels": {
            LABEL_KIND: "connect-worker",
            LABEL_WORKER: worker_label(spec),
            LABEL_CLUSTER: str(spec.cluster.name),
        },
        "environment": _environment(plan),
        "volumes": _volumes(spec, plan, folder),
        "network_mode": "host",
        "init": True,
        "user": plan.user or user,
        "read_only": True,
        "tmpfs": _TMPFS,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": f"{plan.memory_mib}m",
        "memswap_limit": f"{plan.memory_mib}m",
        "restart_policy": {"Name": plan.restart},
        "healthcheck": _health_check(spec),
        "log_config": _LOG_CONFIG,
    }


def _environment(plan: ContainerPlan) -> dict[str, str]:
    return {
        "KAFKA_HEAP_OPTS": f"-Xms{min(64, plan.heap_mib)}m -Xmx{plan.heap_mib}m",
        # Half-alive is worse than dead: a worker without heap ends, and the engine starts it again.
        "KAFKA_JVM_PERFORMANCE_OPTS": f"-XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true {plan.jvm_flags}",
        "KAFKA_LOG4J_OPTS": f"-Dlog4j2.configurationFile={MOUNT}/log4j2.properties",
        "LOG_DIR": "/tmp",  # noqa: S108 - Kafka's own scripts make this folder, and only /tmp can be written
    }


def _volumes(spec: WorkerSpec, plan: ContainerPlan, folder: Path) -> dict[str, dict[str, str]]:
    mounts: dict[Path, str] = {folder: MOUNT}
    kept = [Path(spec.cluster.security.ca_file)] if spec.cluster.security.ca_file else []
    kept += [spec.secrets_folder] if spec.secrets_folder else []
    mounts |= {path.absolute(): str(path.absolute()) for path in (*kept, *plan.files)}
    return {str(path): {"bind": inside, "mode": "ro"} for path, inside in mounts.items()}


def _health_check(spec: WorkerSpec) -> dict[str, Any]:
    """Ask the worker's own health end point; busybox's `wget -T` crashes in Debian 12, so `timeout` bounds it."""
    return {
        "test": ["CMD", "timeout", "3", "wget", "-q", "-O", "/dev/null", f"{spec.url}/health"],
        "interval": 10 * _SECOND_NANOS,
        "timeout": 5 * _SECOND_NANOS,
        "retries": 3,
        "start_period": 60 * _SECOND_NANOS,
    }
