"""`Lab`: two embedded clusters and their workers, from nothing to nothing."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from replicator.clock import Deadline
from replicator.connect import secret_text, secrets_path
from replicator.errors import PreflightBlocked, UsageError
from replicator.jvm import Guardian, JvmProcess, ProcessState, kafka_classpath, write_private
from replicator.kafka import KafkaCluster
from replicator.lab.config import FirstFlow, render_config
from replicator.lab.fleet import OWN_PRINCIPAL, Fleet, Site, group_id
from replicator.lab.members import Member, all_members
from replicator.lab.plan import LabFolders, LabPlan, LabSpec, make_plan
from replicator.lab.security import LabSecurity, NoSecurity, ScramSecurity
from replicator.lab.state import KnownProcess, LabState, read_state, write_state
from replicator.lab.storage import format_storage
from replicator.model.cluster import ClusterAccess


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
    """Clusters `east` and `west` in one folder, with a worker beside each (west's starts with the lab).

    With a guardian the lab dies with this process, however it ends; without, it stays.
    """

    def __init__(self, plan: LabPlan, folder: Path, *, guardian: Guardian | None, rng: random.Random) -> None:
        self.plan = plan
        self.folders = LabFolders(folder)
        self._is_detached = guardian is None
        self._guardian = guardian or Guardian(is_lifelong=False)
        self._rng = rng
        self._site = Site(plan, self.folders, _security(plan, self.folders))
        self._fleet = Fleet(self._site, guardian=self._guardian)

    @classmethod
    def make(cls, folder: Path, spec: LabSpec, *, guardian: Guardian | None = None, rng: random.Random) -> Lab:
        """Plan a lab in `folder`, or take up the stopped one that is there; `up` starts it.

        Raises: PreflightBlocked when a lab runs there, UsageError when another kind of lab is there.
        """
        if not LabFolders(folder).state.exists():
            return cls(make_plan(spec, rng=rng), folder, guardian=guardian, rng=rng)
        found = cls.open(folder)
        if found.is_running:
            raise PreflightBlocked(
                f"a lab runs in {folder}",
                hint=f"`replicator lab status --dir {folder}` shows it, `replicator lab down --dir {folder}` ends it",
            )
        if found.plan.spec != spec:
            raise UsageError(
                f"the lab in {folder} is of another kind ({found.plan.spec})",
                hint=f"name another folder, or `replicator lab down --purge --dir {folder}` first",
            )
        return cls(found.plan, folder, guardian=guardian, rng=rng)

    @classmethod
    def open(cls, folder: Path) -> Lab:
        """Return the lab that lives in `folder`, running or not.

        Raises: NotFound when there is none.
        """
        state = read_state(LabFolders(folder).state)
        lab = cls(state.plan, folder, guardian=None, rng=random.Random())  # noqa: S311 - ids of directories, no secret
        for member in all_members(state.plan):
            if (known := state.processes.get(member.name)) is not None:
                lab._fleet.processes[member] = JvmProcess(member.name, known.identity, lab._site.log_file(member))
        return lab

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
        """Return how `principal` (app, mm2, replicator, admin) reaches a cluster; in a plain lab all reach it alike."""
        return self._site.access(cluster, principal)

    def connect_url(self, cluster: str = "west") -> str:
        """Return the REST address of the worker beside a cluster, running or not."""
        return self.plan.cluster(cluster).connect_url

    @staticmethod
    def group_id(cluster: str) -> str:
        """Return the `group.id` of the worker beside a cluster."""
        return group_id(cluster)

    def up(self, deadline: Deadline) -> None:
        """Leave brokers (and west's worker, if the spec has it) ready; on any failure nothing runs.

        Raises: LabFailed with the end of the log of the member that died, DeadlineExceeded.
        """
        try:
            self._bring_up(deadline)
        except BaseException:
            self.down()
            raise
        self._let_go()

    def _bring_up(self, deadline: Deadline) -> None:
        kafka_classpath()
        self._prepare_folder()
        new = format_storage(
            self.plan, self.folders, scram=self._site.security.scram(), guardian=self._guardian, rng=self._rng
        )
        for cluster in ("east", "west"):
            self._launch(cluster)
        for cluster in ("west", "east"):  # west first: its worker can start meanwhile
            self._fleet.wait_ready(cluster, deadline)
            if cluster in new:
                self._write_rights(cluster, deadline)
            if cluster == "west" and self.plan.spec.has_connect:
                self._launch("west/connect")
        if self.plan.spec.has_connect:
            self._fleet.wait_ready("west/connect", deadline)

    def _prepare_folder(self) -> None:
        self.folders.root.mkdir(parents=True, exist_ok=True)
        self.folders.root.chmod(0o700)
        self.folders.secrets.mkdir(mode=0o700, exist_ok=True)
        self._site.security.prepare()
        self._remember()
        self._write_config()

    def _write_config(self) -> None:
        names = [cluster.name for cluster in self.plan.clusters]
        is_secure = self.plan.spec.is_secure
        mirrors = {name: self.access(name, "mm2") for name in names} if is_secure else {}
        folder = str((self.folders.secrets / "mm2").absolute()) if is_secure else None
        for access in mirrors.values():
            write_private(Path(secrets_path(access, folder or "")), secret_text(access))
        text = render_config(
            [self.access(name) for name in names],
            list(self.plan.clusters),
            group_id=group_id,
            mirrors=mirrors,
            secrets_folder=folder,
            first_flow=self._first_flow(),
        )
        self.folders.config.write_text(text, encoding="utf-8")

    def _first_flow(self) -> FirstFlow | None:
        store = self.folders.root / "snapshots"
        return FirstFlow(str(store.absolute()), self.plan.supervisor_address) if self.plan.spec.has_flow else None

    def _write_rights(self, cluster: str, deadline: Deadline) -> None:
        rights = self._site.security.rights(connect_group=group_id(cluster))
        if rights:
            with KafkaCluster(self.access(cluster, OWN_PRINCIPAL)) as door:
                door.acls.create(rights, deadline)

    def down(self) -> None:
        """Leave nothing running; data, logs and plan stay for another `up`."""
        self._fleet.kill_all()
        for process in self._fleet.processes.values():
            self._guardian.release(process.identity)
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
            self._fleet.wait_ready(target, wait)
        self._let_go()

    def wait_ready(self, target: str, deadline: Deadline) -> None:
        """Return when what `target` names answers.

        Raises: LabFailed when a member died, DeadlineExceeded.
        """
        self._fleet.wait_ready(target, deadline)

    def is_ready(self, target: str) -> bool:
        """Whether what `target` names answers now."""
        return self._fleet.is_ready(target)

    def kill(self, *targets: str) -> None:
        """Leave what the targets name dead by SIGKILL, all of it at once."""
        self._fleet.kill(targets)

    def stop(self, target: str) -> None:
        """Leave what `target` names stopped by SIGTERM, one after the other."""
        self._fleet.stop(target)

    def freeze(self, target: str) -> None:
        """Leave what `target` names frozen by SIGSTOP: its ports accept, nobody answers."""
        self._fleet.freeze(target)

    def thaw(self, target: str) -> None:
        """Leave what `target` names going on after a freeze."""
        self._fleet.thaw(target)

    @property
    def is_running(self) -> bool:
        """Whether any member lives."""
        return self._fleet.is_running

    def status(self) -> tuple[MemberStatus, ...]:
        """Return every member as it stands; workers that were never started are left out."""
        shown = (m for m in all_members(self.plan) if m.node_id is not None or m in self._fleet.processes)
        return tuple(self._status_of(member) for member in shown)

    def _status_of(self, member: Member) -> MemberStatus:
        state = self._fleet.state(member)
        identity = None if state is ProcessState.GONE else self._fleet.processes[member].identity
        return MemberStatus(
            member=member.name,
            state=state,
            address=self._site.address(member),
            pid=identity.pid if identity else None,
            resident_bytes=identity.resident_bytes() if identity else None,
            log_file=self._site.log_file(member),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    def _launch(self, target: str) -> None:
        self._fleet.launch(target)
        self._remember()

    def _remember(self) -> None:
        known = {
            member.name: KnownProcess(pid=process.identity.pid, started_at=process.identity.started_at)
            for member, process in self._fleet.processes.items()
        }
        write_state(self.folders.state, LabState(plan=self.plan, processes=known))

    def _let_go(self) -> None:
        """Let a detached lab outlive us; until it was ready, the watchdog would have ended it with us."""
        if self._is_detached:
            for process in self._fleet.processes.values():
                self._guardian.release(process.identity)
            self._guardian.close()


def _security(plan: LabPlan, folders: LabFolders) -> LabSecurity:
    return ScramSecurity(folders.secrets) if plan.spec.is_secure else NoSecurity()
