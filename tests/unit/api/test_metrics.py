"""Metrics rendered from an overview: what is there, what is left out, and how many."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from replicator.model.flow import FlowState
from replicator.model.names import ClusterName
from replicator.model.offsets import Grade
from replicator.model.operations import OperationState
from replicator.supervisor.decide.readiness import judge_readiness
from replicator.supervisor.metrics import Granularity, render_metrics
from replicator.supervisor.metrics.families import FAMILIES

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parse(rendered: bytes) -> Series:
    """Return the samples of a rendered text, each once."""
    found: Series = {}
    for family in text_string_to_metric_families(rendered.decode()):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found, f"{key} is rendered twice"
            found[key] = sample.value
    return found


def value_of(series: Series, name: str, **labels: str) -> float | None:
    """Return one sample's value; None where there is no such series."""
    return series.get((f"replicator_{name}", tuple(sorted(labels.items()))))


def test_the_figures_are_those_of_the_overview(make: Any) -> None:
    """Lag, readiness, groups and snapshots are told as the overview holds them."""
    series = parse(render_metrics(make.overview(), answers={("/v1/status", 200): 3}))
    assert value_of(series, "flow_lag_records", flow="orders") == 12
    assert value_of(series, "flow_lag_seconds", flow="orders") == 0.8
    assert value_of(series, "failover_ready", flow="orders") == 1
    assert value_of(series, "failover_possible_lost_records_max", flow="orders") == 52
    assert value_of(series, "groups", flow="orders", grade="EXACT") == 1
    assert value_of(series, "snapshot_bytes", flow="orders") == 2**20
    assert value_of(series, "http_requests_total", route="/v1/status", code="200") == 3


def test_exactly_one_state_and_one_active_cluster(make: Any) -> None:
    """Of a flow's states one is 1 and the rest are 0; so it is with its clusters."""
    flow = make.flow(state=FlowState.STALLED, active=ClusterName("west"))
    series = parse(render_metrics(make.overview(make.status(flow))))
    states = {
        dict(labels)["state"]: value for (name, labels), value in series.items() if name == "replicator_flow_state"
    }
    assert set(states) == {state.value for state in FlowState}
    assert [state for state, value in states.items() if value == 1] == ["STALLED"]
    assert value_of(series, "active_cluster", flow="orders", cluster="west") == 1
    assert value_of(series, "active_cluster", flow="orders", cluster="east") == 0


def test_unknown_lag_leaves_no_series(make: Any) -> None:
    """Lag that cannot be read disappears instead of standing at 0; the estimate goes on with the unread window."""
    flow = make.flow(lag=make.lag(records=None, seconds=None), window_seconds=42.0)
    series = parse(render_metrics(make.overview(make.status(flow))))
    assert value_of(series, "flow_lag_seconds", flow="orders") is None
    assert value_of(series, "flow_lag_records", flow="orders") is None
    assert value_of(series, "lag_records", flow="orders", topic="orders") is None
    assert value_of(series, "rpo_estimate_seconds", flow="orders") == 42.0


def test_a_flow_that_is_gone_leaves_nothing(make: Any) -> None:
    """After a flow is removed no series of it is rendered."""
    empty = replace(make.status(), flows=(), collectors=())
    series = parse(render_metrics(make.overview(empty, readiness={}, groups=None, snapshots=None, schedules=None)))
    assert not [labels for _, labels in series if dict(labels).get("flow") == "orders"]


def test_operations_are_counted_by_outcome(make: Any) -> None:
    """An operation that ended counts once, with its duration; one that stands still is told as halted."""
    record = make.record("operation", "requested", number=0)
    ended = make.operation(record, state=OperationState.DONE)
    halted = make.operation(record, state=OperationState.HALTED)
    series = parse(render_metrics(make.overview(operations=(ended, halted))))
    assert value_of(series, "operations_total", flow="orders", kind="failover", outcome="done") == 1
    assert value_of(series, "operation_halted", flow="orders", kind="failover") == 1
    assert value_of(series, "operation_duration_seconds_count", kind="failover") == 1
    assert value_of(series, "operation_duration_seconds_sum", kind="failover") == 20


