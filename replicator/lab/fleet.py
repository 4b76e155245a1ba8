"""The processes of one lab: started, waited for, hurt and ended, by member."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from replicator.clock import Deadline
from replicator.errors import LabFailed, ReplicatorError
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
from replicator.kafka import KafkaCluster
from replicator.lab.broker import broker_properties
from replicator.lab.members import Member, brokers_of, find_members
from replicator.lab.plan import LabFolders, LabPlan
from replicator.lab.security import LabSecurity
from replicator.lab.storage import data_folder
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName
from replicator.worker import ProcessWorker, WorkerSpec, is_worker_ready

_BROKER_CLASS = "kafka.Kafka"
_POLL_SECONDS = 0.1
_PROBE_SECONDS = 3.0
_STOP_SECONDS = 20.0
_KILL_SECONDS = 10.0
_WORKER_SESSION_MS = 3_000
OWN_PRINCIPAL = "admin"
"""Who asks a cluster of the lab whether it is ready, and writes its first rules."""


@dataclass(frozen=True, slots=True)
class Site:
    """What a process of the lab needs to know of the lab."""

    plan: LabPlan
    folders: LabFolders
    security: LabSecurity

    def access(self, cluster: str, principal: str) -> ClusterAccess:
        """Return how `principal` reaches a cluster."""
        plan = self.plan.cluster(cluster)
        return ClusterAccess(
            name=ClusterName(cluster),
            bootstrap=plan.bootstrap,
            cluster_id=plan.cluster_id,
            security=self.security.client(principal),
        )

    def log_file(self, member: Member) -> Path:
        """Return where a member logs."""
        if member.node_id is None:
            return self.folders.connect(member.cluster) / "worker.log"
        return self.folders.node(member.cluster, member.node_id) / "broker.log"

    def command(self, verb: str, target: str) -> str:
        """Return the command line that does `verb` in this lab, not in the one of the working folder."""
        return shlex.join(["replicator", "lab", verb, target, "--dir", str(self.folders.root)])

    def address(self, member: Member) -> str:
        """Return where a member answers."""
        cluster = self.plan.cluster(member.cluster)
        if member.node_id is None:
            return cluster.connect_url
        return next(f"127.0.0.1:{node.client_port}" for node in cluster.nodes if node.node_id == member.node_id)


def group_id(cluster: str) -> str:
    """Return the `group.id` of the worker beside a cluster."""
    return f"__replicator.connect.{cluster}"


class Fleet:
    """Every process of a lab by member, running or gone."""

    def __init__(self, site: Site, *, guardian: Guardian) -> None:
        self.processes: dict[Member, JvmProcess] = {}
        self._site = site
        self._guardian = guardian
        self._awaited: set[Member] = set()  # launched, not ready yet: if one dies, no wait has sense

    @property
    def is_running(self) -> bool:
        """Whether any member lives."""
        return any(process.state is not ProcessState.GONE for process in self.processes.values())

    def launch(self, target: str) -> None:
        """Start what `target` names and is gone, without waiting.

        Raises: UsageError for an unknown target, LabFailed when it cannot be started.
        """
        for member in self._members(target):
            if not self._lives(member):
                self.processes[member] = self._start(member)
                self._awaited.add(member)

    def wait_ready(self, target: str, deadline: Deadline) -> None:
        """Return when what `target` names answers.

        Raises: LabFailed when a member died, DeadlineExceeded.
        """
        members = self._members(target)
        for cluster in sorted({m.cluster for m in members if m.node_id is not None}):
            self._wait_brokers(cluster, deadline)
        for member in members:
            if member.node_id is None:
                self._wait_worker(member, deadline)
        self._awaited.difference_update(members)

    def is_ready(self, target: str) -> bool:
        """Whether what `target` names answers now."""
        return all(self._answers(member) for member in self._members(target))

    def kill(self, targets: Iterable[str]) -> None:
        """Leave what the targets name dead by SIGKILL, all of it at once."""
        processes = [process for target in targets for process in self._to_end(target)]
        for process in processes:
            process.send_kill()
        for process in processes:
            process.kill(Deadline.after(_KILL_SECONDS))

    def kill_all(self) -> None:
        """Leave no process, and forget none."""
        self.kill({member.name for member in self.processes})

    def stop(self, target: str) -> None:
        """Leave what `target` names stopped by SIGTERM, one after the other."""
        for process in self._to_end(target):
            process.stop(Deadline.after(_STOP_SECONDS))

    def freeze(self, target: str) -> None:
        """Leave what `target` names frozen by SIGSTOP: its ports accept, nobody answers."""
        for process in self._running(target):
            process.freeze(Deadline.after(_KILL_SECONDS))

    def thaw(self, target: str) -> None:
        """Leave what `target` names going on after a freeze."""
        for process in self._running(target):
            process.thaw(Deadline.after(_KILL_SECONDS))

    def state(self, member: Member) -> ProcessState:
        """Whether a member runs, is frozen or is gone."""
        process = self.processes.get(member)
        return ProcessState.GONE if process is None else process.state

    def _members(self, target: str) -> tuple[Member, ...]:
        return find_members(self._site.plan, target)

    def _started(self, target: str) -> list[JvmProcess]:
        return [self.processes[member] for member in self._members(target) if member in self.processes]

    def _to_end(self, target: str) -> list[JvmProcess]:
        self._awaited.difference_update(self._members(target))
        return self._started(target)

    def _running(self, target: str) -> list[JvmProcess]:
        running = [process for process in self._started(target) if process.state is not ProcessState.GONE]
        if not running:
            raise LabFailed(f"{target} is not running", hint=f"`{self._site.command('start', target)}` starts it")
        return running

    def _lives(self, member: Member) -> bool:
        return self.state(member) is not ProcessState.GONE

    def _start(self, member: Member) -> JvmProcess:
        return self._start_worker(member) if member.node_id is None else self._start_broker(member, member.node_id)

    def _start_worker(self, member: Member) -> JvmProcess:
        site, plan = self._site, self._site.plan.cluster(member.cluster)
        if not any(self._lives(broker) for broker in brokers_of(site.plan, member.cluster)):
            raise LabFailed(
                f"{member.name} needs cluster {member.cluster}, which is not running",
                hint=f"`{self._site.command('start', member.cluster)}` first",
            )
        secrets_folder = site.folders.secrets / "mm2"
        secrets_folder.mkdir(mode=0o700, exist_ok=True)
        spec = WorkerSpec(
            cluster=site.access(member.cluster, "mm2"),
            group_id=group_id(member.cluster),
            rest_port=plan.connect_port,
            replication_factor=plan.replication_factor,
            rebalance_delay_ms=0,
            session_timeout_ms=_WORKER_SESSION_MS,
            secrets_folder=secrets_folder,
        )
        worker = ProcessWorker(
            spec,
            folder=site.folders.connect(member.cluster),
            profile=self._profile(site.plan.spec.connect_heap_mib),
            guardian=self._guardian,
        )
        return worker.start()

    def _start_broker(self, member: Member, node_id: int) -> JvmProcess:
        folder = self._site.folders.node(member.cluster, node_id)
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "server.properties", render_properties(self._broker_properties(member, folder)))
        (folder / "log4j2.properties").write_text(log4j_properties(), encoding="utf-8")
        profile = self._profile(self._site.plan.spec.broker_heap_mib)
        command = JvmCommand(
            name=member.name,
            main_class=_BROKER_CLASS,
            arguments=(str(folder / "server.properties"),),
            flags=profile.flags(log4j_file=folder / "log4j2.properties"),
            classpath=kafka_classpath(),
            log_file=self._site.log_file(member),
        )
        return JvmProcess.start(command, guardian=self._guardian)

    def _broker_properties(self, member: Member, folder: Path) -> dict[str, str]:
        cluster = self._site.plan.cluster(member.cluster)
        node = next(n for n in cluster.nodes if n.node_id == member.node_id)
        security = self._site.security.broker_properties()
        own = broker_properties(cluster, node, data_folder=data_folder(folder), security=security)
        return {**own, **self._site.plan.spec.broker_settings}

    def _profile(self, heap_mib: int) -> JvmProfile:
        return JvmProfile(heap_mib=heap_mib, is_quick=self._site.plan.spec.is_quick)

    def _answers(self, member: Member) -> bool:
        if self.state(member) is not ProcessState.RUNNING:
            return False
        if member.node_id is None:
            return is_worker_ready(self._site.address(member))
        return member.node_id in self._known_brokers(member.cluster)

    def _wait_brokers(self, cluster: str, deadline: Deadline) -> None:
        wanted = {m for m in brokers_of(self._site.plan, cluster) if self._lives(m) or m in self._awaited}
        if not wanted:
            raise LabFailed(f"{cluster} is not running", hint=f"`{self._site.command('start', cluster)}` starts it")
        while not {member.node_id for member in wanted} <= self._known_brokers(cluster):
            self._check_alive(wanted)
            self._keep_waiting(cluster, deadline)

    def _known_brokers(self, cluster: str) -> set[int | None]:
        try:
            with KafkaCluster(self._site.access(cluster, OWN_PRINCIPAL)) as door:
                return {broker.id for broker in door.describe(Deadline.after(_PROBE_SECONDS)).brokers}
        except ReplicatorError:
            return set()

    def _wait_worker(self, member: Member, deadline: Deadline) -> None:
        while not is_worker_ready(self._site.address(member)):
            self._check_alive({member})
            self._keep_waiting(member.name, deadline)

    def _keep_waiting(self, what: str, deadline: Deadline) -> None:
        deadline.check(f"{what} of the lab is not ready", hint=f"its logs are under {self._site.folders.root}")
        deadline.clock.sleep(deadline.capped(_POLL_SECONDS))

    def _check_alive(self, members: set[Member]) -> None:
        for member in sorted(members | self._awaited, key=lambda m: m.name):
            if member in self.processes:
                self.processes[member].check_alive()
