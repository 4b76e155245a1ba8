"""What an operation acts upon, made from the settings: the one way in for commands, the API and the supervisor."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import ConnectClient
from replicator.connect.mirror import TASKS_MAX
from replicator.errors import DataCorrupt, NotFound, ReplicatorError
from replicator.failover import (
    Capture,
    Choices,
    FenceGrade,
    Fencing,
    HasSnapshot,
    HookCommand,
    Identity,
    KeepHead,
    Worker,
    World,
    crashpoint_from,
    reverse_of,
)
from replicator.flow import FlowWiring
from replicator.journal import Journal, KeptHead
from replicator.kafka import KafkaCluster, probe_listeners
from replicator.log import get_logger
from replicator.model.flow import Flow
from replicator.model.forms.text import safe_text
from replicator.model.names import TopicName
from replicator.model.observations import Reachability
from replicator.model.operations import OperationKind
from replicator.settings import HookSettings, Settings

_PEER_SECONDS = 10.0
_CAPTURE_SECONDS = 24 * 3600.0
HEAD_SECONDS = 10.0
"""An operation that is over waits this long for a witness."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Whoever operates: its settings, its clock, its environment. `budget_seconds` None: every step has its own."""

    settings: Settings
    clock: Clock = SYSTEM_CLOCK
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    budget_seconds: float | None = None


@contextmanager
def open_operation_world(
    desk: Desk,
    flow: Flow,
    choices: Choices,
    *,
    kind: OperationKind = OperationKind.FAILOVER,
    fence: str | None = None,
) -> Iterator[World]:
    """Yield the flow's world, every door closed again afterwards. Nothing is connected before it is asked.

    `fence` is the grade asked for; without it the configured one holds.
    """
    settings = desk.settings
    if kind is not OperationKind.FAILBACK:
        with _open_one(desk, flow, choices, is_planned=kind is not OperationKind.FAILOVER, fence=fence) as world:
            yield world
        return
    back = reverse_of(flow)
    with (
        _open_one(desk, flow, choices, is_planned=True, fence=fence) as forward,
        _open_one(desk, back, choices, is_planned=True, fence=fence) as world,
    ):
        world.journaled_as = flow.name
        world.forward = forward
        world.wiring = FlowWiring(
            source=settings.mirror_access(back.source),
            target=settings.mirror_access(back.target),
            secrets_folder=settings.connect_of(back.target).secrets_folder,
        )
        world.capture = _capture(desk) if settings.store else None
        world.has_snapshot = _has_snapshot(desk) if settings.store else None
        yield world


@contextmanager
def _open_one(desk: Desk, flow: Flow, choices: Choices, *, is_planned: bool, fence: str | None) -> Iterator[World]:
    settings = desk.settings
    access = settings.connect_of(flow.target)
    source, target = settings.cluster_access(flow.source), settings.cluster_access(flow.target)
    connect = ConnectClient(access.url, username=access.username, password=access.password, ca_file=access.ca_file)
    with KafkaCluster(source, clock=desk.clock) as old, KafkaCluster(target, clock=desk.clock) as new, connect:
        world = World(
            flow=flow,
            source=old,
            target=new,
            connect=connect,
            worker=_worker(settings, flow),
            identity=_identity(settings),
            choices=choices,
            hooks=_commands(settings.failover.hooks.promote),
            keep_head=_keep_head(desk) if settings.store else None,
            is_planned=is_planned,
            fencing=_fencing(settings, flow, fence),
            activates_rules=settings.failover.access_rules == "activate",
            clock=desk.clock,
            crashpoint=crashpoint_from(desk.environ),
            budget=Deadline.after(desk.budget_seconds, clock=desk.clock) if desk.budget_seconds else None,
        )
        try:
            yield world
        finally:
            world.close()


