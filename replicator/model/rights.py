"""The rights a flow needs, and whether an authorizer's rules grant them. The one list: printed, checked and tested.

Source: Kafka's table of operations by API, and MirrorMaker 2's calls with config, ACL and offset sync off. READ,
WRITE, DELETE and ALTER imply DESCRIBE, ALTER_CONFIGS implies DESCRIBE_CONFIGS: what is implied is not listed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from replicator.model.acls import CLUSTER_RESOURCE_NAME, AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, TopicName

HEARTBEATS = TopicName("heartbeats")
EVERYTHING = "*"
READERS = "replicator-reader"
"""The group our readers are created with; they commit nothing and never join it."""

_CLONE = re.compile(r"drill\.drill-\d{8}-\d{6}-[0-9a-f]{6}\.")
"""How the name of a group begins that a drill has cloned: with the id of the drill."""

_IMPLIED_BY = {
    Right.DESCRIBE: frozenset({Right.READ, Right.WRITE, Right.DELETE, Right.ALTER}),
    Right.DESCRIBE_CONFIGS: frozenset({Right.ALTER_CONFIGS}),
}


def is_own_group(group: str, *, topic_prefix: str) -> bool:
    """Whether a consumer group is ours: an election, a reader, a clone of a drill. Such a one never moves.

    >>> is_own_group("replicator-of-invoices", topic_prefix="__replicator.")
    False
    """
    return group == READERS or group.startswith(topic_prefix) or _CLONE.match(group) is not None


class Holder(StrEnum):
    """Whose rights: ours, or those of MirrorMaker 2 and its worker."""

    SUPERVISOR = "supervisor"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsGround:
    """What decides the rights besides the flow.

    `group_id` and the three topics are the worker's beside the target. `can_fence` whether an old active is fenced
    by a rule, `can_give` whether applications are given their rights at promote, `has_snapshots` whether records may
    be restored, `is_way_home` whether this is the direction of a failback: orphans of its target are kept in topics
    beside their own.
    """

    topic_prefix: str
    supervisor_id: str
    group_id: str
    configs_topic: str
    offsets_topic: str
    status_topic: str
    can_fence: bool = True
    can_give: bool = True
    has_snapshots: bool = False
    is_way_home: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class NeededRight:
    """One right that somebody needs on one cluster, and what for."""

    cluster: ClusterName
    holder: Holder
    resource_type: ResourceType
    name: str
    pattern: PatternType
    right: Right
    why: str

    def binding(self, principal: str) -> AclBinding:
        """Return the rule that grants it to `principal` (`User:name`)."""
        return AclBinding(
            principal=principal,
            resource_type=self.resource_type,
            name=self.name,
            pattern=self.pattern,
            right=self.right,
        )

    @property
    def told(self) -> str:
        """The right in words: READ on topics orders.*"""
        star = "*" if self.pattern is PatternType.PREFIXED else ""
        return f"{self.right.value.upper()} on {self.resource_type.value} {self.name}{star}"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where and for whom rights are being listed."""

    cluster: ClusterName
    holder: Holder

    def on(
        self, resource_type: ResourceType, spots: Iterable[tuple[str, PatternType]], *rights: Right, why: str
    ) -> Iterator[NeededRight]:
        for name, pattern in spots:
            for right in rights:
                yield NeededRight(
                    cluster=self.cluster,
                    holder=self.holder,
                    resource_type=resource_type,
                    name=name,
                    pattern=pattern,
                    right=right,
                    why=why,
                )


def needed_rights(flow: Flow, ground: RightsGround) -> tuple[NeededRight, ...]:
    """Return every right that supervisor and MM2 need for the flow, sorted, each once; the direction as given."""
    found = (
        *_mirror_on_source(flow),
        *_mirror_on_target(flow, ground),
        *_supervisor_on_source(flow, ground),
        *_supervisor_on_target(flow, ground),
    )
    return unique_rights(found)


def reversed_flow(flow: Flow) -> Flow:
    """Return the flow a failback runs: the same topics the other way."""
    return replace(flow, source=flow.target, target=flow.source)


def unique_rights(found: Iterable[NeededRight]) -> tuple[NeededRight, ...]:
    """Return the rights sorted, each once, the first reason kept; one that a wider one covers is left out."""
    by_rule: dict[tuple[object, ...], NeededRight] = {}
    for need in found:
        by_rule.setdefault(_rule(need), need)
    kept = [
        need
        for need in by_rule.values()
        if not any(other is not need and _covers(other, need) for other in by_rule.values())
    ]
    return tuple(sorted(kept))


def _rule(need: NeededRight) -> tuple[object, ...]:
    return (need.cluster, need.holder, need.resource_type, need.name, need.pattern, need.right)


def _covers(wide: NeededRight, narrow: NeededRight) -> bool:
    is_same_kind = (wide.cluster, wide.holder) == (narrow.cluster, narrow.holder)
    return is_same_kind and _gives(wide.right, narrow.right) and _reaches(wide.binding(""), narrow)


