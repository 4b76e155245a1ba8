"""Why partitions stand still, from what was read of both sides. Values to a value; the likeliest cause first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import TopicDescription
from replicator.model.connectors import ConnectorState, ConnectorStatus
from replicator.model.flow import Flow
from replicator.model.forms.figures import show_items
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds

_LISTED_MAX = 3
_GRANTS_READ = frozenset({Right.READ, Right.ALL})


@dataclass(frozen=True, slots=True, kw_only=True)
class StallFacts:
    """What a probe of a stalled flow has read.

    `target_topics` are the remote topics of the stalled ones that exist; `min_in_sync` their setting. `rights`
    are the source's rules now, `rights_before` those while the flow still moved; None: the source has no
    authorizer, does not let us list its rules, or was not asked then. `read_denial`: what we were told when we
    tried to read a stalled partition ourselves.
    """

    flow: Flow
    stalled: Sequence[TopicPartition]
    ends: Mapping[TopicPartition, PartitionEnds]
    positions: Mapping[TopicPartition, int]
    connector: ConnectorStatus | None
    target_topics: Mapping[TopicName, TopicDescription] = field(default_factory=dict)
    min_in_sync: Mapping[TopicName, int] = field(default_factory=dict)
    rights: Sequence[AclBinding] | None = None
    rights_before: Sequence[AclBinding] | None = None
    read_denial: str | None = None


def explain_stall(facts: StallFacts) -> str | None:
    """Return the cause in one line; None when nothing that was read explains it."""
    return next(_causes(facts), None)


def _causes(facts: StallFacts) -> Iterator[str]:
    yield from _no_tasks(facts)
    yield from _open_transaction(facts)
    yield from _target(facts)
    yield from _rights_lost(facts)
    if facts.read_denial is not None:
        yield f"{facts.flow.source} does not let it be read: {facts.read_denial}"
    yield from _readers_denied(facts)


def _no_tasks(facts: StallFacts) -> Iterator[str]:
    connector = facts.connector
    if connector is None:
        return
    if not any(task.state is ConnectorState.RUNNING for task in connector.tasks):
        yield f"{connector.name} has no running task ({len(connector.tasks)} in all)"


def _open_transaction(facts: StallFacts) -> Iterator[str]:
    """A reader of committed data stops at the last stable offset, however far the end is."""
    held = [
        tp
        for tp in facts.stalled
        if (ends := facts.ends.get(tp)) is not None
        and ends.last_stable < ends.end
        and facts.positions.get(tp, ends.log_start) >= ends.last_stable
    ]
    if held and len(held) == len(facts.stalled):
        first = held[0]
        yield f"an open transaction holds {_listed(held)} at offset {facts.ends[first].last_stable}"


def _target(facts: StallFacts) -> Iterator[str]:
    for topic in sorted({tp.topic for tp in facts.stalled}):
        name = facts.flow.remote_topic(topic)
        described = facts.target_topics.get(name)
        if described is None:
            yield f"{facts.flow.target} has no topic {name}: `replicator apply {facts.flow.name}` makes it"
            continue
        highest = max(tp.partition for tp in facts.stalled if tp.topic == topic)
        if highest >= len(described.partitions):
            yield f"{name} on {facts.flow.target} has only {show_items(len(described.partitions), 'partition')}"
        needed = facts.min_in_sync.get(name, 1)
        short = [part for part in described.partitions if part.leader is None or len(part.in_sync) < needed]
        if short:
            found = show_items(len(short), "partition")
            yield f"{facts.flow.target} refuses writes to {name}: {found} with fewer than {needed} replicas in sync"


def _rights_lost(facts: StallFacts) -> Iterator[str]:
    """Who could read a stalled topic while the flow moved, and cannot now: the rules that went, and new denials."""
    if facts.rights is None or facts.rights_before is None:
        return
    gone = set(facts.rights_before) - set(facts.rights)
    new = set(facts.rights) - set(facts.rights_before)
    for topic in sorted({tp.topic for tp in facts.stalled}):
        lost = {r.principal for r in gone if _reads(r, topic) and r.permission is Permission.ALLOW}
        lost |= {r.principal for r in new if _reads(r, topic) and r.permission is Permission.DENY}
        if lost:
            yield f"{', '.join(sorted(lost)[:_LISTED_MAX])} lost the right to READ {topic} on {facts.flow.source}"


def _reads(rule: AclBinding, topic: TopicName) -> bool:
    return rule.right in _GRANTS_READ and _is_about(rule, topic)


def _readers_denied(facts: StallFacts) -> Iterator[str]:
    """What the rules of now alone tell; MM2's own principal is not known to us."""
    if facts.rights is None:
        return
    for topic in sorted({tp.topic for tp in facts.stalled}):
        rules = [rule for rule in facts.rights if _reads(rule, topic)]
        denied = sorted({rule.principal for rule in rules if rule.permission is Permission.DENY})
        if denied:
            yield f"READ on {topic} is denied to {', '.join(denied[:_LISTED_MAX])} on {facts.flow.source}"
        elif not rules:
            yield f"nobody has the right to READ {topic} on {facts.flow.source}"


def _is_about(rule: AclBinding, topic: TopicName) -> bool:
    if rule.resource_type is not ResourceType.TOPIC:
        return False
    if rule.pattern is PatternType.PREFIXED:
        return topic.startswith(rule.name)
    return rule.name in (topic, "*")


def _listed(partitions: Sequence[TopicPartition]) -> str:
    told = ", ".join(map(str, partitions[:_LISTED_MAX]))
    return f"{told} and {len(partitions) - _LISTED_MAX} more" if len(partitions) > _LISTED_MAX else told
