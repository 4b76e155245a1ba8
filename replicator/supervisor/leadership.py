"""Who leads: one supervisor of an id per target cluster acts and records, the others stand by.

The election is a group on the target (the survivor), beside the operation lease, which is another group: a
supervisor that leads never keeps an operation from running, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ReplicatorError
from replicator.kafka import KafkaCluster, Lease
from replicator.log import get_logger
from replicator.model.names import TopicName
from replicator.model.supervision.status import Role

SESSION_SECONDS = 10.0
"""A leader that dies is replaced after this long; one that leaves, at once."""
ANSWER_SECONDS = 5.0


def election_group(*, topic_prefix: str, supervisor_id: str) -> str:
    """Return the group in which supervisors of one id are elected."""
    return f"{topic_prefix}.lease.supervisor.{supervisor_id}"


class Leadership:
    """Takes part in one election, again and again if it must. `keep` is called by one thread only.

    `term` counts how often this process has become the leader.
    """

    def __init__(
        self,
        cluster: KafkaCluster,
        *,
        group: str,
        topic: TopicName,
        ensure_topic: Callable[[Deadline], None],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._topic = topic
        self._ensure_topic = ensure_topic
        self._clock = clock
        self._lease: Lease | None = None
        self._role = Role.UNKNOWN
        self.term = 0
        self._log = get_logger(cluster=cluster.name, election=group)

    @property
    def is_held(self) -> bool:
        """Whether this process leads, as far as the cluster has told it."""
        lease = self._lease
        return lease is not None and lease.is_held

    @property
    def role(self) -> Role:
        """What this process is now: a lease that was taken away is no longer led."""
        return self._role if self._role is not Role.LEADER or self.is_held else Role.UNKNOWN

    def keep(self, deadline: Deadline) -> None:
        """Leave our role known: join the election if we have not, ask again where it failed.

        Raises: what the cluster refused or failed with; the role is UNKNOWN then.
        """
        try:
            role = self._ask(deadline)
        except ReplicatorError:
            self._leave()
            self._set_role(Role.UNKNOWN)
            raise
        self._set_role(role)

    def _ask(self, deadline: Deadline) -> Role:
        if self._lease is None:
            self._ensure_topic(deadline)
            self._lease = self._cluster.elect(self._group, topic=self._topic, session_seconds=SESSION_SECONDS)
        within = Deadline.after(deadline.capped(ANSWER_SECONDS), clock=self._clock)
        if self._lease.wait_for_answer(within):
            return Role.LEADER
        return Role.STANDBY if self._lease.was_answered else Role.UNKNOWN

    def _set_role(self, role: Role) -> None:
        if role is not self._role:
            self._log.info("supervisor_role_changed", role=role.value, was=self._role.value)
            self.term += role is Role.LEADER
            self._role = role

    def _leave(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def close(self) -> None:
        """Leave the election; the next candidate is chosen at once."""
        self._leave()
        self._role = Role.UNKNOWN
