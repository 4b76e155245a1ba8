"""The alerts we ship. Each says what it means and which command comes next; thresholds are the objectives'."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.supervisor.metrics.expressions import (
    Above,
    Absent,
    Age,
    Condition,
    Is,
    Rises,
    Scrape,
    Series,
    Times,
    Unless,
)

WEEK_SECONDS = 7 * 86_400
MONTH_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `lasting` is how long it must hold; texts may name labels as `{{ $labels.flow }}`."""

    name: str
    condition: Condition
    lasting: str
    severity: str
    summary: str
    description: str

    def fires(self, scrape: Scrape) -> list[dict[str, str]]:
        """Return the labels for which the condition holds in one scrape, however short a time."""
        return self.condition.firing(scrape)


def _series(name: str, **labels: str) -> Series:
    return Series(f"replicator_{name}", labels)


ALERTS = (
    Alert(
        "ReplicatorDown",
        Absent(_series("build_info")),
        "2m",
        "critical",
        "no supervisor is scraped",
        "Nothing observes or heals. A failover still works without it: `replicator failover FLOW --confirm FLOW`.",
    ),
    Alert(
        "ReplicatorStatusOld",
        Above(Age(_series("status_timestamp_seconds")), 30),
        "1m",
        "critical",
        "the supervisor computes no status any more",
        "Its figures are old. See its log, and start it again.",
    ),
    Alert(
        "ReplicatorBlind",
        # A supervisor that stands by leaves the source to the one that leads: its loops rest.
        Unless(
            Above(Age(_series("collect_last_success_timestamp_seconds")), Times(30, _series("collect_period_seconds"))),
            Is(_series("flow_role", role="standby"), 1),
            "flow",
        ),
        "1m",
        "critical",
        "{{ $labels.collector }} of {{ $labels.flow }} sees nothing",
        "Lag is unknown, not fine. `replicator doctor` names the cause.",
    ),
    Alert(
        "ReplicatorClusterUnreachable",
        Is(_series("cluster_reachable"), 0),
        "30s",
        "critical",
        "{{ $labels.cluster }} of flow {{ $labels.flow }} does not answer",
        "If it is the source and will not come back: `replicator failover {{ $labels.flow }} --dry-run`.",
    ),
    Alert(
        "ReplicatorOutageConfirmed",
        Is(_series("outage_phase", phase="confirmed"), 1),
        "0s",
        "critical",
        "the source of flow {{ $labels.flow }} is lost: every probe has agreed for long enough",
        "`replicator status {{ $labels.flow }}` names each sign and the command that is advised: "
        "`replicator failover {{ $labels.flow }} --dry-run` says what it would cost.",
    ),
    Alert(
        "ReplicatorOutageSuspected",
        Is(_series("outage_phase", phase="suspected"), 1),
        "5m",
        "warning",
        "some probes of flow {{ $labels.flow }} see its source and others do not",
        "A network between them, or a source that flaps: `replicator status {{ $labels.flow }}` names each sign.",
    ),
    Alert(
        "ReplicatorFlowUnknown",
        Is(_series("flow_state", state="UNKNOWN"), 1),
        "1m",
        "critical",
        "flow {{ $labels.flow }} cannot be seen",
        "Source, target or Connect cannot be read: `replicator status {{ $labels.flow }}` says which.",
    ),
    Alert(
        "ReplicatorFlowStalled",
        Is(_series("flow_state", state="STALLED"), 1),
        "1m",
        "critical",
        "flow {{ $labels.flow }} stands still while its source moves",
        "`replicator status {{ $labels.flow }}` names the cause that was probed.",
    ),
    Alert(
        "ReplicatorFlowFailed",
        Is(_series("flow_state", state="FAILED"), 1),
        "30s",
        "critical",
        "flow {{ $labels.flow }} failed and its restarts are spent",
        "`replicator flow show {{ $labels.flow }}` shows the trace; `replicator flow restart {{ $labels.flow }}`.",
    ),
    Alert(
        "ReplicatorFlowDegraded",
        Is(_series("flow_state", state="DEGRADED"), 1),
        "5m",
        "warning",
        "flow {{ $labels.flow }} is degraded",
        "A gap, a re-created topic, or failed tasks: `replicator status {{ $labels.flow }}`.",
    ),
    Alert(
        "ReplicatorFlowStopped",
        Is(_series("flow_state", state="STOPPED"), 1),
        "1h",
        "warning",
        "flow {{ $labels.flow }} is stopped: nothing is mirrored",
        "`replicator status {{ $labels.flow }}` says by whom; `replicator flow resume {{ $labels.flow }}`.",
    ),
    Alert(
        "ReplicatorFlowPaused",
        Is(_series("flow_state", state="PAUSED"), 1),
        "1h",
        "warning",
        "flow {{ $labels.flow }} is paused: records wait at the source",
        "`replicator flow resume {{ $labels.flow }}` before retention deletes what waits.",
    ),
    Alert(
        "ReplicatorTaskFailed",
        Above(_series("connector_tasks", state="FAILED"), 0),
        "2m",
        "warning",
        "{{ $value }} tasks of {{ $labels.connector }} failed",
        "Healing restarts them within a budget: `replicator flow show {{ $labels.flow }}` shows the trace.",
    ),
    Alert(
        "ReplicatorRPOBreached",
        Above(_series("rpo_estimate_seconds"), _series("rpo_target_seconds")),
        "1m",
        "critical",
        "flow {{ $labels.flow }} is further behind than promised",
        "`replicator lag {{ $labels.flow }}` names the topics furthest behind.",
    ),
    Alert(
        "ReplicatorNotReady",
        Is(_series("failover_ready"), 0),
        "10m",
        "warning",
        "flow {{ $labels.flow }} could not fail over now",
        "`replicator failover {{ $labels.flow }} --dry-run` says what blocks it.",
    ),
    Alert(
        "ReplicatorGateClosed",
        # A flow that was never rehearsed has that gate closed; ReplicatorDrillOverdue speaks of rehearsals.
        Unless(
            Is(_series("failover_gate_open"), 0), Is(_series("failover_gate_open", gate="drilled_lately"), 0), "gate"
        ),
        "10m",
        "warning",
        "a failover of flow {{ $labels.flow }} would not go well: {{ $labels.gate }}",
        "`replicator forecast {{ $labels.flow }}` says why, with the command that mends it.",
    ),
    Alert(
        "ReplicatorGroupsUnplaced",
        Above(_series("groups", grade="UNAVAILABLE"), 0),
        "10m",
        "warning",
        "{{ $value }} groups of flow {{ $labels.flow }} have no place on the standby",
        "`replicator group list {{ $labels.flow }}` lists them.",
    ),
    Alert(
        "ReplicatorObservationsOld",
        Above(Age(_series("recorded_timestamp_seconds")), 60),
        "1m",
        "critical",
        "the standby is not told what the source of {{ $labels.flow }} looks like",
        "A failover without this supervisor would know less. `replicator doctor` names the cause.",
    ),
    Alert(
        "ReplicatorOperationHalted",
        Above(_series("operation_halted"), 0),
        "0s",
        "critical",
        "a {{ $labels.kind }} of flow {{ $labels.flow }} stands still midway",
        "`replicator op list`, then `replicator op resume ID` or `replicator op abort ID`.",
    ),
    Alert(
        "ReplicatorConfigDrift",
        Above(_series("config_drift"), 0),
        "15m",
        "warning",
        "flow {{ $labels.flow }} is not as configured ({{ $labels.kind }})",
        "`replicator plan {{ $labels.flow }}` shows the difference, `replicator apply {{ $labels.flow }}` removes it.",
    ),
    Alert(
        "ReplicatorRestartLoop",
        Rises(_series("connector_restarts_total"), "15m"),
        "30m",
        "warning",
        "{{ $labels.connector }} is restarted again and again",
        "`replicator flow show {{ $labels.flow }}` shows the trace.",
    ),
    Alert(
        "ReplicatorScheduleMissed",
        Rises(_series("schedule_missed_total"), "1h"),
        "0s",
        "warning",
        "schedule {{ $labels.schedule }} missed a run",
        "`replicator schedule list` shows the last error.",
    ),
    Alert(
        "ReplicatorScheduleLate",
        Above(Age(_series("schedule_next_run_timestamp_seconds")), 900),
        "0s",
        "warning",
        "schedule {{ $labels.schedule }} should have run",
        "`replicator schedule run {{ $labels.schedule }}` runs it now.",
    ),
    Alert(
        "ReplicatorSnapshotUnverified",
        Above(Age(_series("snapshot_last_verify_timestamp_seconds")), WEEK_SECONDS),
        "0s",
        "warning",
        "no snapshot of flow {{ $labels.flow }} was verified for a week",
        "`replicator snapshot verify latest`.",
    ),
    Alert(
        "ReplicatorDrillOverdue",
        Above(Age(_series("drill_last_success_timestamp_seconds")), MONTH_SECONDS),
        "0s",
        "info",
        "flow {{ $labels.flow }} was not rehearsed for a month",
        "`replicator drill {{ $labels.flow }}`.",
    ),
)
"""In the order of the file: what watches the watcher first."""


def rules_document() -> dict[str, object]:
    """Return the alerts as a Prometheus rule file holds them."""
    rules = [
        {
            "alert": alert.name,
            "expr": alert.condition.promql(),
            "for": alert.lasting,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "description": alert.description},
        }
        for alert in ALERTS
    ]
    return {"groups": [{"name": "replicator", "rules": rules}]}


def firing_alerts(scrape: Scrape) -> dict[str, list[dict[str, str]]]:
    """Return the alerts whose condition holds in one scrape, and for which labels."""
    fired = {alert.name: alert.fires(scrape) for alert in ALERTS}
    return {name: labels for name, labels in fired.items() if labels}
