"""The shipped alerts over rendered metrics: silent when all is well, each firing for what it is meant for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import FlowState
from replicator.model.offsets import Grade
from replicator.model.operations import OperationState
from replicator.model.supervision.forecasts import Gate
from replicator.model.supervision.outages import Advice, OutagePhase
from replicator.model.supervision.overview import Answer, Overview
from replicator.model.supervision.status import Drift, Role
from replicator.supervisor.decide.outlook.forecast import ForecastFacts, decide_forecast
from replicator.supervisor.metrics import render_metrics
from replicator.supervisor.metrics.alerts import ALERTS, firing_alerts
from replicator.supervisor.metrics.export import DASHBOARD_FILE, RULES_FILE, dashboard_text, rules_text
from replicator.supervisor.metrics.expressions import Scrape
from replicator.supervisor.metrics.families import BY_NAME

CONFIGS = Path(__file__).parents[3] / "configs"
NO_FACTS = ForecastFacts(
    observed={},
    partitions_mirrored=1,
    sides=None,
    missing_rights=None,
    expected_rto_seconds=None,
    rto_measured_in=0,
    last_drill_at=None,
)


def fired(overview: Overview, *, later_seconds: float = 1.0) -> set[str]:
    """Return the alerts that fire on an overview, scraped so long after it."""
    at = overview.status.computed_at.timestamp() + later_seconds
    return set(firing_alerts(Scrape.parse(render_metrics(overview).decode(), at=at)))


def test_all_is_well(make: Any) -> None:
    """A healthy flow fires nothing."""
    assert fired(make.overview()) == set()


def flow_of(make: Any, case: str) -> Any:
    """Return a flow in the trouble of that name."""
    task = TaskStatus(id=0, state=ConnectorState.FAILED, worker="w", trace="no")
    failed = ConnectorStatus(name="orders.source", state=ConnectorState.RUNNING, worker="w", tasks=(task,))
    drift = Drift(kind="topic", name="orders", told="retention.ms")
    return {
        "stalled": make.flow(state=FlowState.STALLED),
        "failed": make.flow(state=FlowState.FAILED),
        "degraded": make.flow(state=FlowState.DEGRADED),
        "unknown": make.flow(state=FlowState.UNKNOWN),
        "unreachable": make.flow(source=make.lost("east")),
        "behind": make.flow(lag=make.lag(seconds=31.0)),
        "blind": make.flow(lag=make.lag(seconds=None, records=None), window_seconds=31.0),
        "task": make.flow(connectors=(failed,)),
        "drift": make.flow(drift=(drift,)),
    }[case]


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("stalled", "ReplicatorFlowStalled"),
        ("failed", "ReplicatorFlowFailed"),
        ("degraded", "ReplicatorFlowDegraded"),
        ("unknown", "ReplicatorFlowUnknown"),
        ("unreachable", "ReplicatorClusterUnreachable"),
        ("behind", "ReplicatorRPOBreached"),
        ("blind", "ReplicatorRPOBreached"),
        ("task", "ReplicatorTaskFailed"),
        ("drift", "ReplicatorConfigDrift"),
    ],
)
def test_each_trouble_fires_its_alert_and_no_other(make: Any, case: str, expected: str) -> None:
    """One trouble of a flow fires exactly the alert that is meant for it."""
    assert fired(make.overview(make.status(flow_of(make, case)))) == {expected}


def test_what_stands_beside_a_flow_fires_too(make: Any) -> None:
    """A blocked failover, a group without a place and a halted operation each fire their alert."""
    overview = make.overview()
    blocked = {flow: replace(one, answer=Answer.NO) for flow, one in overview.readiness.items()}
    halted = make.operation(make.record("operation", "requested", number=0), state=OperationState.HALTED)
    groups = {"orders": (make.group(grade=Grade.UNAVAILABLE, reread=None),)}
    assert fired(replace(overview, readiness=blocked)) == {"ReplicatorNotReady"}
    assert fired(replace(overview, operations=(halted,))) == {"ReplicatorOperationHalted"}
    assert fired(replace(overview, groups=groups)) == {"ReplicatorGroupsUnplaced"}


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        (OutagePhase.NONE, set()),
        (OutagePhase.SUSPECTED, {"ReplicatorOutageSuspected"}),
        (OutagePhase.CONFIRMED, {"ReplicatorOutageConfirmed"}),
    ],
)
def test_what_is_made_of_an_outage_fires(make: Any, phase: OutagePhase, expected: set[str]) -> None:
    """A source that is read fires nothing; signs that do not add up, and an outage, each fire their own."""
    overview = make.overview()
    advice = {flow: Advice(flow=flow, phase=phase, since=None) for flow in overview.readiness}
    assert fired(replace(overview, advice=advice)) == expected


@pytest.mark.parametrize(
    ("name", "is_open", "expected"),
    [
        ("flow_runs", True, set()),
        ("flow_runs", None, set()),
        ("flow_runs", False, {"ReplicatorGateClosed"}),
        ("drilled_lately", False, set()),
    ],
)
def test_a_closed_gate_fires(make: Any, name: str, is_open: bool | None, expected: set[str]) -> None:
    """A closed gate fires, one that is open or unknown does not; that nobody rehearsed is another alert's matter."""
    overview = make.overview()
    gates = (Gate(name=name, is_open=is_open, told="so"), Gate(name="standby_is_free", is_open=True, told="so"))
    flows = {flow.flow: flow for flow in overview.status.flows}
    found = {
        flow: decide_forecast(one, loss=None, groups=None, facts=NO_FACTS, now=overview.status.computed_at)
        for flow, one in flows.items()
    }
    forecasts = {flow: replace(one, gates=gates) for flow, one in found.items() if one is not None}
    assert forecasts
    assert fired(replace(overview, forecasts=forecasts)) == expected


