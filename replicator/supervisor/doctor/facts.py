"""What doctor has read, frozen. None is what could not be read; the error beside it says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from replicator.flow import FlowFacts, FlowWiring, Plan
from replicator.journal import JournalProof
from replicator.model.acls import AclBinding
from replicator.model.cluster import SecurityProtocol
from replicator.model.connectors import Plugin, WorkerInfo
from replicator.model.flow import Flow
from replicator.model.names import ClusterName
from replicator.supervisor.doctor.rights import ClusterRights


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why something could not be read: the error's code, its line and its hint."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterProbe:
    """One cluster. `apis` are the versions of each API it speaks over the raw path, by API key."""

    name: ClusterName
    protocol: SecurityProtocol
    configured_id: str | None
    trouble: Trouble | None = None
    cluster_id: str | None = None
    brokers: int | None = None
    apis: Mapping[int, tuple[int, int]] | None = None
    apis_trouble: Trouble | None = None
    has_authorizer: bool | None = None
    rules: Sequence[AclBinding] | None = None
    rules_trouble: Trouble | None = None
    journal: JournalProof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectProbe:
    """The Connect beside one cluster. `is_needed`: a flow runs on it; else it waits for a failback."""

    cluster: ClusterName
    url: str
    is_ours: bool
    is_needed: bool
    trouble: Trouble | None = None
    worker: WorkerInfo | None = None
    plugins: Sequence[Plugin] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The newest heartbeat on a target: when we sent it, by our clock, and when the target's broker stamped it."""

    sent_at: datetime
    stamped_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowProbe:
    """One flow, planned. Without a plan `trouble` says why; both None: a part of it does not answer."""

    flow: Flow
    wiring: FlowWiring | None = None
    facts: FlowFacts | None = None
    plan: Plan | None = None
    trouble: Trouble | None = None
    beat: Beat | None = None
    beat_trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreProbe:
    """The snapshot repository."""

    url: str
    snapshots: int | None = None
    trouble: Trouble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorFacts:
    """Everything. `secrets` are references that could not be followed; `rights` what each cluster must grant."""

    advice: Sequence[str]
    secrets: Sequence[Trouble]
    clusters: Sequence[ClusterProbe]
    connects: Sequence[ConnectProbe]
    flows: Sequence[FlowProbe]
    rights: Sequence[ClusterRights]
    store: StoreProbe | None
    unfinished: Sequence[str] = ()
