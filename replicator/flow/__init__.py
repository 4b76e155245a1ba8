"""A flow as it should be and as it is: plan, apply, control, heartbeat, mirrored positions, lag, health.

Owns every decision about one source → target replication that is not a failover. Never moves data itself, never
commits a group's offset, never starts what somebody stopped, and never believes a connector's RUNNING.
"""

from replicator.flow.control import check_pausable, connectors_of, pause_flow, restart_flow, resume_flow, stop_flow
from replicator.flow.handles import FlowHandles
from replicator.flow.health import FlowHealth, HealthFacts, decide_health, find_damage, lag_verdicts
from replicator.flow.heartbeat import FlowHeartbeat
from replicator.flow.holding import hold_flow
from replicator.flow.look import FlowLook, look_at_flow
from replicator.flow.measuring.peaks import PEAK_DAYS, PeakTrail
from replicator.flow.measuring.series import LagObservation, LagRules, LagSeries, flow_lag, unknown_lag
from replicator.flow.planning.apply import apply_plan, require_applicable
from replicator.flow.planning.changes import Act, Change, Difference, Plan, Refusal
from replicator.flow.planning.decide import config_differences, plan_flow
from replicator.flow.planning.desired import HEARTBEATS, DesiredFlow, desired_flow, remote_configs, travelling_topics
from replicator.flow.planning.facts import ClusterFacts, ConnectFacts, FlowFacts, FlowWiring, JournalFacts
from replicator.flow.planning.read import read_cluster, read_facts
from replicator.flow.positions import MirroredPositions, read_positions

__all__ = [
    "HEARTBEATS",
    "PEAK_DAYS",
    "Act",
    "Change",
    "ClusterFacts",
    "ConnectFacts",
    "DesiredFlow",
    "Difference",
    "FlowFacts",
    "FlowHandles",
    "FlowHealth",
    "FlowHeartbeat",
    "FlowLook",
    "FlowWiring",
    "HealthFacts",
    "JournalFacts",
    "LagObservation",
    "LagRules",
    "LagSeries",
    "MirroredPositions",
    "PeakTrail",
    "Plan",
    "Refusal",
    "apply_plan",
    "check_pausable",
    "config_differences",
    "connectors_of",
    "decide_health",
    "desired_flow",
    "find_damage",
    "flow_lag",
    "hold_flow",
    "lag_verdicts",
    "look_at_flow",
    "pause_flow",
    "plan_flow",
    "read_cluster",
    "read_facts",
    "read_positions",
    "remote_configs",
    "require_applicable",
    "restart_flow",
    "resume_flow",
    "stop_flow",
    "travelling_topics",
    "unknown_lag",
]
