"""`Lab`: two embedded clusters and their workers, from nothing to nothing."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from replicator.clock import Deadline
from replicator.errors import LabFailed, PreflightBlocked, ReplicatorError, UsageError
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
from replicator.lab.config import render_config
from replicator.lab.members import Member, all_members, brokers_of, find_members
from replicator.lab.plan import ClusterPlan, LabFolders, LabPlan, LabSpec, NodePlan, make_plan
from replicator.lab.security import LabSecurity, NoSecurity
from replicator.lab.state import KnownProcess, LabState, read_state, write_state
from replicator.lab.storage import data_folder, format_storage
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName
from replicator.worker import ProcessWorker, WorkerSpec, is_worker_ready

_BROKER_CLASS = "kafka.Kafka"
_POLL_SECONDS = 0.1
_PROBE_SECONDS = 3.0
_STOP_SECONDS = 20.0
_KILL_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberStatus:
    """One member as it stands. `pid` and `resident_bytes` are None when it is gone."""

    member: str
    state: ProcessState
    address: str
    pid: int | None
    resident_bytes: int | None
    log_file: Path


class Lab:
    """Clusters `east` and `west` in one folder, with a worker beside each (west's starts with the lab)."""

    def __init__(self, plan: LabPlan, folder: Path, *, guardian: Guardian | None, rng: random.Random) -> None:
        self.plan = plan
        self.folders = LabFolders(folder)
        self._guardian = guardian or Guardian(is_lifelong=False)
        self._is_detached = guardian is None
        self._rng = rng
        self._processes: dict[Member, JvmProcess] = {}

    @classmethod
    def make(cls, folder: Path, spec: LabSpec, *, guardian: Guardian | None = None, rng: random.Random) -> Lab:
        """Plan a lab in `folder`, or take up the stopped one that is there; `up` starts it.

        With a guardian the lab dies with this process; without, it stays when this process ends.

        Raises: PreflightBlocked when a lab runs there, UsageError when another kind of lab is there.
        """
        if not (folder / "lab.json").exists():
            return cls(make_plan(spec, rng=rng), folder, guardian=guardian, rng=rng)
        found = cls.open(folder)
        if found.is_running:
            raise PreflightBlocked(
                f"a lab runs in {folder}", hint=f"use it (`replicator lab status --dir {folder}`) or `lab down` it"
            )
        if found.plan.spec != spec:
            raise UsageError(
                f"the lab in {folder} is of another kind ({found.plan.spec!r})",
                hint=f"name another folder, or `replicator lab down --purge --dir {folder}` first",
            )
        return cls(found.plan, folder, guardian=guardian, rng=rng)

    @classmethod
    def open(cls, folder: Path) -> Lab:
        """Return the lab that lives in `folder`, running or not.

        Raises: NotFound when there is none.
        """
        state = read_state(folder / "lab.json")
        lab = cls(state.plan, folder, guardian=None, rng=random.Random())  # noqa: S311 - ids of directories, no secret
        for member in all_members(state.plan):
            if (known := state.processes.get(member.name)) is not None:
                lab._processes[member] = JvmProcess(member.name, known.identity, lab.log_file(member))
        return lab

    @cached_property
    def security(self) -> LabSecurity:
        """How this lab's members prove themselves."""
        return NoSecurity()

    @property
    def config_path(self) -> Path:
        """A ready configuration for `replicator -c`."""
        return self.folders.config

    @property
    def east(self) -> ClusterAccess:
        """The first cluster, as the supervisor reaches it."""
        return self.access("east")

    @property
    def west(self) -> ClusterAccess:
        """The second cluster, as the supervisor reaches it."""
        return self.access("west")

    def access(self, cluster: str, principal: str = "replicator") -> ClusterAccess:
        """Return how `principal` reaches a cluster; in a plain lab everybody reaches it alike."""
        plan = self.plan.cluster(cluster)
        return ClusterAccess(
            name=ClusterName(cluster),
            bootstrap=plan.bootstrap,
            cluster_id=plan.cluster_id,
            security=self.security.client(principal),
        )

    def connect_url(self, cluster: str = "west") -> str:
        """Return the REST address of the worker beside a cluster, running or not."""
        return self.plan.cluster(cluster).connect_url

    @staticmethod
    def group_id(cluster: str) -> str:
        """Return the `group.id` of the worker beside a cluster."""
        return f"__replicator.connect.{cluster}"

    def up(self, deadline: Deadline) -> None:
        """Leave brokers (and west's worker, if the plan has it) ready; on any failure nothing runs.

        Raises: LabFailed with the end of the log of the member that died, DeadlineExceeded.
        """
        try:
            self._bring_up(deadline)
        except BaseException:
            self._end_all()
            raise
        if self._is_detached:
            self._let_go()

    def _bring_up(self, deadline: Deadline) -> None:
        self.folders.root.mkdir(parents=True, exist_ok=True)
        self.folders.root.chmod(0o700)
        self.folders.secrets.mkdir(mode=0o700, exist_ok=True)
        kafka_classpath()
        self.security.prepare()
        self._remember()
        format_storage(self.plan, self.folders, scram=self.security.scram(), guardian=self._guardian, rng=self._rng)
        self.folders.config.write_text(self._config_text(), encoding="utf-8")
        self._launch("east")
        self._launch("west")
        if self.plan.spec.has_connect:
            self._wait_brokers("west", deadline)
            self._launch("west/connect")
        for target in ("east", "west"):
            self._wait_brokers(target, deadline)
        if self.plan.spec.has_connect:
            self._wait_worker("west", deadline)

    def _config_text(self) -> str:
        names = [cluster.name for cluster in self.plan.clusters]
        return render_config(
            [self.access(name) for name in names],
            list(self.plan.clusters),
            group_ids={name: self.group_id(name) for name in names},
        )

    def down(self) -> None:
        """Leave nothing running; data, logs and plan stay for another `up`."""
        self._end_all()
        if self._is_detached:
            self._guardian.close()

    def purge(self) -> None:
        """Leave nothing at all."""
        self.down()
        shutil.rmtree(self.folders.root, ignore_errors=True)

    def start(self, target: str, *, wait: Deadline | None) -> None:
        """Start what `target` names and is gone; with a deadline return when it is ready.

        Raises: UsageError for an unknown target, LabFailed when it dies, DeadlineExceeded.
        """
        self._launch(target)
        if wait is not None:
            self.wait_ready(target, wait)
        if self._is_detached:
            self._let_go()

    def _launch(self, target: str) -> None:
        for member in find_members(self.plan, target):
            self._start_member(member)
        self._remember()

    def wait_ready(self, target: str, deadline: Deadline) -> None:
        """Return when what `target` names answers.

        Raises: LabFailed when a member died, DeadlineExceeded.
        """
        for cluster in sorted({m.cluster for m in find_members(self.plan, target) if m.node_id is not None}):
            self._wait_brokers(cluster, deadline)
        for member in find_members(self.plan, target):
            if member.node_id is None:
                self._wait_worker(member.cluster, deadline)

    def kill(self, target: str) -> None:
        """Leave what `target` names dead by SIGKILL, all of it at once."""
        processes = self._processes_of(target)
        for process in processes:
            process.send_kill()
        for process in processes:
            process.kill(Deadline.after(_KILL_SECONDS))

    def stop(self, target: str) -> None:
        """Leave what `target` names stopped by SIGTERM, one after the other."""
        for process in self._processes_of(target):
            process.stop(Deadline.after(_STOP_SECONDS))

    def freeze(self, target: str) -> None:
        """Leave what `target` names frozen by SIGSTOP: its ports accept, nobody answers."""
        for process in self._running(target):
            process.freeze(Deadline.after(_KILL_SECONDS))

    def thaw(self, target: str) -> None:
        """Leave what `target` names going on after a freeze."""
        for process in self._running(target):
            process.thaw(Deadline.after(_KILL_SECONDS))

    @property
    def is_running(self) -> bool:
        """Whether any member lives."""
        return any(process.state is not ProcessState.GONE for process in self._processes.values())

    def status(self) -> tuple[MemberStatus, ...]:
        """Return every member as it stands; workers that were never started are left out."""
        return tuple(
            self._status_of(member)
            for member in all_members(self.plan)
            if member.node_id is not None or member in self._processes
        )

    def is_ready(self, target: str) -> bool:
        """Whether what `target` names answers now."""
        return all(self._answers(member) for member in find_members(self.plan, target))

    def log_file(self, member: Member) -> Path:
        """Return where a member logs."""
        if member.node_id is None:
            return self.folders.connect(member.cluster) / "worker.log"
        return self.folders.node(member.cluster, member.node_id) / "broker.log"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _answers(self, member: Member) -> bool:
        process = self._processes.get(member)
        if process is None or process.state is not ProcessState.RUNNING:
            return False
        if member.node_id is None:
            return is_worker_ready(self.connect_url(member.cluster))
        return self._count_brokers(member.cluster) > 0

    def _start_member(self, member: Member) -> None:
        found = self._processes.get(member)
        if found is not None and found.state is not ProcessState.GONE:
            return
        if member.node_id is None:
            self._processes[member] = self._start_worker(member.cluster)
        else:
            self._processes[member] = self._start_broker(member, member.node_id)

    def _start_worker(self, cluster: str) -> JvmProcess:
        plan = self.plan.cluster(cluster)
        if not any(self._lives(broker) for broker in brokers_of(self.plan, cluster)):
            raise LabFailed(
                f"{cluster}/connect needs cluster {cluster}, which is not running",
                hint=f"`replicator lab start {cluster}` first",
            )
        worker = ProcessWorker(
            WorkerSpec(
                cluster=self.access(cluster, "mm2"),
                group_id=self.group_id(cluster),
                rest_port=plan.connect_port,
                replication_factor=plan.replication_factor,
                rebalance_delay_ms=0,
                secrets_folder=self.folders.secrets,
            ),
            folder=self.folders.connect(cluster),
            profile=self._profile(self.plan.spec.connect_heap_mib),
            guardian=self._guardian,
        )
        worker.start()
        if worker.process is None:
            raise LabFailed(f"{cluster}/connect did not start")
        return worker.process

    def _start_broker(self, member: Member, node_id: int) -> JvmProcess:
        cluster = self.plan.cluster(member.cluster)
        node = next(n for n in cluster.nodes if n.node_id == node_id)
        folder = self.folders.node(cluster.name, node_id)
        folder.mkdir(parents=True, exist_ok=True)
        write_private(folder / "server.properties", render_properties(self._broker_properties(cluster, node, folder)))
        (folder / "log4j2.properties").write_text(log4j_properties(), encoding="utf-8")
        command = JvmCommand(
            name=member.name,
            main_class=_BROKER_CLASS,
            arguments=(str(folder / "server.properties"),),
            flags=self._profile(self.plan.spec.broker_heap_mib).flags(log4j_file=folder / "log4j2.properties"),
            classpath=kafka_classpath(),
            log_file=self.log_file(member),
        )
        return JvmProcess.start(command, guardian=self._guardian)

    def _broker_properties(self, cluster: ClusterPlan, node: NodePlan, folder: Path) -> dict[str, str]:
        return broker_properties(
            cluster,
            node,
            data_folder=data_folder(folder),
            security=self.security.broker_properties(cluster, node),
        )

    def _profile(self, heap_mib: int) -> JvmProfile:
        return JvmProfile(heap_mib=heap_mib, is_quick=self.plan.spec.is_quick)

    def _wait_brokers(self, cluster: str, deadline: Deadline) -> None:
        wanted = sum(1 for m in brokers_of(self.plan, cluster) if self._lives(m))
        while self._count_brokers(cluster) < wanted:
            self._check_alive(brokers_of(self.plan, cluster))
            deadline.check(f"cluster {cluster} of the lab is not ready", hint=f"its logs are under {self.folders.root}")
            deadline.clock.sleep(deadline.capped(_POLL_SECONDS))

    def _count_brokers(self, cluster: str) -> int:
        try:
            with KafkaCluster(self.access(cluster, "admin")) as door:
                return len(door.describe(Deadline.after(_PROBE_SECONDS)).brokers)
        except ReplicatorError:
            return 0

    def _wait_worker(self, cluster: str, deadline: Deadline) -> None:
        url = self.connect_url(cluster)
        while not is_worker_ready(url):
            self._check_alive((Member(cluster, None),))
            deadline.check(f"{cluster}/connect of the lab is not ready", hint=f"its logs are under {self.folders.root}")
            deadline.clock.sleep(deadline.capped(_POLL_SECONDS))

    def _lives(self, member: Member) -> bool:
        process = self._processes.get(member)
        return process is not None and process.state is not ProcessState.GONE

    def _check_alive(self, members: Iterable[Member]) -> None:
        for member in members:
            if member in self._processes:
                self._processes[member].check_alive()

    def _processes_of(self, target: str) -> list[JvmProcess]:
        members = find_members(self.plan, target)
        return [self._processes[member] for member in members if member in self._processes]

    def _running(self, target: str) -> list[JvmProcess]:
        running = [p for p in self._processes_of(target) if p.state is not ProcessState.GONE]
        if not running:
            raise LabFailed(f"{target} is not running", hint=f"`replicator lab start {target}` starts it")
        return running

    def _status_of(self, member: Member) -> MemberStatus:
        process = self._processes.get(member)
        state = ProcessState.GONE if process is None else process.state
        identity = None if process is None or state is ProcessState.GONE else process.identity
        return MemberStatus(
            member=member.name,
            state=state,
            address=self._address(member),
            pid=identity.pid if identity else None,
            resident_bytes=identity.resident_bytes() if identity else None,
            log_file=self.log_file(member),
        )

    def _address(self, member: Member) -> str:
        cluster = self.plan.cluster(member.cluster)
        if member.node_id is None:
            return cluster.connect_url
        return next(f"127.0.0.1:{node.client_port}" for node in cluster.nodes if node.node_id == member.node_id)

    def _remember(self) -> None:
        known = {
            member.name: KnownProcess(pid=process.identity.pid, started_at=process.identity.started_at)
            for member, process in self._processes.items()
        }
        write_state(self.folders.state, LabState(plan=self.plan, processes=known))

    def _let_go(self) -> None:
        for process in self._processes.values():
            self._guardian.release(process.identity)
        self._guardian.close()

    def _end_all(self) -> None:
        for process in self._processes.values():
            process.send_kill()
        for process in self._processes.values():
            process.kill(Deadline.after(_KILL_SECONDS))
            self._guardian.release(process.identity)
