"""The rows of `replicator lag`: what is shown, chosen and sorted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.api.schema import ReadinessView
from replicator.cli.supervision.lag import LagRow, choose_rows, lag_rows
from replicator.cli.supervision.look import OwnLook
from replicator.cli.supervision.status import next_commands, status_columns
from replicator.flow import flow_lag
from replicator.model.flow import FlowState
from replicator.model.lag import PartitionLag
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from replicator.model.objectives import Objectives
from replicator.model.observations import Reachability
from replicator.model.supervision.status import ClusterStatus, FlowStatus, Role, Status
from replicator.settings.load import url_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def partition(topic: str, number: int, **changes: Any) -> PartitionLag:
    base = PartitionLag(
        partition=TopicPartition(TopicName(topic), number),
        source_end=100,
        mirrored_position=90,
        lag_records=10,
        lag_seconds=2.0,
        rate_in=5.0,
        rate_out=4.0,
        eta_seconds=None,
        is_stalled=False,
        observed_at=NOW - timedelta(seconds=1.5),
    )
    return replace(base, **changes)


def status(*partitions: PartitionLag) -> Status:
    cluster = ClusterStatus(
        cluster=ClusterName("east"),
        cluster_id=None,
        reachability=Reachability.REACHABLE,
        observed_at=NOW,
        last_reached_at=NOW,
        unreachable_since=None,
    )
    flow = FlowStatus(
        flow=FlowName("shop"),
        source=cluster,
        target=cluster,
        role=Role.LEADER,
        state=FlowState.HEALTHY,
        cause=None,
        since=NOW,
        lag=flow_lag(FlowName("shop"), partitions),
        objectives=Objectives(),
        verdicts=(),
        window_seconds=0.0,
        connectors=(),
        connectors_observed_at=None,
        active=ClusterName("east"),
        groups_observed=None,
        groups_observed_at=None,
        heartbeat_sent_at=None,
        heartbeat_arrived_at=None,
        recorded_at=None,
    )
    return Status(supervisor="main", version="0", started_at=NOW, computed_at=NOW, flows=(flow,))


SEEN = OwnLook(
    status(
        partition("orders", 0),
        partition("orders", 1, lag_records=0, lag_seconds=0.0),
        partition("payments", 0, lag_records=None, lag_seconds=None, is_stalled=None),
    )
)


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("flow", [("shop", None, None, None)]),
        ("topic", [("shop", "orders", None, 10), ("shop", "payments", None, None)]),
        ("partition", [("shop", "orders", 0, 10), ("shop", "orders", 1, 0), ("shop", "payments", 0, None)]),
    ],
)
def test_rows_by_level(by: str, rows: list[tuple[Any, ...]]) -> None:
    """One row a flow, topic or partition; one unknown part makes the whole unknown, not smaller."""
    assert [(row.flow, row.topic, row.partition, row.lag_records) for row in lag_rows(SEEN, by=by)] == rows


def test_every_row_has_its_age() -> None:
    """Each figure says how old it is."""
    assert {row.age_seconds for row in lag_rows(SEEN, by="partition")} == {1.5}


def rows() -> list[LagRow]:
    return list(lag_rows(SEEN, by="partition"))


def test_only_issues_leaves_out_what_is_caught_up() -> None:
    """Behind, stalled and unknown stay; a partition without lag goes."""
    chosen = choose_rows(rows(), top=None, is_only_issues=True)
    assert [(row.topic, row.partition) for row in chosen] == [("orders", 0), ("payments", 0)]


def test_top_puts_the_unknown_first() -> None:
    """What nobody could read may be the worst of all."""
    chosen = choose_rows(rows(), top=2, is_only_issues=False)
    assert [(row.topic, row.partition) for row in chosen] == [("payments", 0), ("orders", 0)]


@pytest.mark.parametrize(
    ("listen", "url"),
    [
        ("127.0.0.1:9108", "http://127.0.0.1:9108"),
        ("0.0.0.0:9108", "http://127.0.0.1:9108"),
        ("[::]:9108", "http://[::1]:9108"),
        ("[::1]:9108", "http://[::1]:9108"),
    ],
)
def test_a_supervisor_that_listens_everywhere_is_asked_here(listen: str, url: str) -> None:
    """An address to listen at is not always one to call."""
    assert url_of(listen, scheme="http") == url


def test_status_tells_readiness_and_the_next_command() -> None:
    """Whether each flow can fail over is shown, and where something is wrong the command that comes next."""
    flow = SEEN.status.flows[0]
    ready = ReadinessView(answer="at a cost", reasons=("east is away",), fixes=("replicator failover shop --dry-run",))
    seen = SEEN.status.model_copy(update={"flows": (flow.model_copy(update={"readiness": ready}),)})
    columns = {column.title: column.cell for column in status_columns(NOW)}
    assert columns["FAILOVER"](seen.flows[0]) == "at a cost"
    assert columns["FAILOVER"](flow) is None
    assert columns["STALLED PARTITIONS"](seen.flows[0]) == "—"
    assert next_commands(seen) == ["shop: replicator failover shop --dry-run"]
    assert next_commands(SEEN.status) == []
