"""The rule file and the dashboard as they ship: every expression is read, and judged over what a supervisor serves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import FlowState
from replicator.model.operations import OperationState
from replicator.model.supervision.overview import Overview
from replicator.model.supervision.status import Restarted
from replicator.supervisor.metrics import render_metrics
from replicator.supervisor.metrics.alerts import ALERTS
from replicator.supervisor.metrics.export import DASHBOARD_FILE, RULES_FILE
from replicator.supervisor.metrics.expressions import Scrape
from replicator.supervisor.metrics.families import BY_NAME
from tests.promql import Refused, Scraped, evaluate, names_in, parse_scrape

ROOT = Path(__file__).parents[3]
RULES = YAML(typ="safe").load((ROOT / "configs" / RULES_FILE).read_text())["groups"][0]["rules"]
PANELS = json.loads((ROOT / "configs" / DASHBOARD_FILE).read_text())["panels"]
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]
}


def scraped(overview: Overview, *, later_seconds: float = 1.0) -> Scraped:
    """Return what a supervisor serves of an overview, so long after it."""
    at = overview.status.computed_at.timestamp() + later_seconds
    return parse_scrape(render_metrics(overview).decode(), at=at)


def fired(*scrapes: Scraped) -> set[str]:
    """Return the alerts of the rule file that hold at the last scrape."""
    return {rule["alert"] for rule in RULES if evaluate(rule["expr"], scrapes)}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_each_expression_reads_only_what_is_rendered(name: str) -> None:
    """Every metric of a rule or a panel is a family of ours, and every label it narrows by is one of that family."""
    metrics, labels = names_in(EXPRESSIONS[name])
    assert metrics
    assert metrics <= set(BY_NAME)
    assert all(label in BY_NAME[metric].labels for metric, label in labels)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_each_text_names_only_labels_that_its_series_have(rule: dict[str, Any]) -> None:
    """`{{ $labels.x }}` in a summary or description is a label of what the rule reads."""
    words = f"{rule['annotations']['summary']} {rule['annotations']['description']}"
    told = {part.partition(" ")[0] for part in words.split("$labels.")[1:]}
    metrics, _ = names_in(rule["expr"])
    assert told <= {label for metric in metrics for label in BY_NAME[metric].labels}
    assert set(rule["for"]) <= set("0123456789smh")
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


@pytest.mark.parametrize(
    "text", ["replicator_flow_state{", "rate(x[5m])", "x > > 1", "1 2", "sum(x)", 'x{a!="b"}', "x[5m]", "é"]
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    """An expression outside of the grammar is refused, never taken for one that does not hold."""
    with pytest.raises(Refused):
        evaluate(text, [Scraped(at, {"x": {frozenset(): 1.0}}) for at in (0.0, 1.0)])


@pytest.mark.parametrize("state", list(FlowState))
def test_the_text_means_what_the_value_means(make: Any, state: FlowState) -> None:
    """The PromQL of each alert holds for the same labels as the expression that it was rendered from."""
    overview = make.overview(make.status(make.flow(state=state, lag=make.lag(seconds=31.0))))
    for later_seconds in (1.0, 120.0):
        now = scraped(overview, later_seconds=later_seconds)
        one = Scrape(now.samples, now.at)
        for alert in ALERTS:
            text = evaluate(alert.condition.promql(), [now])
            assert sorted(map(str, text)) == sorted(map(str, alert.fires(one))), alert.name


def test_the_first_restart_is_a_rise(make: Any) -> None:
    """A connector never restarted is counted as 0, so that its first restart rises, and a restarted process resets."""
    connector = ConnectorStatus(name="orders.source", state=ConnectorState.RUNNING, worker="w", tasks=())
    calm = make.overview(make.status(make.flow(connectors=(connector,))))
    restarted = make.overview(
        make.status(make.flow(connectors=(connector,), restarts={Restarted("orders.source", "task"): 1}))
    )
    before = scraped(calm, later_seconds=0.0)
    assert "ReplicatorRestartLoop" not in fired(before, scraped(calm))
    assert "ReplicatorRestartLoop" in fired(before, scraped(restarted))


def test_a_failed_task_and_a_halted_operation(make: Any) -> None:
    """Read from the file alone, a failed task and a halted operation each fire their alert and no other."""
    task = TaskStatus(id=0, state=ConnectorState.FAILED, worker="w", trace="no")
    failed = ConnectorStatus(name="orders.source", state=ConnectorState.RUNNING, worker="w", tasks=(task,))
    assert fired(scraped(make.overview())) == set()
    assert fired(scraped(make.overview(make.status(make.flow(connectors=(failed,)))))) == {"ReplicatorTaskFailed"}
    halted = make.operation(make.record("operation", "requested", number=0), state=OperationState.HALTED)
    assert fired(scraped(replace(make.overview(), operations=(halted,)))) == {"ReplicatorOperationHalted"}


def test_the_stage_of_containers_loads_these_files() -> None:
    """Prometheus and Grafana of the compose stage look where the files are written."""
    prometheus = YAML(typ="safe").load((ROOT / "compose/config/prometheus.yaml").read_text())
    grafana = YAML(typ="safe").load((ROOT / "compose/config/grafana/dashboards/replicator.yaml").read_text())
    mounted = "/etc/replicator/configs"
    assert f"{mounted}/{Path(RULES_FILE).parent}/*.yaml" in prometheus["rule_files"]
    assert grafana["providers"][0]["options"]["path"] == f"{mounted}/{Path(DASHBOARD_FILE).parent}"
    assert f"../configs:{mounted}:ro" in (ROOT / "compose/compose.yaml").read_text()
