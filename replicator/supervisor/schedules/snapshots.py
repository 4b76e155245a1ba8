"""The work of a snapshot schedule: capture the flow's target, then prove every byte of what was captured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from replicator.clock import Clock, Deadline
from replicator.connect import ConnectClient
from replicator.errors import ConfigInvalid, DataCorrupt, PreflightBlocked
from replicator.flow import hold_flow, read_positions
from replicator.flow.planning.overlap import remote_selection
from replicator.kafka import KafkaCluster
from replicator.kafka.registry import SchemaRegistry
from replicator.log import get_logger
from replicator.model.archive.keeping import KeepRule
from replicator.model.archive.schemas import RegistryContent
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Flow
from replicator.model.names import TopicName
from replicator.settings import Settings
from replicator.snapshot import (
    MirrorSource,
    Repository,
    SnapshotRequest,
    apply_prune,
    create_snapshot,
    load_keys,
    note_verified,
    verify_snapshot,
)

LOOK_BACK = 200
"""So many of the newest snapshots are looked through for a schedule's last run."""


def schedule_tag(name: str) -> str:
    """Return the word by which a schedule's snapshots are found again."""
    return f"schedule:{name}"


def keep_rules(settings: Settings) -> list[KeepRule]:
    """Return the retention rule of every schedule that has one; each is about its own snapshots alone."""
    return [
        schedule.keep.to_rule(tag=schedule_tag(name), zone=schedule.timezone)
        for name, schedule in settings.snapshots.schedules.items()
        if schedule.keep is not None
    ]


def open_repository(settings: Settings) -> Repository:
    """Return the configured repository.

    Raises:
        ConfigInvalid: none is configured. NotFound: there is none yet. The store's errors.
    """
    if settings.store is None:
        raise ConfigInvalid("a schedule needs a store: snapshots.store is not configured", hint="set snapshots.store")
    secret = settings.signing_key()
    return Repository.open(
        settings.store, keys=load_keys(None if secret is None else secret.value, unlock=settings.unlock())
    )


class SnapshotWork:
    """Takes and proves a schedule's snapshots."""

    def __init__(self, settings: Settings, flow: Flow, cluster: KafkaCluster, *, schedule: str, clock: Clock) -> None:
        self._settings = settings
        self._flow = flow
        self._cluster = cluster
        self._tag = schedule_tag(schedule)
        self._clock = clock

    def last_run(self) -> datetime | None:
        """Return when the newest snapshot of this schedule was taken; None for none.

        Raises: what the store refused or failed with.
        """
        repository = open_repository(self._settings)
        for snapshot_id in sorted(repository.list_ids(), reverse=True)[:LOOK_BACK]:
            manifest = repository.read_manifest(snapshot_id)
            if self._tag in manifest.tags:
                return manifest.created_at
        return None

    def run(self, deadline: Deadline) -> None:
        """Return once a snapshot was taken and every chunk of it matched.

        Raises:
            DataCorrupt: what was stored does not match; the errors of the cluster and of the store.
        """
        self.capture(deadline)
        self.clear_out()

    def clear_out(self) -> None:
        """Leave the repository with what the schedules' retention keeps.

        Where somebody is at work in it, or a manifest cannot be read, it is left to a later run.
        """
        rules = keep_rules(self._settings)
        if not rules:
            return
        try:
            apply_prune(open_repository(self._settings), rules, clock=self._clock)
        except PreflightBlocked as error:
            get_logger().warning("retention_put_off", schedule=self._tag, cause=error.message)

    def capture(self, deadline: Deadline) -> Manifest:
        """Return the manifest of a new snapshot, proven. Raises: as `run`."""
        return capture_flow(
            self._settings, self._flow, self._cluster, tags=(self._tag,), clock=self._clock, deadline=deadline
        )


def mirror_of(settings: Settings, flow: Flow, cluster: KafkaCluster) -> MirrorSource:
    """Return what a snapshot of the flow's target asks for how far MirrorMaker is; `cluster` is that target."""
    offsets_topic = TopicName(settings.connect_topics(flow.target).offsets_topic)
    access = settings.connect_of(flow.target)

    @contextmanager
    def hold(deadline: Deadline) -> Iterator[None]:
        client = ConnectClient(access.url, username=access.username, password=access.password, ca_file=access.ca_file)
        with client as connect, hold_flow(flow, connect, deadline):
            yield

    return MirrorSource(
        connector=flow.source_connector,
        source=flow.source,
        delivery=flow.delivery,
        read_positions=lambda deadline: read_positions(cluster, offsets_topic, flow.source_connector, deadline),
        hold=hold,
    )


@contextmanager
def reading_schemas(settings: Settings, cluster: str) -> Iterator[Callable[[Deadline], RegistryContent] | None]:
    """Yield what reads the schema registry beside a cluster; None where none is configured.

    Raises:
        ConfigInvalid: its secrets or certificates cannot be had, or the extra `registry` is not installed.
    """
    access = settings.registry_access(cluster)
    if access is None:
        yield None
        return
    with SchemaRegistry(access) as registry:
        yield registry.read


def capture_flow(
    settings: Settings, flow: Flow, cluster: KafkaCluster, *, tags: tuple[str, ...], clock: Clock, deadline: Deadline
) -> Manifest:
    """Return the manifest of a new snapshot of the flow's target, every chunk of it proven.

    Raises:
        DataCorrupt: what was stored does not match; the errors of the cluster and of the store.
    """
    from replicator.wire import RawClient

    repository = open_repository(settings)
    mirror = mirror_of(settings, flow, cluster)
    request = SnapshotRequest(topics=remote_selection(flow), flow=flow.name, mirror=mirror, tags=tags)
    with RawClient(cluster.access, clock=clock) as raw, reading_schemas(settings, flow.target) as read_schemas:
        request = replace(request, read_schemas=read_schemas)
        manifest = create_snapshot(cluster, raw, repository, request, clock=clock, deadline=deadline)
    proof = verify_snapshot(repository, manifest.id, clock=clock)
    if not proof.is_ok:
        first = proof.findings[0]
        raise DataCorrupt(
            f"snapshot {manifest.id}: {len(proof.findings)} findings, the first: {first.where}: {first.what}",
            hint=f"replicator snapshot verify {manifest.id}",
        )
    note_verified(repository, proof, now=clock.now())
    return manifest
