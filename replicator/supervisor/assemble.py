"""Doors from settings: clusters, Connect, observations and journals, each made once and shared by all who ask.

The supervisor and every command of the command line assemble their world here, so that both act through the
same doors in the same way.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from replicator.clock import SYSTEM_CLOCK, Clock
from replicator.connect import ConnectClient
from replicator.flow import FlowHandles, FlowWiring
from replicator.journal import Journal, Observations
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import TopicName
from replicator.settings import ConnectAccess, Settings

if TYPE_CHECKING:
    from replicator.wire import RawClient

Door = TypeVar("Door")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowWorld:
    """Everything one flow needs. `observations` and `journal` are those of the target: the survivor.

    `handles` are the same doors as a plan wants them; the world closes them. `all_flows` are those of the
    configuration, this one included.
    """

    flow: Flow
    source: KafkaCluster
    target: KafkaCluster
    connect: ConnectClient
    connect_access: ConnectAccess
    observations: Observations
    journal: Journal
    source_journal: Journal
    topic_prefix: str
    handles: FlowHandles
    wiring: FlowWiring
    all_flows: tuple[Flow, ...]


class World:
    """The doors of one configuration. Nothing is opened before it is asked for; close() lets go of all."""

    def __init__(self, settings: Settings, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.settings = settings
        self._clock = clock
        self._clusters: dict[str, KafkaCluster] = {}
        self._connects: dict[str, ConnectClient] = {}
        self._closers: list[Callable[[], None]] = []

    @property
    def topic_prefix(self) -> str:
        """First part of the names of our own topics."""
        return self.settings.supervisor.topic_prefix

    def cluster(self, name: str) -> KafkaCluster:
        """Return the door to a cluster.

        Raises:
            NotFound, ConfigInvalid: no such cluster, or a secret of it cannot be had.
        """
        if name not in self._clusters:
            access = self.settings.cluster_access(name)
            self._clusters[name] = self._kept(KafkaCluster(access, clock=self._clock))
        return self._clusters[name]

    def connect(self, cluster: str) -> ConnectClient:
        """Return the door to the Connect beside a cluster.

        Raises:
            NotFound, ConfigInvalid: none is configured, or its password cannot be had.
        """
        if cluster not in self._connects:
            access = self.settings.connect_of(cluster)
            self._connects[cluster] = self._kept(
                ConnectClient(access.url, username=access.username, password=access.password, ca_file=access.ca_file)
            )
        return self._connects[cluster]

    def raw(self, cluster: str) -> RawClient:
        """Return a new raw client of a cluster, for one thread alone."""
        from replicator.wire import RawClient

        return self._kept(RawClient(self.cluster(cluster).access, clock=self._clock))

    def observations(self, cluster: str) -> Observations:
        """Return a new writer and reader of the observations kept on a cluster, for one thread alone."""
        writer_id = self.settings.supervisor.id
        return self._kept(Observations(self.cluster(cluster), self.topic_prefix, writer_id=writer_id))

    def journal(self, cluster: str) -> Journal:
        """Return the journal kept on a cluster."""
        return Journal(self.cluster(cluster), self.topic_prefix, clock=self._clock)

    def flow(self, name: str) -> FlowWorld:
        """Return everything one flow needs.

        Raises:
            NotFound, ConfigInvalid: no such flow, or a part of it is not configured.
        """
        flow = self.settings.flow(name)
        access = self.settings.connect_of(flow.target)
        handles = self._handles(flow, access)
        return FlowWorld(
            flow=flow,
            source=handles.source,
            target=handles.target,
            connect=handles.connect,
            connect_access=access,
            observations=self.observations(flow.target),
            journal=self.journal(flow.target),
            source_journal=self.journal(flow.source),
            topic_prefix=self.topic_prefix,
            handles=handles,
            wiring=FlowWiring(
                source=self.settings.mirror_access(flow.source),
                target=self.settings.mirror_access(flow.target),
                secrets_folder=access.secrets_folder,
            ),
            all_flows=self.settings.flows,
        )

    def _handles(self, flow: Flow, access: ConnectAccess) -> FlowHandles:
        has_opposite = flow.source in self.settings.document.connect
        opposite = TopicName(self.settings.connect_of(flow.source).configs_topic) if has_opposite else None
        return FlowHandles(
            source=self.cluster(flow.source),
            target=self.cluster(flow.target),
            connect=self.connect(flow.target),
            offsets_topic=TopicName(access.offsets_topic),
            opposite_configs_topic=opposite,
        )

    def flows(self) -> tuple[FlowWorld, ...]:
        """Return the world of every flow."""
        return tuple(self.flow(flow.name) for flow in self.settings.flows)

    def _kept(self, door: Door) -> Door:
        close = getattr(door, "close", None)
        if callable(close):
            self._closers.append(close)
        return door

    def close(self) -> None:
        """Let go of every door, the last opened first; one that cannot be closed keeps none of the others open."""
        with contextlib.ExitStack() as stack:
            for close in self._closers:
                stack.callback(close)
            self._closers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