def test_steps_are_timed_from_their_last_intent(make: Any) -> None:
    """A step's duration runs from its last intent to its end; one that was found done has none."""
    records = [
        make.record("cut", "intent", number=1),
        make.record("cut", "intent", number=4),
        make.record("cut", "done", number=6),
        make.record("promote", "already", number=7),
    ]
    series = parse(render_metrics(make.overview(operations=(make.operation(*records),))))
    assert value_of(series, "operation_step_duration_seconds_count", kind="failover", step="cut") == 1
    assert value_of(series, "operation_step_duration_seconds_sum", kind="failover", step="cut") == 2
    assert value_of(series, "operation_step_duration_seconds_count", kind="failover", step="promote") is None


def test_counts_begin_at_zero(make: Any) -> None:
    """What never happened is counted as 0 once the journal was read, and absent before."""
    series = parse(render_metrics(make.overview()))
    assert value_of(series, "operation_halted", flow="orders", kind="failback") == 0
    assert value_of(series, "operations_total", flow="orders", kind="drill", outcome="done") == 0
    for reason in ("connector", "task"):
        labels = {"flow": "orders", "connector": "orders.source", "reason": reason}
        assert value_of(series, "connector_restarts_total", **labels) == 0
    unread = parse(render_metrics(make.overview(operations=None)))
    assert value_of(unread, "operation_halted", flow="orders", kind="failback") is None


def test_no_count_begins_before_its_journal_was_read(make: Any) -> None:
    """The source's journal alone was read: the standby's, which holds the operations, would make counts rise from 0."""
    ended = make.operation(make.record("operation", "requested", number=0), state=OperationState.DONE)
    half = parse(render_metrics(make.overview(operations=(ended,), journals_read=frozenset({ClusterName("east")}))))
    assert value_of(half, "operations_total", flow="orders", kind="failover", outcome="done") is None
    assert value_of(half, "operation_halted", flow="orders", kind="failover") is None
    whole = parse(render_metrics(make.overview(operations=(ended,), journals_read=frozenset({ClusterName("west")}))))
    assert value_of(whole, "operations_total", flow="orders", kind="failover", outcome="done") == 1


def test_what_is_mirrored_is_told_by_topic_and_by_time(make: Any) -> None:
    """Mirrored offsets count up by topic, and the moment until which all is mirrored lies back by the lag."""
    series = parse(render_metrics(make.overview()))
    assert value_of(series, "replicated_records_total", flow="orders", topic="orders") == 1000
    at = make.status().computed_at.timestamp()
    assert value_of(series, "last_replicated_timestamp_seconds", flow="orders") == at - 0.8
    assert value_of(series, "topics", flow="orders", status="carried") == 1
    blind = make.flow(lag=make.lag(records=None, seconds=None))
    series = parse(render_metrics(make.overview(make.status(blind))))
    assert value_of(series, "last_replicated_timestamp_seconds", flow="orders") is None
    assert value_of(series, "replicated_records_total", flow="orders", topic="orders") is None
    assert value_of(series, "topics", flow="orders", status="unknown") == 1


def test_checks_are_told_one_by_one(make: Any) -> None:
    """Each check that is asked before a failover is 1 or 0; what cannot be known is absent."""
    lost = judge_readiness(make.flow(target=make.lost("west")))
    series = parse(render_metrics(make.overview(readiness={lost.flow: lost})))
    assert value_of(series, "check_ok", flow="orders", check="standby_answers") == 0
    assert value_of(series, "check_ok", flow="orders", check="source_was_read") == 1
    assert value_of(series, "check_ok", flow="orders", check="groups_have_a_place") is None
    graded = judge_readiness(make.flow(), groups=(make.group(grade=Grade.FLOOR),))
    series = parse(render_metrics(make.overview(readiness={graded.flow: graded})))
    assert value_of(series, "check_ok", flow="orders", check="groups_start_where_they_were") == 0
    assert value_of(series, "check_ok", flow="orders", check="groups_have_a_place") == 1


