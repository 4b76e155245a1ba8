"""What the group verbs share: one flow opened, its groups from the source or from what was observed of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum

from replicator.cli.context import App
from replicator.clock import Deadline
from replicator.errors import AccessDenied, NotFound, PreflightBlocked, Unreachable
from replicator.flow import MirroredPositions
from replicator.journal import Journal, Observations, active_cluster
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName
from replicator.model.observations import (
    CopyHistory,
    GroupObservation,
    GroupState,
    GroupType,
    as_listed,
    share_groups,
)
from replicator.model.offsets import GroupTranslation
from replicator.model.rights import is_own_group
from replicator.offsets import OffsetHistory, copies_observed, survey_groups, with_proofs
from replicator.wire import RawClient

SOURCE_SECONDS = 5.0
"""A source that does not answer within this is taken for gone; what was observed of it answers then."""


class KnownFrom(StrEnum):
    """Where the positions of a flow's groups were read."""

    SOURCE = "source"
    OBSERVATIONS = "observations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One flow opened for questions about its groups. `source` None: it does not answer; what was proven of the
    groups while it did is in `proofs` then. `copies` is what was observed of topics that were made anew."""

    flow: Flow
    target: KafkaCluster
    source: KafkaCluster | None
    groups: dict[GroupName, GroupObservation]
    known_from: KnownFrom
    positions: MirroredPositions
    journal: Journal
    proofs: Mapping[GroupName, GroupTranslation] = field(default_factory=dict)
    shares: Mapping[GroupName, GroupObservation] = field(default_factory=dict)
    copies: Mapping[TopicName, CopyHistory] = field(default_factory=dict)

    def translate(self, groups: Iterable[GroupName], deadline: Deadline) -> tuple[GroupTranslation, ...]:
        """Return where the groups resume on the target, everything read now."""
        history = OffsetHistory(self.target, self.flow)
        answers = survey_groups(
            self.flow,
            [self.groups[group] for group in groups],
            target=self.target,
            source=self.source,
            read_map=history.refresh,
            read_mirrored=self.positions.refresh,
            deadline=deadline,
            copies=self.copies,
        )
        return tuple(with_proofs(answer, self.proofs.get(answer.group)) for answer in answers)

    def on_target(self, groups: Iterable[GroupName], deadline: Deadline) -> dict[GroupName, GroupObservation]:
        """Return the same groups as they stand on the target."""
        return self.target.groups.committed(groups, deadline)

    def require_standby(self, deadline: Deadline) -> None:
        """Return only if the target is not the active cluster.

        Raises:
            PreflightBlocked: the flow has failed over; its groups live on the target now.
        """
        if active_cluster(self.journal.read(deadline), self.flow.name) == self.flow.target:
            raise PreflightBlocked(
                f"flow {self.flow.name}: {self.flow.target} is active; its groups' positions are their own",
                hint="replicator op list",
            )


@contextmanager
def open_desk(app: App, flow: Flow, deadline: Deadline) -> Iterator[Desk]:
    """Yield the flow's desk, its groups read, and close its doors.

    Raises:
        Unreachable, AccessDenied: the target cannot be read.
    """
    settings = app.settings
    prefix = settings.supervisor.topic_prefix
    with ExitStack() as stack:
        target = stack.enter_context(KafkaCluster(settings.cluster_access(flow.target), clock=app.clock))
        source = stack.enter_context(KafkaCluster(settings.cluster_access(flow.source), clock=app.clock))
        target.verify_identity(deadline)
        raw = stack.enter_context(RawClient(settings.cluster_access(flow.source), clock=app.clock))
        observed = Observations(target, prefix).read(flow.name, deadline)
        live = _live_groups(flow, source, raw, prefix, deadline)
        known_from = KnownFrom.OBSERVATIONS if live is None else KnownFrom.SOURCE
        found = observed.groups if live is None else live
        offsets_topic = TopicName(settings.connect_of(flow.target).offsets_topic)
        yield Desk(
            flow=flow,
            target=target,
            source=source if known_from is KnownFrom.SOURCE else None,
            groups=groups_of_flow(flow, found, prefix=prefix),
            known_from=known_from,
            positions=stack.enter_context(MirroredPositions(target, offsets_topic, flow.source_connector)),
            journal=Journal(target, prefix, clock=app.clock),
            proofs=observed.translations if live is None else {},
            shares={name: one for name, one in found.items() if is_share(flow, one, prefix=prefix)},
            copies=copies_observed(observed.topics),
        )


def _live_groups(
    flow: Flow, source: KafkaCluster, raw: RawClient, prefix: str, deadline: Deadline
) -> dict[GroupName, GroupObservation] | None:
    """Return the source's groups that have positions, and its share groups, which have none; None when it does not
    answer."""
    try:
        source.verify_identity(Deadline.after(deadline.capped(SOURCE_SECONDS), clock=deadline.clock))
        seen_at = deadline.clock.now()
        listed = raw.list_groups(deadline)
        names = [name for name, one in listed.items() if one.has_positions and is_meant(flow, name, prefix=prefix)]
        found = source.groups.committed(sorted(names), deadline)
    except (Unreachable, AccessDenied):
        return None
    shares = share_groups(listed, cluster=flow.source, seen_at=seen_at)
    return {**shares, **{name: as_listed(seen, listed.get(name)) for name, seen in found.items()}}


def is_share(flow: Flow, seen: GroupObservation, *, prefix: str) -> bool:
    """Whether it is a share group that the flow would move if there were positions to move."""
    is_there = seen.type is GroupType.SHARE and seen.state is not GroupState.DEAD
    return is_there and is_meant(flow, seen.group, prefix=prefix)


def is_meant(flow: Flow, group: str, *, prefix: str) -> bool:
    """Whether the flow moves the group: selected, and none of our own."""
    return flow.moves_group(group) and not is_own_group(group, topic_prefix=prefix)


def groups_of_flow(
    flow: Flow, found: dict[GroupName, GroupObservation], *, prefix: str
) -> dict[GroupName, GroupObservation]:
    """Return the groups that the flow moves, with their positions on the topics it carries; none without any."""
    kept = {}
    for name, seen in sorted(found.items()):
        carried = {tp: at for tp, at in seen.committed.items() if flow.carries_topic(tp.topic)}
        if carried and seen.state is not GroupState.DEAD and is_meant(flow, name, prefix=prefix):
            kept[name] = replace(seen, committed=carried)
    return kept


def flows_to_ask(app: App, name: str | None) -> tuple[Flow, ...]:
    """Return the flow of that name, or every flow.

    Raises:
        NotFound: no such flow.
    """
    return app.settings.flows if name is None else (app.settings.flow(name),)


def unknown_group(group: str, flows: Iterable[Flow]) -> NotFound:
    """Return the error for a group that no flow moves."""
    names = ", ".join(flow.name for flow in flows)
    return NotFound(
        f"group {group}: no group of that name has positions on topics of {names or 'any flow'}",
        hint="replicator group list",
    )
