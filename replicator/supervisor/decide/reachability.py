"""Whether a cluster answers, folded from reads and probes: values to a value.

What a failover believes of a lost source hangs on two moments: when it was last read, and since when every
one of its listeners has refused. Between the two anybody may have written; after the second nobody can.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from replicator.model.cluster import ClusterDescription
from replicator.model.names import ClusterName
from replicator.model.observations import ClusterObservation, Reachability

UNBROKEN_SECONDS_MAX = 3.0
"""Two refusals further apart than this do not prove that the cluster refused in between."""


def first_contact(cluster: ClusterName, *, at: datetime) -> ClusterObservation:
    """Return what is known of a cluster that nobody has asked yet: it is silent."""
    return ClusterObservation(
        cluster=cluster,
        cluster_id=None,
        reachability=Reachability.SILENT,
        observed_at=at,
        last_reached_at=None,
        unreachable_since=at,
    )


def take_over(current: ClusterObservation, *, earlier: ClusterObservation) -> ClusterObservation:
    """Return our observation with what a supervisor before us knew: when the cluster was last read, and where.

    Since when it refuses is not taken over: nobody watched between that supervisor's last look and ours.
    """
    return replace(
        current,
        cluster_id=current.cluster_id or earlier.cluster_id,
        last_reached_at=earlier.last_reached_at,
        listeners=current.listeners or earlier.listeners,
    )


def after_read(
    previous: ClusterObservation, *, began_at: datetime, ended_at: datetime, description: ClusterDescription | None
) -> ClusterObservation:
    """Return the observation after everything was read in one sweep that began at `began_at`.

    The beginning counts: a record written while the sweep ran may have been missed by it.
    """
    return replace(
        previous,
        cluster_id=description.cluster_id if description else previous.cluster_id,
        listeners=listeners_of(description) if description else previous.listeners,
        reachability=Reachability.REACHABLE,
        observed_at=ended_at,
        last_reached_at=began_at,
        unreachable_since=None,
    )


def after_failure(previous: ClusterObservation, *, answer: Reachability, at: datetime) -> ClusterObservation:
    """Return the observation after reads failed and the listeners gave `answer` to a plain connection.

    A listener that accepts a connection while reads fail is SILENT: its process may be frozen. SILENT lasts
    since the first failed read. REFUSED lasts since the first refusal of an unbroken run of them: before
    it, or across a hole in it, somebody may have written.
    """
    if answer is Reachability.REFUSED:
        since = previous.unreachable_since if _goes_on_refusing(previous, at) else at
        return replace(previous, reachability=answer, observed_at=at, unreachable_since=since)
    return replace(
        previous,
        reachability=Reachability.SILENT,
        observed_at=at,
        unreachable_since=previous.unreachable_since or at,
    )


def after_denial(previous: ClusterObservation, *, at: datetime) -> ClusterObservation:
    """Return the observation after the cluster answered that we may not read: it is alive and unread."""
    return replace(previous, reachability=Reachability.REACHABLE, observed_at=at, unreachable_since=None)


def is_readable(observation: ClusterObservation | None, *, now: datetime, age_seconds_max: float) -> bool:
    """Whether the cluster was read whole within the last `age_seconds_max`."""
    if observation is None or observation.last_reached_at is None:
        return False
    is_fresh = now - observation.last_reached_at <= timedelta(seconds=age_seconds_max)
    return observation.reachability is Reachability.REACHABLE and is_fresh


def listeners_of(description: ClusterDescription) -> tuple[str, ...]:
    """Return `host:port` of every broker."""
    return tuple(f"{broker.host}:{broker.port}" for broker in description.brokers)


def known_listeners(observation: ClusterObservation, *, bootstrap: str) -> tuple[str, ...]:
    """Return every address the cluster may be reached at: what it advertised, and what we were told."""
    told = (address.strip() for address in bootstrap.split(","))
    return tuple(dict.fromkeys([*observation.listeners, *(address for address in told if address)]))


def _goes_on_refusing(previous: ClusterObservation, at: datetime) -> bool:
    """Whether no refusal is missing since the last; a clock that stepped back proves nothing of what lay between."""
    is_unbroken = timedelta() <= at - previous.observed_at <= timedelta(seconds=UNBROKEN_SECONDS_MAX)
    return previous.reachability is Reachability.REFUSED and is_unbroken