def _capture(desk: Desk) -> Capture:
    """Return what keeps topics of a cluster as a snapshot in the configured store."""

    def capture(
        cluster: KafkaCluster, topics: tuple[TopicName, ...], tags: tuple[str, ...], may_publish: Callable[[], None]
    ) -> str:
        from replicator.model.archive.snapshots import ORPHANS_TAG
        from replicator.model.flow import Selection
        from replicator.snapshot import Progress, SnapshotRequest, Stage, create_snapshot, verify_snapshot
        from replicator.supervisor.schedules.snapshots import open_repository
        from replicator.wire import RawClient

        repository = open_repository(desk.settings)
        nobody = Selection(include=())
        request = SnapshotRequest(topics=Selection(include=topics), groups=nobody, tags=(ORPHANS_TAG, *tags))

        def report(progress: Progress) -> None:
            if progress.stage is Stage.PUBLISH:
                may_publish()

        with RawClient(cluster.access, clock=desk.clock) as raw:
            deadline = Deadline.after(desk.budget_seconds or _CAPTURE_SECONDS, clock=desk.clock)
            manifest = create_snapshot(
                cluster, raw, repository, request, clock=desk.clock, deadline=deadline, report=report
            )
        proof = verify_snapshot(repository, manifest.id, clock=desk.clock)
        if not proof.is_ok:
            raise DataCorrupt(
                f"snapshot {manifest.id}: {len(proof.findings)} findings", hint="replicator snapshot list"
            )
        return manifest.id

    return capture


def _has_snapshot(desk: Desk) -> HasSnapshot:
    """Return what asks the configured store for a snapshot; one that does not answer tells nothing."""

    def has(snapshot_id: str) -> bool | None:
        from replicator.supervisor.schedules.snapshots import open_repository

        try:
            return snapshot_id in open_repository(desk.settings).list_ids()
        except NotFound:
            return False
        except ReplicatorError as error:
            get_logger().warning("orphans_not_looked_for", cause=safe_text(error.message))
            return None

    return has


def _keep_head(desk: Desk) -> KeepHead:
    """Return what keeps heads in the store; one that does not answer is waited for no longer than HEAD_SECONDS."""

    def keep(head: KeptHead) -> None:
        from replicator.supervisor.witnesses import put_head

        failures: list[ReplicatorError] = []
        thread = threading.Thread(target=_noting(failures, put_head), args=(desk.settings, head), daemon=True)
        thread.start()
        thread.join(HEAD_SECONDS)
        if failures or thread.is_alive():
            told = failures[0].message if failures else "the store has not answered yet"
            get_logger().warning("journal_head_not_kept", cause=safe_text(told), cluster=head.cluster)

    return keep


def _noting(
    failures: list[ReplicatorError], act: Callable[[Settings, KeptHead], None]
) -> Callable[[Settings, KeptHead], None]:
    def run(settings: Settings, head: KeptHead) -> None:
        try:
            act(settings, head)
        except ReplicatorError as error:
            failures.append(error)

    return run


def _commands(hooks: Sequence[HookSettings]) -> tuple[HookCommand, ...]:
    return tuple(HookCommand(hook.argv, hook.timeout_seconds, hook.verify) for hook in hooks)


def _fencing(settings: Settings, flow: Flow, fence: str | None) -> Fencing:
    hooks = settings.failover.hooks
    return Fencing(
        grade=FenceGrade(fence or settings.failover.fence),
        is_asked=fence is not None,
        fence_hooks=_commands(hooks.fence),
        unfence_hooks=_commands(hooks.unfence),
        exempt=settings.house_principals(flow),
        probe_source=settings.application_access(flow.source),
        probe_target=settings.application_access(flow.target),
    )


def _worker(settings: Settings, flow: Flow) -> Worker:
    access = settings.connect_of(flow.target)
    wanted = flow.connector.get("tasks.max", "")
    return Worker(
        group_id=access.group_id,
        offsets_topic=TopicName(access.offsets_topic),
        configs_topic=TopicName(access.configs_topic),
        tasks_max=int(wanted) if wanted.isdecimal() else TASKS_MAX,
    )


def _identity(settings: Settings) -> Identity:
    supervisor = settings.supervisor
    return Identity(
        supervisor_id=supervisor.id,
        topic_prefix=supervisor.topic_prefix,
        session_seconds=supervisor.session_seconds,
    )


def highest_peer_epoch(world: World, *, is_needed: bool | None = None) -> int:
    """Return the highest epoch in the journal of the source's cluster, 0 where it cannot be read; the world knows its
    records from then on. `is_needed` None: a planned move cannot do without it, any other can.

    Raises:
        Unreachable: it is needed and cannot be read.
    """
    needed = world.is_planned if is_needed is None else is_needed
    addresses = [address.strip() for address in world.source.access.bootstrap.split(",")]
    if not needed and probe_listeners(addresses) is not Reachability.REACHABLE:
        return 0
    journal = Journal(world.source, world.identity.topic_prefix, clock=world.clock)
    try:
        chain = journal.read_chain(world.deadline(_PEER_SECONDS))
    except ReplicatorError:
        if needed:
            raise
        return 0
    world.peer_records = chain.records
    return chain.highest_epoch
