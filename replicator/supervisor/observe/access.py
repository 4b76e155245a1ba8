"""Reads which rights the source gives the applications of a flow, so that a promoted standby can give them too."""

from __future__ import annotations

from collections.abc import Collection

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.failover import application_rules
from replicator.kafka import KafkaCluster
from replicator.model.acls import EVERYBODY, AclBinding
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName
from replicator.model.observations import AccessObservation


class AccessObserver:
    """Reads one flow's access rules. `exempt` are the principals that are no application's. One thread at a time."""

    def __init__(
        self, flow: Flow, source: KafkaCluster, *, exempt: frozenset[str], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._flow = flow
        self._source = source
        self._exempt = exempt
        self._clock = clock

    def observe(
        self,
        *,
        topics: Collection[TopicName],
        groups: Collection[GroupName],
        fences: Collection[AclBinding],
        deadline: Deadline,
    ) -> dict[str, AccessObservation]:
        """Return the rules that concern the flow, by principal; everybody is always among them, if only to tell that
        the rules were read.

        Raises:
            AccessDenied: the source does not tell us its rules (DESCRIBE on the cluster).
        """
        now = self._clock.now()
        rules = application_rules(
            self._flow,
            self._source.acls.list(deadline),
            topics=topics,
            groups=groups,
            exempt=self._exempt,
            fences=fences,
        )
        return {
            principal: AccessObservation(cluster=self._flow.source, principal=principal, observed_at=now, rules=found)
            for principal, found in {EVERYBODY: (), **rules}.items()
        }
