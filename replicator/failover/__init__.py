"""Runbooks that move a flow's clients to the other cluster, and the engine that alone runs them.

Owns the lists and their steps, what a move costs (loss, re-reads, time) and the report computed from the
journal. It never acts without the lease, never guesses what it could not read, and never accepts an
override that nobody named.
"""

from replicator.failover.access import application_rules, missing_rules, staged_rules
from replicator.failover.engine.crash import crashpoint_from, never_crash
from replicator.failover.engine.engine import ForeseenStep, Onlooker, StepEvent, nobody_looks
from replicator.failover.engine.runbook import Runbook, Step
from replicator.failover.failback.seams import reverse_of
from replicator.failover.fences import standing_fences
from replicator.failover.fences.telling import Fence
from replicator.failover.forecasting import (
    Asking,
    Forecast,
    Gate,
    GateFacts,
    MissingRight,
    MovePlan,
    Sides,
    ask_sides,
    decide_gates,
    expected_rto,
    forecast_failover,
    last_drill,
    make_plan,
    plan_from,
    require_same,
)
from replicator.failover.groups.moves import Outcome
from replicator.failover.hooks import HookCommand
from replicator.failover.launch import Order, abort_operation, rehearse_operation, run_operation
from replicator.failover.loss import SourceWatch, account_loss, unknown_window_seconds
from replicator.failover.report import GroupReport, OperationReport, OrphanReport, report_of, rto_told
from replicator.failover.runbooks import DRILL, FAILBACK, FAILOVER, RUNBOOKS, SWITCHOVER, runbook_of
from replicator.failover.world import (
    Capture,
    Choices,
    FenceGrade,
    Fencing,
    HasSnapshot,
    Identity,
    KeepHead,
    Override,
    Worker,
    World,
)

__all__ = [
    "DRILL",
    "FAILBACK",
    "FAILOVER",
    "RUNBOOKS",
    "SWITCHOVER",
    "Asking",
    "Capture",
    "Choices",
    "Fence",
    "FenceGrade",
    "Fencing",
    "Forecast",
    "ForeseenStep",
    "Gate",
    "GateFacts",
    "GroupReport",
    "HasSnapshot",
    "HookCommand",
    "Identity",
    "KeepHead",
    "MissingRight",
    "MovePlan",
    "Onlooker",
    "OperationReport",
    "Order",
    "OrphanReport",
    "Outcome",
    "Override",
    "Runbook",
    "Sides",
    "SourceWatch",
    "Step",
    "StepEvent",
    "Worker",
    "World",
    "abort_operation",
    "account_loss",
    "application_rules",
    "ask_sides",
    "crashpoint_from",
    "decide_gates",
    "expected_rto",
    "forecast_failover",
    "last_drill",
    "make_plan",
    "missing_rules",
    "never_crash",
    "nobody_looks",
    "plan_from",
    "rehearse_operation",
    "report_of",
    "require_same",
    "reverse_of",
    "rto_told",
    "run_operation",
    "runbook_of",
    "staged_rules",
    "standing_fences",
    "unknown_window_seconds",
]