def _mirror_on_source(flow: Flow) -> Iterator[NeededRight]:
    place = _Place(flow.source, Holder.MIRROR)
    topics = spots_of(flow.topics)
    reading = (Right.READ, Right.DESCRIBE_CONFIGS)
    yield from place.on(ResourceType.TOPIC, topics, *reading, why="to mirror the flow's topics")
    yield from place.on(ResourceType.TOPIC, [_one(HEARTBEATS)], *reading, why="our heartbeats travel with the flow")
    yield from place.on(
        ResourceType.GROUP, spots_of(flow.groups), Right.DESCRIBE, why="to find the groups and their positions"
    )


def _mirror_on_target(flow: Flow, ground: RightsGround) -> Iterator[NeededRight]:
    place = _Place(flow.target, Holder.MIRROR)
    writing = (Right.WRITE, Right.CREATE, Right.ALTER, Right.DESCRIBE_CONFIGS)
    copies = [*_remote_spots(flow), _one(flow.remote_topic(HEARTBEATS))]
    yield from place.on(ResourceType.TOPIC, copies, *writing, why="to write the copies, and grow them")
    internal = [_one(flow.syncs_topic), _one(flow.checkpoints_topic)]
    keeping = (Right.READ, Right.WRITE, Right.CREATE, Right.DESCRIBE_CONFIGS)
    yield from place.on(ResourceType.TOPIC, internal, *keeping, why="offset syncs and checkpoints")
    own = [_one(topic) for topic in (ground.configs_topic, ground.offsets_topic, ground.status_topic)]
    yield from place.on(ResourceType.TOPIC, own, *keeping, why="the worker's own topics")
    yield from place.on(ResourceType.GROUP, [_one(ground.group_id)], Right.READ, why="workers meet in this group")
    leader = [_one(f"connect-cluster-{ground.group_id}")]
    yield from place.on(ResourceType.TRANSACTIONAL_ID, leader, Right.WRITE, why="the worker's leader, exactly once")
    tasks = [_prefixed(f"{ground.group_id}-")]
    yield from place.on(ResourceType.TRANSACTIONAL_ID, tasks, Right.WRITE, why="its tasks, exactly once")


def _supervisor_on_source(flow: Flow, ground: RightsGround) -> Iterator[NeededRight]:
    place = _Place(flow.source, Holder.SUPERVISOR)
    yield from _supervisor_anywhere(place, ground)
    reading = (Right.READ, Right.DESCRIBE_CONFIGS)
    yield from place.on(ResourceType.TOPIC, spots_of(flow.topics), *reading, why="ends, settings, counted loss")
    beating = (Right.READ, Right.WRITE, Right.CREATE, Right.DESCRIBE_CONFIGS, Right.ALTER_CONFIGS)
    yield from place.on(ResourceType.TOPIC, [_one(HEARTBEATS)], *beating, why="our heartbeats are written here")
    yield from place.on(ResourceType.GROUP, spots_of(flow.groups), Right.DESCRIBE, why="where groups stand")


def _supervisor_on_target(flow: Flow, ground: RightsGround) -> Iterator[NeededRight]:
    place = _Place(flow.target, Holder.SUPERVISOR)
    yield from _supervisor_anywhere(place, ground)
    preparing = (Right.READ, Right.CREATE, Right.ALTER, Right.DESCRIBE_CONFIGS, Right.ALTER_CONFIGS)
    copies = [*_remote_spots(flow), _one(flow.remote_topic(HEARTBEATS))]
    yield from place.on(
        ResourceType.TOPIC, copies, *preparing, why="copies are made before MM2 writes them; committing"
    )
    internal = [_one(flow.syncs_topic), _one(flow.checkpoints_topic)]
    yield from place.on(ResourceType.TOPIC, internal, *preparing, why="the offset map is kept there")
    own = [_one(ground.configs_topic), _one(ground.offsets_topic)]
    yield from place.on(ResourceType.TOPIC, own, Right.READ, why="how far MM2 is, also with Connect dead")
    moving = (Right.READ, Right.DELETE)
    yield from place.on(ResourceType.GROUP, spots_of(flow.groups), *moving, why="to commit positions, and abort that")
    drill = [_prefixed("drill.")]
    yield from place.on(ResourceType.GROUP, drill, Right.READ, Right.DELETE, why="a drill's groups")
    probe = [_prefixed(f"{ground.topic_prefix}.drill.")]
    yield from place.on(ResourceType.TOPIC, probe, Right.DELETE, why="a drill's probe topic goes with the drill")
    tasks = [_prefixed(f"{ground.group_id}-")]
    yield from place.on(ResourceType.TRANSACTIONAL_ID, tasks, Right.WRITE, why="to fence MM2 through Kafka alone")
    seen = [_prefixed(f"replicator.observations.{ground.topic_prefix}.{ground.supervisor_id}.")]
    yield from place.on(ResourceType.TRANSACTIONAL_ID, seen, Right.WRITE, why="one writer of what was observed")
    if ground.has_snapshots:
        yield from place.on(ResourceType.TOPIC, _remote_spots(flow), Right.WRITE, why="to restore records")
    if ground.is_way_home:
        beside = (Right.READ, Right.WRITE, Right.CREATE, Right.DESCRIBE_CONFIGS)
        yield from place.on(ResourceType.TOPIC, _orphan_spots(flow), *beside, why="what only the old active has")


