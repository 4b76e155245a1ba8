"""A supervisor that stands still: one flow whose overview a test changes by hand, behind the real application."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from fastapi.testclient import TestClient

from replicator.api.access import AccessRole, AccessRules, make_token
from replicator.api.app import create_app
from replicator.log import configure
from replicator.model.cluster import Secret
from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import FlowState
from replicator.model.lag import FlowLag, PartitionLag, TopicLag
from replicator.model.names import ClusterName, FlowName, GroupName, OperationId, SnapshotId, TopicName, TopicPartition
from replicator.model.objectives import Objectives, Verdict
from replicator.model.observations import GroupObservation, GroupState, Reachability
from replicator.model.offsets import Grade, GroupTranslation, Offset, Translation
from replicator.model.operations import JournalRecord, LossReport, Operation, OperationKind, OperationState
from replicator.model.supervision.overview import (
    Answer,
    GroupStatus,
    Overview,
    Readiness,
    ScheduleStatus,
    SnapshotEntry,
)
from replicator.model.supervision.status import ClusterStatus, CollectorStatus, FlowStatus, Role, Status

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
VIEWER = "viewer-token-0123456789"
OPERATOR = "operator-token-0123456789"
HOSTILE = "\x1b]52;c;ZXZpbA==\x07[red]orders\u202e\n[@click=app.quit]x[/]"


class FakeClock:
    """Wall and monotonic time that move together, by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        """Return the wall time."""
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Return seconds since the start."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Move on by `seconds`."""
        self.seconds += seconds


def make_lag(*, records: int | None = 12, seconds: float | None = 0.8, topic: str = "orders") -> FlowLag:
    """Return the lag of a flow of one topic with one partition."""
    known: dict[str, Any] = {
        "lag_records": records,
        "lag_seconds": seconds,
        "rate_in": 100.0,
        "rate_out": 100.0,
        "eta_seconds": 1.0,
        "observed_at": START,
    }
    name = TopicName(topic)
    partition = PartitionLag(
        partition=TopicPartition(name, 0),
        source_end=1012,
        mirrored_position=None if records is None else 1012 - records,
        is_stalled=False,
        **known,
    )
    one = TopicLag(topic=name, stalled_partitions=0, partitions=(partition,), **known)
    return FlowLag(flow=FlowName("orders"), stalled_partitions=0, topics=(one,), **known)


def make_cluster(name: str, *, reachability: Reachability = Reachability.REACHABLE) -> ClusterStatus:
    """Return a cluster that answers so."""
    return ClusterStatus(
        cluster=ClusterName(name),
        cluster_id=f"id-{name}",
        reachability=reachability,
        observed_at=START,
        last_reached_at=START,
        unreachable_since=None if reachability is Reachability.REACHABLE else START,
        cause=None if reachability is Reachability.REACHABLE else "connection refused",
    )


def make_flow(**changes: Any) -> FlowStatus:
    """Return a healthy flow, east to west, with `changes`."""
    flow = FlowStatus(
        flow=FlowName("orders"),
        source=make_cluster("east"),
        target=make_cluster("west"),
        role=Role.LEADER,
        state=FlowState.HEALTHY,
        cause=None,
        since=START,
        lag=make_lag(),
        objectives=Objectives(rpo_seconds=30.0),
        verdicts=(Verdict("rpo_seconds", True, "0.8s behind; promised 30s"),),
        window_seconds=0.4,
        connectors=(
            ConnectorStatus(
                name="orders.source",
                state=ConnectorState.RUNNING,
                worker="127.0.0.1:8083",
                tasks=(TaskStatus(id=0, state=ConnectorState.RUNNING, worker="127.0.0.1:8083"),),
            ),
        ),
        connectors_observed_at=START,
        active=ClusterName("east"),
        groups_observed=1,
        groups_observed_at=START,
        heartbeat_sent_at=START,
        heartbeat_arrived_at=START,
        recorded_at=START,
    )
    return replace(flow, **changes)


def make_status(*flows: FlowStatus, at: datetime = START, **changes: Any) -> Status:
    """Return a status of these flows at a moment."""
    collector = CollectorStatus(
        name="source:orders",
        flow=FlowName("orders"),
        cluster=ClusterName("east"),
        period_seconds=1.0,
        succeeded_at=at,
        duration_seconds=0.05,
        steps_total=7,
        errors={"access.denied": 1},
        error=None,
        error_code=None,
    )
    status = Status(
        supervisor="main",
        version="0.1.0",
        started_at=START - timedelta(hours=1),
        computed_at=at,
        flows=flows or (make_flow(),),
        collectors=(collector,),
    )
    return replace(status, **changes)


def make_group(name: str = "billing", *, grade: Grade = Grade.EXACT, reread: int | None = 0) -> GroupStatus:
    """Return a group with a committed offset and its translation."""
    partition = TopicPartition(TopicName("orders"), 0)
    translation = Translation(
        partition=partition,
        target_partition=partition,
        source_offset=Offset(900),
        target_offset=Offset(890),
        grade=grade,
        reread_records_max=reread,
        rule="rank",
        observed_at=START,
    )
    observation = GroupObservation(
        cluster=ClusterName("east"),
        group=GroupName(name),
        state=GroupState.ACTIVE,
        observed_at=START,
        committed={partition: 900},
        members=2,
    )
    return GroupStatus(
        flow=FlowName("orders"),
        observation=observation,
        lag_records=112,
        translation=GroupTranslation(FlowName("orders"), GroupName(name), (translation,)),
        is_active_on_target=False,
    )


