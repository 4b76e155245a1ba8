"""One Grafana dashboard, made from the families: can we fail over, how far behind are we, what runs beside it."""

from __future__ import annotations

from typing import Any

from replicator.supervisor.metrics.families import BY_NAME

SCHEMA_VERSION = 39
_WIDTH = 24
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

Panel = dict[str, Any]


def _query(name: str, *, legend: str, wrap: str = "{}") -> dict[str, Any]:
    """Return a target that reads one of our metrics for the chosen flows."""
    family = BY_NAME[f"replicator_{name}"]
    selector = '{flow=~"$flow"}' if "flow" in family.labels else ""
    return {"datasource": _DATASOURCE, "expr": wrap.format(f"{family.name}{selector}"), "legendFormat": legend}


def _panel(kind: str, title: str, *targets: dict[str, Any], unit: str = "short", width: int = 12) -> Panel:
    lettered = [{**target, "refId": chr(ord("A") + place)} for place, target in enumerate(targets)]
    return {
        "type": kind,
        "title": title,
        "datasource": _DATASOURCE,
        "targets": lettered,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "gridPos": {"h": 4 if kind == "stat" else 8, "w": width},
    }


def _panels() -> list[Panel]:
    lag = _query("flow_lag_seconds", legend="{{flow}} lag")
    objective = _query("rpo_target_seconds", legend="{{flow}} objective")
    return [
        _panel("stat", "Can fail over", _query("failover_ready", legend="{{flow}}"), width=6),
        _panel("stat", "Known lost if it did", _query("failover_known_lost_records", legend="{{flow}}"), width=6),
        _panel("stat", "Lost at most", _query("failover_possible_lost_records_max", legend="{{flow}}"), width=6),
        _panel("stat", "Unread", _query("unknown_window_seconds", legend="{{flow}}"), unit="s", width=6),
        _panel("timeseries", "Lag against the objective", lag, objective, unit="s", width=16),
        _panel("table", "States", _query("flow_state", legend="{{flow}} {{state}}", wrap="{} == 1"), width=8),
        _panel(
            "timeseries",
            "Records per second",
            _query("flow_rate_in_records_per_second", legend="{{flow}} in"),
            _query("flow_rate_out_records_per_second", legend="{{flow}} out"),
        ),
        _panel(
            "bargauge",
            "Topics furthest behind",
            _query("lag_seconds", legend="{{flow}} {{topic}}", wrap="topk(20, {})"),
            unit="s",
        ),
        _panel("table", "What stands against it", _query("check_ok", legend="{{flow}} {{check}}", wrap="{} == 0")),
        _panel(
            "timeseries",
            "Mirrored until",
            _query("last_replicated_timestamp_seconds", legend="{{flow}}", wrap="time() - {}"),
            unit="s",
        ),
        _panel("timeseries", "Groups by grade", _query("groups", legend="{{flow}} {{grade}}")),
        _panel("timeseries", "Reachable", _query("cluster_reachable", legend="{{flow}} {{cluster}}")),
        _panel("timeseries", "Tasks", _query("connector_tasks", legend="{{connector}} {{state}}", wrap="{} > 0")),
        _panel("timeseries", "Drift", _query("config_drift", legend="{{flow}} {{kind}}")),
        _panel(
            "stat",
            "Since the last snapshot",
            _query("snapshot_last_success_timestamp_seconds", legend="{{flow}}", wrap="time() - {}"),
            unit="s",
            width=8,
        ),
        _panel("stat", "Size of the last snapshot", _query("snapshot_bytes", legend="{{flow}}"), unit="bytes", width=8),
        _panel("stat", "Operations halted", _query("operation_halted", legend="{{flow}} {{kind}}"), width=8),
    ]


def _placed(panels: list[Panel]) -> list[Panel]:
    """Return the panels with ids and places, left to right, row under row."""
    placed, x, y, height = [], 0, 0, 0
    for number, panel in enumerate(panels, start=1):
        size = panel["gridPos"]
        if x + size["w"] > _WIDTH:
            x, y, height = 0, y + height, 0
        placed.append({**panel, "id": number, "gridPos": {**size, "x": x, "y": y}})
        x, height = x + size["w"], max(height, size["h"])
    return placed


def dashboard_document() -> dict[str, Any]:
    """Return the dashboard as Grafana imports it."""
    flows = "label_values(replicator_flow_info, flow)"
    variables = [
        {"name": "datasource", "type": "datasource", "query": "prometheus"},
        {
            "name": "flow",
            "type": "query",
            "datasource": _DATASOURCE,
            "query": {"query": flows, "refId": "flow"},
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
        },
    ]
    return {
        "title": "Replicator: ready to fail over?",
        "uid": "replicator-readiness",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["replicator", "kafka"],
        "timezone": "utc",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables},
        "panels": _placed(_panels()),
    }