def _supervisor_anywhere(place: _Place, ground: RightsGround) -> Iterator[NeededRight]:
    """Our own topics, groups and transactions; the journal may be on either side."""
    cluster = [_one(CLUSTER_RESOURCE_NAME)]
    yield from place.on(ResourceType.CLUSTER, cluster, Right.DESCRIBE, why="to list groups, and rules")
    if ground.can_fence:
        yield from place.on(ResourceType.CLUSTER, cluster, Right.ALTER, why="to fence by a rule (failover.fence: acl)")
    elif ground.can_give:
        yield from place.on(ResourceType.CLUSTER, cluster, Right.ALTER, why="to give applications their rights")
    own = [_prefixed(f"{ground.topic_prefix}.")]
    keeping = (Right.READ, Right.WRITE, Right.CREATE, Right.DESCRIBE_CONFIGS, Right.ALTER_CONFIGS)
    yield from place.on(ResourceType.TOPIC, own, *keeping, why="journal, observations, probe")
    yield from place.on(ResourceType.GROUP, own, Right.READ, why="elections")
    why = "librdkafka asks for its coordinator, though nobody joins it"
    yield from place.on(ResourceType.GROUP, [_one(READERS)], Right.DESCRIBE, why=why)
    journal = [_one(f"replicator.{ground.supervisor_id}"), _one(f"replicator.copy.{ground.supervisor_id}")]
    yield from place.on(ResourceType.TRANSACTIONAL_ID, journal, Right.WRITE, why="the journal's writer, and its copy's")


def _one(name: str) -> tuple[str, PatternType]:
    return name, PatternType.LITERAL


def _prefixed(name: str) -> tuple[str, PatternType]:
    return name, PatternType.PREFIXED


def spots_of(selection: Selection, *, prefix: str = "") -> list[tuple[str, PatternType]]:
    """Return the resources that hold all of a selection's names: rules know names, beginnings and everything."""
    return sorted({_spot(pattern, prefix) for pattern in selection.include})


def _spot(pattern: str, prefix: str) -> tuple[str, PatternType]:
    """A regular expression begins with no certain text; a glob begins with what stands before its first wildcard."""
    if pattern.startswith("re:"):
        return _prefixed(prefix) if prefix else _one(EVERYTHING)
    first = min((found for sign in "*?" if (found := pattern.find(sign)) >= 0), default=-1)
    if first < 0:
        return _one(prefix + pattern)
    start = prefix + pattern[:first]
    return _prefixed(start) if start else _one(EVERYTHING)


def _remote_spots(flow: Flow) -> list[tuple[str, PatternType]]:
    return spots_of(flow.topics, prefix=f"{flow.source}." if flow.naming is Naming.PREFIX else "")


def _orphan_spots(flow: Flow) -> list[tuple[str, PatternType]]:
    """Return where `<topic>.orphans.<operation>` may be, for every topic of the flow."""
    return [
        spot if spot[1] is PatternType.PREFIXED or spot[0] == EVERYTHING else _prefixed(f"{spot[0]}.orphans.")
        for spot in _remote_spots(flow)
    ]


def is_granted(need: NeededRight, rules: Iterable[AclBinding], *, principal: str) -> bool:
    """Whether the rules let `principal` do all of it from any host: one rule allows it whole, and none denies a part.

    Source: AclAuthorizer; DENY beats ALLOW, and an implied right is not granted by the denial of another.
    """
    ours = [rule for rule in rules if rule.principal in (principal, "User:*")]
    allows = any(
        rule.permission is Permission.ALLOW and rule.host == "*" and _gives(rule.right, need.right)
        for rule in ours
        if _reaches(rule, need)
    )
    denies = any(
        rule.permission is Permission.DENY and rule.right in (need.right, Right.ALL) and _touches(rule, need)
        for rule in ours
    )
    return allows and not denies


def _gives(given: Right, needed: Right) -> bool:
    return given in (needed, Right.ALL) or given in _IMPLIED_BY.get(needed, frozenset())


def _reaches(rule: AclBinding, need: NeededRight) -> bool:
    """Whether every name that is needed is one of the rule's."""
    if rule.resource_type is not need.resource_type:
        return False
    if rule.pattern is PatternType.PREFIXED:
        return need.name.startswith(rule.name) and need.name != EVERYTHING
    return rule.name == EVERYTHING or (rule.name == need.name and need.pattern is PatternType.LITERAL)


def _touches(rule: AclBinding, need: NeededRight) -> bool:
    """Whether some name that is needed is one of the rule's."""
    if rule.resource_type is not need.resource_type:
        return False
    if EVERYTHING in (rule.name, need.name):
        return True
    if rule.pattern is PatternType.PREFIXED and need.pattern is PatternType.PREFIXED:
        return rule.name.startswith(need.name) or need.name.startswith(rule.name)
    if rule.pattern is PatternType.PREFIXED:
        return need.name.startswith(rule.name)
    return rule.name.startswith(need.name) if need.pattern is PatternType.PREFIXED else rule.name == need.name
