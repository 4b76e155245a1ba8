"""Runs a runbook: check, intent, act, proof, step by step; forward, backward, or in rehearsal.

Owns the order of things, the operation's own view of the journal, and the kill points. It knows no cluster
and no flow: what a step acts upon is the step's affair.
"""

from replicator.failover.engine.crash import crashpoint_from, never_crash
from replicator.failover.engine.engine import Engine, ForeseenStep, Onlooker, StepEvent, nobody_looks, rehearse
from replicator.failover.engine.logbook import Logbook, Request
from replicator.failover.engine.runbook import Runbook, Step

__all__ = [
    "Engine",
    "ForeseenStep",
    "Logbook",
    "Onlooker",
    "Request",
    "Runbook",
    "Step",
    "StepEvent",
    "crashpoint_from",
    "never_crash",
    "nobody_looks",
    "rehearse",
]
