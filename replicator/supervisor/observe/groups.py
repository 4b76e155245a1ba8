"""Reads where the flow's consumer groups stand on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.kafka import KafkaCluster
from replicator.log import get_logger
from replicator.model.flow import Flow
from replicator.model.names import GroupName
from replicator.model.observations import GroupObservation, GroupState, ListedGroup, as_listed, share_groups
from replicator.model.rights import is_own_group
from replicator.supervisor.samples import GroupsSample

ListGroups = Callable[[Deadline], Mapping[GroupName, ListedGroup]]
"""Every group of a cluster, of every kind."""
DEAD_SECONDS_KEPT = 600.0
"""How long a group that has gone is held: long enough to have been recorded as gone."""


def moving_groups(flow: Flow, names: Iterable[GroupName], *, topic_prefix: str) -> list[GroupName]:
    """Return the groups the flow selects, without our own."""
    return sorted(
        name for name in names if flow.moves_group(name) and not is_own_group(name, topic_prefix=topic_prefix)
    )


def carried_only(flow: Flow, observation: GroupObservation) -> GroupObservation:
    """Return the observation with the positions on topics the flow carries."""
    kept = {tp: offset for tp, offset in observation.committed.items() if flow.carries_topic(tp.topic)}
    return replace(observation, committed=kept)


def with_departed(
    before: Mapping[GroupName, GroupObservation], current: Mapping[GroupName, GroupObservation], *, at: datetime
) -> dict[GroupName, GroupObservation]:
    """Return the current groups, and those that have gone as DEAD groups without positions.

    A DEAD group keeps the moment it was first missed, and is forgotten when that is long ago.
    """
    gone = {name: seen if _is_dead(seen) else _dead(seen, at) for name, seen in before.items() if name not in current}
    kept = {name: seen for name, seen in gone.items() if at - seen.observed_at < timedelta(seconds=DEAD_SECONDS_KEPT)}
    return kept | dict(current)


def _is_dead(seen: GroupObservation) -> bool:
    return seen.state is GroupState.DEAD and not seen.committed


def _dead(seen: GroupObservation, at: datetime) -> GroupObservation:
    return replace(seen, state=GroupState.DEAD, members=0, committed={}, observed_at=at)


class Turns:
    """Tells when there are more groups than one round takes, and again when they take another number of rounds."""

    def __init__(self, flow: Flow, *, what: str, at_once: int) -> None:
        self._what = what
        self._at_once = at_once
        self._told = 1
        self._log = get_logger(flow=flow.name)

    def note(self, groups_count: int) -> None:
        """Note how many groups there are."""
        rounds = max(1, -(-groups_count // self._at_once))
        if rounds != self._told:
            self._log.warning(
                "groups_take_turns", what=self._what, groups=groups_count, at_once=self._at_once, rounds=rounds
            )
        self._told = rounds


class GroupsObserver:
    """Reads one flow's groups on one cluster. One thread at a time."""

    def __init__(
        self,
        flow: Flow,
        cluster: KafkaCluster,
        *,
        topic_prefix: str,
        list_groups: ListGroups,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._flow = flow
        self._cluster = cluster
        self._topic_prefix = topic_prefix
        self._list_groups = list_groups
        self._clock = clock

    def observe(self, deadline: Deadline) -> GroupsSample:
        """Return every selected group that has a position on a topic of the flow, and share groups, which have none.

        Raises: what the cluster refused or failed with.
        """
        began_at = self._clock.now()
        listed = self._list_groups(deadline)
        meant = (name for name, one in listed.items() if one.has_positions)
        names = moving_groups(self._flow, meant, topic_prefix=self._topic_prefix)
        found = self._cluster.groups.committed(names, deadline)
        carried = {name: carried_only(self._flow, as_listed(seen, listed.get(name))) for name, seen in found.items()}
        kept = {name: seen for name, seen in carried.items() if seen.committed}
        shares = share_groups(listed, cluster=self._flow.source, seen_at=began_at)
        told = moving_groups(self._flow, shares, topic_prefix=self._topic_prefix)
        return GroupsSample(began_at=began_at, groups=kept, shares={name: shares[name] for name in told})
