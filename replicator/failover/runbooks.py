"""The lists. Read one aloud, and you know what will happen."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from replicator.errors import UsageError
from replicator.failover.drill import CLEAN_UP, CLONE, COMPARE, DRILL_CUT
from replicator.failover.engine.runbook import Runbook
from replicator.failover.failback import (
    EXPORT_ORPHANS,
    RECONCILE,
    SEED_FORWARD,
    SEED_REVERSE,
    START_FORWARD,
    START_REVERSE,
)
from replicator.failover.planned import COPY_HEAD, DRAIN, FENCE_LOST, FENCE_SOURCE, SURVEY_BOTH, SURVEY_WHOLE
from replicator.failover.steps import (
    COMMIT,
    CUT,
    FENCE_MM2,
    HOLD_LEASE,
    PROMOTE,
    REPORT,
    STOP_FLOW,
    SURVEY,
    TRANSLATE,
    VERIFY,
)
from replicator.failover.world import World
from replicator.model.operations import OperationKind

FAILOVER: Runbook[World] = Runbook(
    kind=OperationKind.FAILOVER,
    steps=(
        HOLD_LEASE,
        SURVEY,
        FENCE_LOST,
        STOP_FLOW,
        FENCE_MM2,
        CUT,
        TRANSLATE,
        COMMIT,
        PROMOTE,
        VERIFY,
        REPORT,
    ),
)

SWITCHOVER: Runbook[World] = Runbook(
    kind=OperationKind.SWITCHOVER,
    steps=(
        HOLD_LEASE,
        SURVEY_WHOLE,
        FENCE_SOURCE,
        DRAIN,
        STOP_FLOW,
        FENCE_MM2,
        CUT,
        TRANSLATE,
        COMMIT,
        PROMOTE,
        VERIFY,
        COPY_HEAD,
        REPORT,
    ),
)

FAILBACK: Runbook[World] = Runbook(
    kind=OperationKind.FAILBACK,
    steps=(
        HOLD_LEASE,
        SURVEY_BOTH,
        RECONCILE,
        EXPORT_ORPHANS,
        SEED_REVERSE,
        START_REVERSE,
        FENCE_SOURCE,
        DRAIN,
        STOP_FLOW,
        FENCE_MM2,
        CUT,
        TRANSLATE,
        COMMIT,
        PROMOTE,
        VERIFY,
        COPY_HEAD,
        SEED_FORWARD,
        START_FORWARD,
        REPORT,
    ),
)

DRILL: Runbook[World] = Runbook(
    kind=OperationKind.DRILL,
    steps=(
        HOLD_LEASE,
        SURVEY_BOTH,
        DRILL_CUT,
        TRANSLATE,
        CLONE,
        COMPARE,
        CLEAN_UP,
        REPORT,
    ),
)

RUNBOOKS: Mapping[OperationKind, Runbook[World]] = MappingProxyType(
    {runbook.kind: runbook for runbook in (FAILOVER, SWITCHOVER, FAILBACK, DRILL)}
)


def runbook_of(kind: OperationKind) -> Runbook[World]:
    """Return the list of one kind of operation.

    Raises:
        UsageError: this version has none.
    """
    found = RUNBOOKS.get(kind)
    if found is None:
        raise UsageError(f"this version has no runbook for {kind.value}", hint="replicator version")
    return found
