"""What a flow should be against what it is: facts read once, a pure plan with its refusals, and its application.

Owns the rules of one topic, one direction and one writer. Never changes anything while a refusal stands.
"""

from replicator.flow.planning.apply import apply_plan, require_applicable
from replicator.flow.planning.changes import Act, Change, Difference, Plan, Refusal
from replicator.flow.planning.decide import ASKED_STOPPED, LABEL_ASKED, config_differences, plan_flow
from replicator.flow.planning.desired import HEARTBEATS, DesiredFlow, desired_flow, remote_configs, travelling_topics
from replicator.flow.planning.facts import ClusterFacts, ConnectFacts, FlowFacts, FlowWiring, JournalFacts
from replicator.flow.planning.read import read_cluster, read_facts

__all__ = [
    "ASKED_STOPPED",
    "HEARTBEATS",
    "LABEL_ASKED",
    "Act",
    "Change",
    "ClusterFacts",
    "ConnectFacts",
    "DesiredFlow",
    "Difference",
    "FlowFacts",
    "FlowWiring",
    "JournalFacts",
    "Plan",
    "Refusal",
    "apply_plan",
    "config_differences",
    "desired_flow",
    "plan_flow",
    "read_cluster",
    "read_facts",
    "remote_configs",
    "require_applicable",
    "travelling_topics",
]