def make_record(step: str, phase: str, *, number: int, **body: Any) -> JournalRecord:
    """Return one journal record, `number` seconds after the start."""
    return JournalRecord(
        sequence=number,
        epoch=1,
        operation_id=OperationId("failover-1"),
        flow=FlowName("orders"),
        kind="failover",
        step=step,
        phase=phase,
        item=None,
        actor="kim",
        written_at=START + timedelta(seconds=number),
        body=body,
        previous="",
        digest=f"{number}",
    )


def make_operation(*records: JournalRecord, state: OperationState = OperationState.RUNNING) -> Operation:
    """Return a failover as these records tell it."""
    return Operation(
        id=OperationId("failover-1"),
        flow=FlowName("orders"),
        kind=OperationKind.FAILOVER,
        source=ClusterName("east"),
        target=ClusterName("west"),
        state=state,
        actor="kim",
        started_at=START,
        ended_at=START + timedelta(seconds=20) if state.is_terminal else None,
        step=records[-1].step if records else None,
        is_past_promote=False,
        records=records,
    )


def make_overview(status: Status | None = None, **changes: Any) -> Overview:
    """Return an overview with one of everything."""
    flow = FlowName("orders")
    overview = Overview(
        status=status or make_status(),
        readiness={
            flow: Readiness(
                flow=flow,
                answer=Answer.YES,
                loss=LossReport(known_lost=0, unknown_window_seconds=0.4, possible_lost_max=52),
            )
        },
        groups={flow: (make_group(),)},
        operations=(),
        journals_read=frozenset({ClusterName("east"), ClusterName("west")}),
        snapshots=(
            SnapshotEntry(
                id=SnapshotId("20260101T110000Z-1"),
                created_at=START - timedelta(hours=1),
                cluster=ClusterName("west"),
                flow=flow,
                topics=3,
                records=1000,
                size_bytes=2**20,
                new_bytes=2**18,
                gaps=0,
                missing_topics=0,
                verified_at=START,
                is_sound=True,
                took_seconds=12.5,
            ),
        ),
        schedules=(
            ScheduleStatus(
                name="hourly", flow=flow, cron="0 * * * *", timezone="UTC", next_run_at=START + timedelta(hours=1)
            ),
        ),
    )
    return replace(overview, **changes)


class Stage:
    """A source whose overview a test sets."""

    def __init__(self) -> None:
        self.now = make_overview()
        self.clock = FakeClock()
        self.app: FastAPI | None = None

    def overview(self) -> Overview:
        """Return what was set."""
        return self.now

    def set(self, status: Status | None = None, **changes: Any) -> None:
        """Show another overview from now on, a second later."""
        self.clock.seconds += 1.0
        at = self.clock.now()
        self.now = make_overview(replace(status or make_status(), computed_at=at), **changes)

    def look(self) -> None:
        """Let the application see what was set now, not at its next look."""
        assert self.app is not None
        self.app.state.serving.feed.look()


def make_rules() -> AccessRules:
    """Return rules with a viewer and an operator."""
    return AccessRules(
        tokens=(
            make_token("grafana", role=AccessRole.VIEWER, secret=Secret("env:V", VIEWER)),
            make_token("kim", role=AccessRole.OPERATOR, secret=Secret("env:O", OPERATOR)),
        ),
        hosts=frozenset({"replicator.example"}),
    )


@pytest.fixture(autouse=True)
def _plain_log() -> Iterator[None]:
    """Log as the supervisor does, and only what is critical."""
    configure(is_json=True, level="critical")
    yield
    structlog.reset_defaults()


@pytest.fixture
def stage() -> Stage:
    """A source that a test sets."""
    return Stage()


@pytest.fixture
def rules() -> AccessRules:
    """A viewer and an operator."""
    return make_rules()


Ask = Callable[..., Any]


@pytest.fixture
def client(stage: Stage) -> Iterator[TestClient]:
    """The open application on this machine."""
    app = stage.app = create_app(stage, clock=stage.clock, life="aa")
    with TestClient(app, base_url="http://127.0.0.1:9108", raise_server_exceptions=False) as asked:
        yield asked


class Make:
    """What tests make of values."""

    overview = staticmethod(make_overview)
    status = staticmethod(make_status)
    flow = staticmethod(make_flow)
    cluster = staticmethod(make_cluster)
    lag = staticmethod(make_lag)
    group = staticmethod(make_group)
    operation = staticmethod(make_operation)
    record = staticmethod(make_record)

    @staticmethod
    def lost(name: str) -> ClusterStatus:
        """Return a cluster that refuses connections."""
        return make_cluster(name, reachability=Reachability.REFUSED)


@pytest.fixture
def make() -> Make:
    """Makers of values."""
    return Make()
