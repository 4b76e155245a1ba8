"""A flow: one source to target replication, and the states it can be in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

from replicator.errors import UsageError
from replicator.model.forms.patterns import find_cost
from replicator.model.names import ClusterName, FlowName, TopicName
from replicator.model.objectives import Objectives


class Naming(StrEnum):
    """What a topic is called on the target: the same, or `<source>.<topic>`."""

    IDENTITY = "identity"
    PREFIX = "prefix"


class Delivery(StrEnum):
    """Whether the worker writes records and positions in one transaction."""

    EXACTLY_ONCE = "exactly_once"
    AT_LEAST_ONCE = "at_least_once"


class DeletedGroups(StrEnum):
    """What becomes of a group on the standby that was deleted on the source."""

    KEEP = "keep"
    DELETE = "delete"


class FlowState(StrEnum):
    """The first that applies, in this order."""

    STOPPED = "STOPPED"
    PAUSED = "PAUSED"
    FAILED_OVER = "FAILED_OVER"
    UNKNOWN = "UNKNOWN"
    FAILED = "FAILED"
    STALLED = "STALLED"
    DEGRADED = "DEGRADED"
    LAGGING = "LAGGING"
    HEALTHY = "HEALTHY"


def pattern_to_regex(pattern: str) -> str:
    """Return the full-match regular expression of a pattern: a glob, or `re:EXPRESSION`."""
    if pattern.startswith("re:"):
        return pattern.removeprefix("re:")
    return "".join(_glob_piece(char) for char in pattern)


def _glob_piece(char: str) -> str:
    return {"*": ".*", "?": "."}.get(char) or re.escape(char)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which names are meant: any of `include` and none of `exclude`; exclude always wins."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()

    def matches(self, name: str) -> bool:
        """Whether `name` is selected."""
        return _any_matches(self.include, name) and not _any_matches(self.exclude, name)


def _any_matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(_compiled(pattern).fullmatch(name) for pattern in patterns)


def check_expression(expression: str, *, told: str) -> None:
    """Return only if matching the expression ends soon; `told` names it. Raises: UsageError."""
    try:
        why = find_cost(expression)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"pattern {told[:200]!r}: is no regular expression: {error}") from error
    if why is not None:
        raise UsageError(f"pattern {told[:200]!r}: {why}", hint="say it with one repeat, or with several patterns")


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Return the pattern ready to be matched: names are asked about by the ten thousand, patterns are few.

    A name is one text: a group's may hold line breaks, and `.` stands for them too.
    Raises: UsageError for an expression that is none, or that can take for ever.
    """
    if pattern.startswith("re:"):
        check_expression(pattern.removeprefix("re:"), told=pattern)
    return re.compile(pattern_to_regex(pattern), re.DOTALL)


ORPHANS = "*.orphans.failback-*"
"""Topics that keep what only an old active had."""

ALWAYS_EXCLUDED_TOPICS = ("__*", "*.replica", "*.internal", "heartbeats", "*.heartbeats", ORPHANS)
"""Topics no flow carries as data: Kafka's and our own, MM2's, heartbeats (they travel by themselves), and the
quarantine of records that a failback has left behind."""


SINK_GROUPS = "connect-"
"""First part of the names that Connect gives the groups of its sink connectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One source → target replication: source and checkpoint connectors and our heartbeat."""

    name: FlowName
    source: ClusterName
    target: ClusterName
    topics: Selection = Selection()
    groups: Selection = Selection()
    naming: Naming = Naming.IDENTITY
    delivery: Delivery = Delivery.EXACTLY_ONCE
    objectives: Objectives = Objectives()
    connector: Mapping[str, str] = field(default_factory=dict)
    deleted_groups: DeletedGroups = DeletedGroups.KEEP

    @property
    def source_connector(self) -> str:
        """Name of the MirrorSourceConnector."""
        return f"{self.name}.source"

    @property
    def checkpoint_connector(self) -> str:
        """Name of the MirrorCheckpointConnector."""
        return f"{self.name}.checkpoint"

    def carries_topic(self, topic: str) -> bool:
        """Whether this flow replicates `topic` of the source as data.

        Source: DefaultReplicationPolicy never sends `<target>.x` back to the target; Identity knows no such cycle.
        """
        if self.naming is Naming.PREFIX and topic.startswith(f"{self.target}."):
            return False
        return self.topics.matches(topic) and not _any_matches(ALWAYS_EXCLUDED_TOPICS, topic)

    def moves_group(self, group: str) -> bool:
        """Whether this flow moves the consumer group: selected, and meant.

        A Connect sink's group (`connect-…`) moves only where a pattern other than `*` selects it: its consumers are
        a connector's tasks, which do not move with it.
        """
        if group.startswith(SINK_GROUPS):
            chosen = tuple(pattern for pattern in self.groups.include if pattern != "*")
            return Selection(chosen, self.groups.exclude).matches(group)
        return self.groups.matches(group)

    def remote_topic(self, topic: TopicName) -> TopicName:
        """Return what `topic` of the source is called on the target.

        Source: IdentityReplicationPolicy still prefixes every name that ends in `heartbeats`.
        """
        if self.naming is Naming.PREFIX or topic.endswith("heartbeats"):
            return TopicName(f"{self.source}.{topic}")
        return topic

    def source_topic(self, remote: TopicName) -> TopicName | None:
        """Return the topic of the source whose copy is called `remote`; None when this flow makes no such copy."""
        for topic in (TopicName(remote.removeprefix(f"{self.source}.")), remote):
            if self.carries_topic(topic) and self.remote_topic(topic) == remote:
                return topic
        return None

    @property
    def syncs_topic(self) -> TopicName:
        """MM2's offset-syncs topic, which our template keeps on the target."""
        return TopicName(f"mm2-offset-syncs.{self.source}.internal")

    @property
    def checkpoints_topic(self) -> TopicName:
        """MM2's checkpoints topic on the target."""
        return TopicName(f"{self.source}.checkpoints.internal")
