"""Every series we publish: its name, type, labels and meaning. Nothing else may be rendered.

Units end the name; a moment is published as a timestamp, and whoever reads it takes the age; a state is one
series per state, of which exactly one is 1.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `kind`: gauge, counter or histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]
    help: str


def _gauge(name: str, labels: str, text: str) -> Family:
    return Family(f"replicator_{name}", "gauge", tuple(labels.split()), text)


def _counter(name: str, labels: str, text: str) -> Family:
    return Family(f"replicator_{name}", "counter", tuple(labels.split()), text)


FAMILIES = (
    _gauge("build_info", "version supervisor", "1; which version runs."),
    _gauge("start_timestamp_seconds", "", "When this supervisor started."),
    _gauge("status_timestamp_seconds", "", "When the status shown here was computed."),
    _gauge("flow_info", "flow source target", "1; for joins."),
    _gauge("flow_state", "flow state", "1 for the state the flow is in, 0 for every other."),
    _gauge("flow_role", "flow role", "1 for what this supervisor is to the flow."),
    _gauge("active_cluster", "flow cluster", "1 for the active cluster of the flow, 0 for the other."),
    _gauge("flow_lag_seconds", "flow", "Largest lag over partitions; absent while the source cannot be read."),
    _gauge("flow_lag_records", "flow", "Source offsets not mirrored yet, an upper bound; absent while unknown."),
    _gauge("flow_rate_in_records_per_second", "flow", "Records per second arriving at the source."),
    _gauge("flow_rate_out_records_per_second", "flow", "Records per second mirrored."),
    _gauge(
        "last_replicated_timestamp_seconds",
        "flow",
        "Everything the source held at this moment was mirrored; absent while lag is unknown.",
    ),
    _gauge("stalled_partitions", "flow", "Partitions whose source end moves and whose mirrored position does not."),
    _gauge("rpo_target_seconds", "flow", "The objective; absent without one."),
    _gauge("rpo_estimate_seconds", "flow", "Lag, or the seconds since the source was last read where lag is unknown."),
    _gauge("objective_held", "flow objective", "1 if the objective holds, 0 if not; absent while it cannot be known."),
    _gauge("heartbeat_sent_timestamp_seconds", "flow", "When the last heartbeat was written to the source."),
    _gauge(
        "heartbeat_timestamp_seconds",
        "flow",
        "When the newest heartbeat was sent that was mirrored to the target; absent: none yet.",
    ),
    _gauge("recorded_timestamp_seconds", "flow", "When observations last reached the standby."),
    _gauge("failover_ready", "flow", "1 if a failover would work now, at whatever cost; 0 if something blocks it."),
    _gauge("check_ok", "flow check", "1 if what is asked before a failover holds, 0 if not; absent while unknown."),
    _gauge("failover_known_lost_records", "flow", "Records known to be lost by a failover now."),
    _gauge("failover_possible_lost_records_max", "flow", "Records a failover now loses at most; absent while unknown."),
    _gauge("failover_lost_seconds_max", "flow", "The span in which a failover now may lose records; absent: unknown."),
    _gauge("failover_replay_records_max", "flow", "Records all groups read twice at most after a failover now."),
    _gauge("failover_groups_unavailable", "flow", "Groups that a failover now could not set on some partition."),
    _gauge("failover_expected_rto_seconds", "flow", "Median time of the flow's last moves and drills."),
    _gauge("failover_gate_open", "flow gate", "1 if the gate is open, 0 if it is closed; absent while unknown."),
    _gauge("outage_phase", "flow phase", "1 for what is made of an outage of the source: none, suspected, confirmed."),
    _gauge("retention_runway_seconds", "flow", "Until the oldest record not mirrored is deleted at the source."),
    _gauge("unknown_window_seconds", "flow", "Seconds of the source's writes that nobody has read."),
    _gauge("cluster_reachable", "flow cluster", "1 if the cluster answers."),
    _gauge("cluster_last_reached_timestamp_seconds", "flow cluster", "When the cluster was last read whole."),
    _gauge(
        "connector_state", "flow connector state", "1 for what Connect says of the connector; no proof of progress."
    ),
    _gauge("connector_tasks", "flow connector state", "Tasks in each state."),
    _counter(
        "connector_restarts_total",
        "flow connector reason",
        "Restarts of what had failed, the connector or a task, since the supervisor started.",
    ),
    _gauge("config_drift", "flow kind", "Things that are not as the configuration says; absent while not looked for."),
    _gauge("topics", "flow status", "Topics the flow carries, and those of them that are stalled, unknown or drifted."),
    _gauge("groups", "flow grade", "Consumer groups by grade of translation, and those already active on the target."),
    _gauge("collect_period_seconds", "collector flow cluster", "How often the loop looks."),
    _gauge("collect_last_success_timestamp_seconds", "collector flow cluster", "When the loop last saw all it wants."),
    _gauge("collect_duration_seconds", "collector flow cluster", "How long its last whole step took."),
    _counter("collect_errors_total", "collector flow cluster reason", "Steps that failed, by the code of the error."),
    _gauge("operation_in_progress", "flow kind", "Operations that run."),
    _gauge("operation_halted", "flow kind", "Operations that stand still midway and wait for a command."),
    _counter("operations_total", "flow kind outcome", "Operations that ended, as the journal tells."),
    Family(
        "replicator_operation_duration_seconds", "histogram", ("kind",), "From request to end, as the journal tells."
    ),
    Family(
        "replicator_operation_step_duration_seconds",
        "histogram",
        ("kind", "step"),
        "From a step's last intent to its end, as the journal tells.",
    ),
    _gauge("drill_last_success_timestamp_seconds", "flow", "When the last drill that succeeded ended."),
    _gauge("drill_rto_seconds", "flow", "Recovery time that the last drill that succeeded has measured."),
    _gauge("snapshots", "", "Snapshots in the catalog."),
    _gauge("repository_bytes", "", "What the snapshots of the catalog added to the repository."),
    _counter("repository_errors_total", "reason", "Looks at the catalog that failed, by what the store answered."),
    _gauge("snapshot_last_success_timestamp_seconds", "flow", "When the newest snapshot was taken."),
    _gauge("snapshot_last_verify_timestamp_seconds", "flow", "When a snapshot was last verified and found sound."),
    _gauge("snapshot_duration_seconds", "flow", "How long the capture of the newest snapshot took."),
    _gauge("snapshot_bytes", "flow", "Size of the newest snapshot."),
    _gauge("snapshot_gaps", "flow", "Gaps in the newest snapshot."),
    _gauge("schedule_next_run_timestamp_seconds", "schedule flow", "When the schedule runs next."),
    _gauge("schedule_last_success_timestamp_seconds", "schedule flow", "When it last ran well."),
    _gauge("schedule_duration_seconds", "schedule flow", "How long its last run took."),
    _counter("schedule_missed_total", "schedule flow", "Runs that should have been and were not."),
    _counter("http_requests_total", "route code", "Answers of the API; a path that is no route's is `other`."),
    _counter("replicated_records_total", "flow topic partition", "Source offsets mirrored, markers included."),
    _gauge("lag_seconds", "flow topic partition", "Lag, the largest over a topic's partitions; absent while unknown."),
    _gauge("lag_records", "flow topic partition", "Source offsets not mirrored yet; absent while unknown."),
    _gauge("group_lag_records", "flow group", "Records the group has not read on the source."),
    _gauge(
        "checkpoint_timestamp_seconds", "flow group", "When the positions were read from which the group is translated."
    ),
    _gauge(
        "group_replay_records", "flow group", "Records the group reads twice at most if moved now; absent: unknown."
    ),
    _gauge("series_dropped", "", "Series left out of this answer because there are too many."),
)
"""In the order they are rendered: where there are too many series, the last are left out."""

BY_NAME = {family.name: family for family in FAMILIES}
