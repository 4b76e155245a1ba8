"""Reads what doctor judges: every cluster, Connect, flow and the store at once, each with a budget of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import decode_heartbeat
from replicator.errors import ReplicatorError
from replicator.flow import HEARTBEATS, JournalFacts, plan_flow, read_facts
from replicator.journal import JournalProof, prove_journals
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import TopicPartition
from replicator.settings import Runtime, Settings
from replicator.snapshot import Repository, load_keys
from replicator.supervisor.assemble import FlowWorld, World
from replicator.supervisor.doctor.facts import (
    Beat,
    ClusterProbe,
    ConnectProbe,
    DoctorFacts,
    FlowProbe,
    StoreProbe,
    Trouble,
)
from replicator.supervisor.doctor.rights import rights_of_settings

REACH_SECONDS = 6.0
"""A cluster that lives answers a question within this; one that does not is asked nothing more."""
MORE_SECONDS = 8.0
PLAN_SECONDS = 15.0
BEATS_READ = 20
ABSENT = "was not read"
Value = TypeVar("Value")


@dataclass(slots=True)
class _Task:
    """Something being read in a thread of its own; `found` is None while it is not done."""

    name: str
    thread: threading.Thread
    found: list[object]


def gather_facts(
    world: World,
    *,
    advice: Sequence[str],
    deadline: Deadline,
    cluster: str | None = None,
    clock: Clock = SYSTEM_CLOCK,
) -> DoctorFacts:
    """Return everything that could be read within the deadline; whatever could not is said, never raised.

    With `cluster` only that one and the Connect beside it are looked at, and no flow.

    Raises:
        NotFound: there is no such cluster.
    """
    settings = world.settings
    secrets, usable = _usable_clusters(settings)
    if cluster is not None:
        settings.cluster_section(cluster)
        usable = [name for name in usable if name == cluster]
    beside = [name for name in settings.document.connect if cluster in (None, name)]
    jobs: list[tuple[str, Callable[[], object]]] = [
        *((f"clusters.{name}", partial(_probe_cluster, world, name, clock)) for name in usable),
        *((f"connect.{name}", partial(_probe_connect, world, name, clock)) for name in beside),
        *(_store_jobs(settings) if cluster is None else ()),
    ]
    first = _all_at_once(jobs, deadline=deadline)
    whole = [] if cluster is not None else [flow for flow in settings.flows if _is_alive(flow, first.found)]
    flows = _all_at_once(
        [(f"flows.{flow.name}", partial(_probe_flow, world, flow, clock)) for flow in whole], deadline=deadline
    )
    return DoctorFacts(
        advice=advice,
        secrets=secrets,
        clusters=[one for one in first.found.values() if isinstance(one, ClusterProbe)],
        connects=[one for one in first.found.values() if isinstance(one, ConnectProbe)],
        flows=[_flow_probe(flows.found.get(f"flows.{flow.name}"), flow) for flow in settings.flows if cluster is None],
        rights=[one for one in rights_of_settings(settings) if cluster in (None, one.cluster)],
        store=next((one for one in first.found.values() if isinstance(one, StoreProbe)), None),
        unfinished=[*first.unfinished, *flows.unfinished],
    )


def _is_alive(flow: Flow, found: Mapping[str, object]) -> bool:
    """Whether all that the flow needs has answered: what is dead is waited for once, not again for each flow."""
    places = (f"clusters.{flow.source}", f"clusters.{flow.target}", f"connect.{flow.target}")
    return all(getattr(found.get(place), "trouble", ABSENT) is None for place in places)


def _flow_probe(found: object, flow: Flow) -> FlowProbe:
    return found if isinstance(found, FlowProbe) else FlowProbe(flow=flow)


@dataclass(frozen=True, slots=True)
class _Gathered:
    found: dict[str, object]
    unfinished: list[str]


def _all_at_once(jobs: Iterable[tuple[str, Callable[[], object]]], *, deadline: Deadline) -> _Gathered:
    """Run every job in a thread; one that outlives the deadline is left behind and named."""
    tasks = [_start(name, job) for name, job in jobs]
    for task in tasks:
        task.thread.join(deadline.left)
    late = [task.name for task in tasks if task.thread.is_alive()]
    for task in tasks:
        for found in task.found:
            if isinstance(found, Exception):
                raise found
    return _Gathered({task.name: task.found[0] for task in tasks if task.found}, late)


def _start(name: str, job: Callable[[], object]) -> _Task:
    """Begin a job; what it raises beyond our own errors is a fault of ours, and raised where it is waited for."""
    found: list[object] = []

    def run() -> None:
        try:
            found.append(job())
        except Exception as error:  # noqa: BLE001 - handed over to the thread that waits
            found.append(error)

    thread = threading.Thread(target=run, name=f"doctor:{name}", daemon=True)
    thread.start()
    return _Task(name, thread, found)


def _usable_clusters(settings: Settings) -> tuple[list[Trouble], list[str]]:
    """Return what of the secrets cannot be had, and the clusters that can be reached without it."""
    troubles: dict[str, Trouble] = {}
    usable = []
    for name in settings.clusters:
        trouble = _trouble_of(partial(settings.cluster_access, name))
        if trouble is None:
            usable.append(str(name))
        else:
            troubles[trouble.message] = trouble
    asked: list[Callable[[], object]] = [
        *(partial(settings.mirror_access, name) for name in settings.clusters),
        *(partial(settings.connect_of, name) for name in settings.document.connect),
        settings.signing_key,
        settings.api_serving,
        settings.api_reach,
    ]
    for ask in asked:
        if (trouble := _trouble_of(ask)) is not None:
            troubles[trouble.message] = trouble
    return list(troubles.values()), usable


def _trouble_of(ask: Callable[[], object]) -> Trouble | None:
    return _try(ask)[1]


def _try(ask: Callable[[], Value]) -> tuple[Value | None, Trouble | None]:
    """Return what was answered, or why nothing was."""
    try:
        return ask(), None
    except ReplicatorError as error:
        return None, Trouble(code=error.code, message=error.message, hint=error.hint)


def _probe_cluster(world: World, name: str, clock: Clock) -> ClusterProbe:
    cluster = world.cluster(name)
    within = Deadline.after(REACH_SECONDS, clock=clock)
    probe = ClusterProbe(
        name=cluster.name, protocol=cluster.access.security.protocol, configured_id=cluster.access.cluster_id
    )
    described, trouble = _try(lambda: cluster.describe(within))
    if described is None:
        return replace(probe, trouble=trouble)
    later = Deadline.after(MORE_SECONDS, clock=clock)
    apis, apis_trouble = _try(lambda: _read_apis(world, name, later))
    has_authorizer, authorizer_trouble = _try(lambda: cluster.acls.has_authorizer(later))
    rules, rules_trouble = _try(lambda: cluster.acls.list(later)) if has_authorizer else (None, authorizer_trouble)
    return replace(
        probe,
        cluster_id=described.cluster_id,
        brokers=len(described.brokers),
        apis=apis,
        apis_trouble=apis_trouble,
        has_authorizer=has_authorizer,
        rules=rules,
        rules_trouble=rules_trouble,
        journal=_try(lambda: _prove_journal(world, name, later))[0],
    )


def _prove_journal(world: World, name: str, deadline: Deadline) -> JournalProof:
    """Prove the journal there by itself; `audit verify` holds it against what others keep of it."""
    cluster = world.cluster(name)
    (proof,) = prove_journals({cluster.name: world.journal(cluster.name).read_stored(deadline)})
    return proof


def _read_apis(world: World, name: str, deadline: Deadline) -> dict[int, tuple[int, int]]:
    from replicator.wire import RawClient

    with RawClient(world.cluster(name).access) as raw:
        return dict(raw.read_versions(deadline=deadline))


def _probe_connect(world: World, name: str, clock: Clock) -> ConnectProbe:
    settings = world.settings
    section = settings.document.connect[name]
    probe = ConnectProbe(
        cluster=next(one for one in settings.clusters if one == name),
        url=section.url,
        is_ours=section.runtime is not Runtime.EXTERNAL,
        is_needed=any(flow.target == name for flow in settings.flows),
    )
    within = Deadline.after(REACH_SECONDS, clock=clock)
    worker, trouble = _try(lambda: world.connect(name).worker(within))
    if worker is None:
        return replace(probe, trouble=trouble)
    plugins, trouble = _try(lambda: world.connect(name).plugins(Deadline.after(MORE_SECONDS, clock=clock)))
    return replace(probe, worker=worker, plugins=plugins, trouble=trouble)


def _store_jobs(settings: Settings) -> list[tuple[str, Callable[[], object]]]:
    store = settings.store
    return [] if store is None else [("snapshots.store", lambda: _probe_store(settings, store))]


def _probe_store(settings: Settings, url: str) -> StoreProbe:
    def count() -> int:
        secret = settings.signing_key()
        return len(Repository.open(url, keys=load_keys(None if secret is None else secret.value)).list_ids())

    found, trouble = _try(count)
    return StoreProbe(url=url, snapshots=found, trouble=trouble)


def _probe_flow(world: World, flow: Flow, clock: Clock) -> FlowProbe:
    within = Deadline.after(PLAN_SECONDS, clock=clock)
    parts, trouble = _try(lambda: world.flow(flow.name))
    if parts is None:
        return FlowProbe(flow=flow, trouble=trouble)
    probe, trouble = _try(lambda: _plan(world, parts, within))
    beat, beat_trouble = _try(lambda: _read_beat(parts.target, flow, within))
    found = FlowProbe(flow=flow, wiring=parts.wiring, trouble=trouble) if probe is None else probe
    return replace(found, beat=beat, beat_trouble=beat_trouble)


def _plan(world: World, parts: FlowWorld, deadline: Deadline) -> FlowProbe:
    """Plan the flow as if nothing ran: what runs or has moved is a state, not a fault."""
    facts = read_facts(
        parts.flow, handles=parts.handles, wiring=parts.wiring, journal=JournalFacts(), deadline=deadline
    )
    plan = plan_flow(parts.flow, others=world.settings.flows, facts=facts, wiring=parts.wiring)
    return FlowProbe(flow=parts.flow, wiring=parts.wiring, facts=facts, plan=plan)


def _read_beat(target: KafkaCluster, flow: Flow, deadline: Deadline) -> Beat | None:
    """Return the newest heartbeat of the flow on the target; None where none has arrived."""
    topic = flow.remote_topic(HEARTBEATS)
    tp = TopicPartition(topic, 0)
    if topic not in target.topics.describe([topic], deadline):
        return None
    end = target.positions.ends([tp], deadline)[tp]
    start = max(end.log_start, end.last_stable - BEATS_READ)
    read = target.read_range(tp, start, end.last_stable, deadline=deadline)
    for record in reversed(read.records):
        told = decode_heartbeat(record.key or b"", record.value) if record.is_log_append_time else None
        if told is not None and (told.source, told.target) == (flow.source, flow.target):
            return Beat(sent_at=_moment(told.timestamp_ms), stamped_at=_moment(record.timestamp_ms))
    return None


def _moment(timestamp_ms: int) -> datetime:
    return datetime.fromtimestamp(timestamp_ms / 1000, tz=UTC)