def test_time_that_passes_fires(make: Any) -> None:
    """When nothing is computed any more the supervisor, its loops and its record are told as old."""
    old = fired(make.overview(), later_seconds=120)
    assert {"ReplicatorStatusOld", "ReplicatorBlind", "ReplicatorObservationsOld"} <= old


def test_a_supervisor_that_stands_by_is_not_blind(make: Any) -> None:
    """Loops that rest because another supervisor leads fire nothing; those of a leader do."""
    status = make.status(make.flow(role=Role.STANDBY, recorded_at=None))
    resting = replace(status.collectors[0], succeeded_at=status.computed_at - timedelta(minutes=5))
    assert fired(make.overview(replace(status, collectors=(resting,)))) == set()
    leading = replace(make.status(), collectors=(resting,))
    assert fired(make.overview(leading)) == {"ReplicatorBlind"}


def test_no_supervisor_at_all_fires() -> None:
    """An empty scrape fires the alert that watches the watcher, and only that."""
    assert set(firing_alerts(Scrape.parse("", at=0.0))) == {"ReplicatorDown"}


def test_alerts_read_only_what_is_rendered() -> None:
    """Every metric an alert reads is one of ours; names are unique and each says what comes next."""
    assert len({alert.name for alert in ALERTS}) == len(ALERTS)
    for alert in ALERTS:
        assert alert.condition.names() <= set(BY_NAME), alert.name
        assert alert.severity in ("critical", "warning", "info")
        assert alert.description.endswith(".")


def test_the_files_are_what_the_code_makes() -> None:
    """The rules and the dashboard in configs/ are not older than the code."""
    assert (CONFIGS / RULES_FILE).read_text() == rules_text()
    assert (CONFIGS / DASHBOARD_FILE).read_text() == dashboard_text()


def test_the_rule_file_is_yaml_with_every_alert() -> None:
    """The file is read back as YAML and holds each alert with its expression."""
    document = YAML(typ="safe").load(rules_text())
    rules = document["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == [alert.name for alert in ALERTS]
    assert all(rule["expr"] and rule["for"] and rule["annotations"]["summary"] for rule in rules)


def test_the_dashboard_fits_its_grid() -> None:
    """Panels have their own ids and do not overlap, and each has a query."""
    panels = json.loads(dashboard_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert taken.isdisjoint(cells), panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
        assert panel["targets"]