def test_too_many_series_are_dropped_and_counted(make: Any) -> None:
    """Beyond the bound the topics are left out before the flows, and how many is told."""
    status = make.status()
    lag = status.flows[0].lag
    many = replace(lag, topics=tuple(replace(lag.topics[0], topic=f"t{n}") for n in range(500)))
    series = parse(render_metrics(make.overview(make.status(make.flow(lag=many))), series_max=200))
    assert value_of(series, "flow_lag_records", flow="orders") == 12
    dropped = value_of(series, "series_dropped")
    assert dropped is not None
    assert dropped > 800
    assert len(series) < 250


def test_hostile_labels_stay_on_their_line(make: Any) -> None:
    """A group's name with a line break and quotes is escaped, and is read back whole."""
    hostile = 'a\nb"c\\d\x1b'
    series = parse(render_metrics(make.overview(groups={"orders": (make.group(hostile),)})))
    assert value_of(series, "group_lag_records", flow="orders", group=hostile) == 112


def test_every_family_is_named_by_its_unit_and_once() -> None:
    """Names begin with ours, are unique, and counters end in _total."""
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    assert all(name.startswith("replicator_") for name in names)
    assert all(family.name.endswith("_total") == (family.kind == "counter") for family in FAMILIES)


def test_what_a_move_stands_on_is_told_by_its_age(make: Any) -> None:
    """The newest heartbeat that came through, the positions groups are translated from, the newest capture."""
    series = parse(render_metrics(make.overview()))
    assert (
        value_of(series, "heartbeat_timestamp_seconds", flow="orders") == make.flow().heartbeat_arrived_at.timestamp()
    )
    translation = make.group().translation.translations[0]
    read_at = translation.observed_at.timestamp()
    assert value_of(series, "checkpoint_timestamp_seconds", flow="orders", group="billing") == read_at
    assert value_of(series, "snapshot_duration_seconds", flow="orders") == 12.5
    silent = parse(render_metrics(make.overview(make.status(make.flow(heartbeat_arrived_at=None)))))
    assert value_of(silent, "heartbeat_timestamp_seconds", flow="orders") is None


def test_errors_are_counted_by_what_was_answered(make: Any) -> None:
    """The usual ones begin at 0; a store that is not looked at has none."""
    series = parse(render_metrics(make.overview(repository_errors={"data.corrupt": 2})))
    labels = {"collector": "source", "flow": "orders", "cluster": "east"}
    assert value_of(series, "collect_errors_total", **labels, reason="access.denied") == 1
    assert value_of(series, "collect_errors_total", **labels, reason="deadline.exceeded") == 0
    assert value_of(series, "repository_errors_total", reason="data.corrupt") == 2
    assert value_of(series, "repository_errors_total", reason="endpoint.unreachable") == 0
    assert value_of(parse(render_metrics(make.overview())), "repository_errors_total", reason="data.corrupt") is None


@pytest.mark.parametrize("granularity", Granularity)
def test_lag_is_told_as_finely_as_asked(make: Any, granularity: Granularity) -> None:
    """By topic the series carries no partition; by flow there is none; sums over either are the same."""
    series = parse(render_metrics(make.overview(), granularity=granularity))
    found = {labels: value for (name, labels), value in series.items() if name == "replicator_lag_records"}
    wanted = {
        Granularity.FLOW: {},
        Granularity.TOPIC: {(("flow", "orders"), ("topic", "orders")): 12},
        Granularity.PARTITION: {(("flow", "orders"), ("partition", "0"), ("topic", "orders")): 12},
    }
    assert found == wanted[granularity]
    assert value_of(series, "flow_lag_records", flow="orders") == 12
