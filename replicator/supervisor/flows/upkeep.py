"""Keeps groups on the standby ready: positions do not expire there, and deleted groups go where that is wanted."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import PreflightBlocked
from replicator.failover.groups import Decision, Upkeep, decide_upkeep
from replicator.kafka import KafkaCluster
from replicator.log import get_logger
from replicator.model.flow import Flow
from replicator.model.names import GroupName
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, GroupTranslation
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.observe.groups import Turns

GROUPS_MAX = 200
"""So many groups are looked at in one step, those looked at longest ago first."""
RETENTION_READ_SECONDS = 300.0
"""How long the cluster keeps positions is asked again after so long."""


class GroupUpkeep:
    """Looks after one flow's groups on its target. One thread at a time."""

    def __init__(self, flow: Flow, target: KafkaCluster, board: FlowBoard, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._flow = flow
        self._target = target
        self._board = board
        self._clock = clock
        self._committed_at: dict[GroupName, float] = {}
        self._looked_at: dict[GroupName, float] = {}
        self._translations: dict[GroupName, GroupTranslation] = {}
        self._retention_seconds: float | None = None
        self._retention_read_at = float("-inf")
        self._turns = Turns(flow, what="looked after on the standby", at_once=GROUPS_MAX)
        self._log = get_logger(flow=flow.name)

    def keep(self, deadline: Deadline) -> None:
        """Leave the next groups in order on the target, as `decide_upkeep` says; nothing during an operation, nor once
        the target is active.

        Raises: what the target refused or failed with; what was done stays done.
        """
        sample = self._board.groups
        if sample is None or self._board.operation_id is not None or self._board.active == self._flow.target:
            return
        self._note_translations()
        self._turns.note(len(sample.groups))
        self._read_retention(deadline)
        chosen = sorted(sample.groups, key=lambda name: (self._looked_at.get(name, float("-inf")), name))[:GROUPS_MAX]
        found = self._target.groups.committed(chosen, deadline)
        for name in chosen:
            self._looked_at[name] = self._clock.monotonic()
            self._carry_out(name, self._decide(found[name], sample.groups), deadline)

    def _read_retention(self, deadline: Deadline) -> None:
        """Ask how long the cluster keeps positions where the last answer is old: a restarted broker may keep them less
        long."""
        if self._clock.monotonic() - self._retention_read_at >= RETENTION_READ_SECONDS:
            self._retention_seconds = self._target.groups.retention_seconds(deadline)
            self._retention_read_at = self._clock.monotonic()

    def _note_translations(self) -> None:
        """Remember where each group resumed last while it had positions: of a deleted group there is nothing to see."""
        known = {} if self._board.translations is None else self._board.translations.translations
        groups = () if self._board.groups is None else self._board.groups.groups
        whole = {name: one for name, one in known.items() if one.grade is not Grade.UNAVAILABLE}
        self._translations = {n: one for n, one in {**self._translations, **whole}.items() if n in groups}

    def _decide(self, seen: GroupObservation, on_source: Mapping[GroupName, GroupObservation]) -> Decision:
        at = self._committed_at.get(seen.group)
        return decide_upkeep(
            seen,
            flow=self._flow,
            is_deleted=on_source[seen.group].state is GroupState.DEAD,
            translation=self._translations.get(seen.group),
            committed_seconds_ago=None if at is None else self._clock.monotonic() - at,
            retention_seconds=self._retention_seconds,
        )

    def _carry_out(self, group: GroupName, decision: Decision, deadline: Deadline) -> None:
        try:
            if decision.act is Upkeep.DELETE:
                self._target.groups.delete([group], deadline)
                self._log.info("group_deleted_on_target", group=group, reason=decision.reason)
            elif decision.act is Upkeep.COMMIT_AGAIN:
                self._target.groups.commit(group, decision.positions, deadline)
                self._committed_at[group] = self._clock.monotonic()
        except PreflightBlocked as error:
            self._log.info("group_left_alone", group=group, reason=error.message)
