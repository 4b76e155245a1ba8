"""When a failed connector is restarted: at once, later and later, and then not any more; never during an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import OperationFailed
from replicator.model.connectors import Connector, ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName
from replicator.supervisor.decide.heal import HealFacts, HealRules, is_restart_due, is_spent, may_heal
from replicator.supervisor.flows.healer import Healer
from replicator.supervisor.samples import ConnectSample

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
C = ConnectorState
RULES = HealRules(attempts_max=3, window_seconds=900, backoff_seconds=5, backoff_seconds_max=8)
FLOW = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"))
FREE = HealFacts(is_leader=True, is_journal_known=True, has_open_operation=False, is_failed_over=False)


def status(state: ConnectorState = C.RUNNING, *tasks: ConnectorState) -> ConnectorStatus:
    told = tuple(TaskStatus(id=n, state=task, worker="w", trace="Boom") for n, task in enumerate(tasks))
    return ConnectorStatus(name="shop.source", state=state, worker="w", tasks=told)


FAILED = status(C.RUNNING, C.RUNNING, C.FAILED)


def ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=second) for second in seconds]


@pytest.mark.parametrize(
    ("seen", "attempts", "is_due"),
    [
        (FAILED, [], True),
        (status(C.FAILED), [], True),
        (status(C.RUNNING, C.RUNNING), [], False),
        # What somebody stopped or paused is not healed, whatever its tasks say.
        (status(C.STOPPED), [], False),
        (status(C.PAUSED, C.FAILED), [], False),
        # Further and further apart: 5 s after the first, 8 s (the most) after the second.
        (FAILED, ago(4.9), False),
        (FAILED, ago(5.0), True),
        (FAILED, ago(60, 7.9), False),
        (FAILED, ago(60, 8.0), True),
        # The budget: three in a quarter of an hour, whenever the last was.
        (FAILED, ago(800, 700, 600), False),
        (FAILED, ago(901, 700, 600), True),
    ],
)
def test_when_a_restart_is_due(seen: ConnectorStatus, attempts: Sequence[datetime], is_due: bool) -> None:
    """A failure is restarted with backoff and within a budget."""
    assert is_restart_due(seen, attempts, now=NOW, rules=RULES) is is_due


def test_the_budget_refills_as_attempts_grow_old() -> None:
    """Spent means: as many attempts in the window as are allowed."""
    assert is_spent(ago(800, 700, 600), now=NOW, rules=RULES)
    assert not is_spent(ago(901, 700, 600), now=NOW, rules=RULES)


@pytest.mark.parametrize(
    ("change", "may"),
    [
        ({}, True),
        ({"is_leader": False}, False),
        ({"is_journal_known": False}, False),
        ({"has_open_operation": True}, False),
        ({"is_failed_over": True}, False),
    ],
)
def test_healing_is_off_while_it_could_undo_a_fence(change: dict[str, Any], may: bool) -> None:
    """A restarted task takes back the transactional ids that an operation has fenced."""
    assert may_heal(replace(FREE, **change)) is may


class Connect:
    """Counts restarts; they fail as long as `is_broken`."""

    def __init__(self) -> None:
        self.restarted: list[str] = []
        self.is_broken = False

    def restart_failed(self, name: str, deadline: Deadline) -> ConnectorStatus:
        assert not deadline.is_over
        self.restarted.append(name)
        if self.is_broken:
            raise OperationFailed("failed again")
        return status()


class Ward:
    """A healer with its Connect, its clock and what it is told."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock
        self.connect = Connect()
        self.seen = FAILED
        self.facts = FREE
        self.healer = Healer(
            FLOW,
            cast("ConnectClient", self.connect),
            sample=self._sample,
            facts=lambda: self.facts,
            rules=RULES,
            clock=clock,
        )

    def _sample(self) -> ConnectSample:
        return ConnectSample(began_at=self.clock.now(), connectors=(Connector(name="shop.source", status=self.seen),))

    def heal(self) -> None:
        self.healer.heal(Deadline.after(10, clock=self.clock))


def test_a_task_that_fails_for_ever_is_not_restarted_for_ever(clock: Any) -> None:
    """The restarts stop with the budget; then the flow counts as failed, and the count stays told."""
    ward = Ward(clock)
    ward.connect.is_broken = True
    for _ in range(200):
        before = len(ward.connect.restarted)
        try:
            ward.heal()
        except OperationFailed:
            assert len(ward.connect.restarted) == before + 1
        clock.sleep(2)
    assert len(ward.connect.restarted) == 3
    assert ward.healer.restarts == {("shop.source", "task"): 3}
    assert ward.healer.is_budget_spent(clock.now())


def test_a_healed_connector_has_spent_nothing(clock: Any) -> None:
    """What runs again is not failed, however often it was restarted."""
    ward = Ward(clock)
    for _ in range(3):
        ward.heal()
        clock.sleep(60)
    assert ward.healer.is_budget_spent(clock.now())
    ward.seen = status(C.RUNNING, C.RUNNING)
    assert not ward.healer.is_budget_spent(clock.now())


def test_nothing_is_restarted_during_an_operation(clock: Any) -> None:
    """The healer keeps its hands off, and begins again when the operation has ended."""
    ward = Ward(clock)
    ward.facts = replace(FREE, has_open_operation=True)
    ward.heal()
    assert ward.connect.restarted == []
    ward.facts = FREE
    ward.heal()
    assert ward.connect.restarted == ["shop.source"]
