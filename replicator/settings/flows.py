"""The section `flows`."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from replicator.model.flow import DeletedGroups, Delivery, Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName
from replicator.model.objectives import Objectives
from replicator.settings.values import ConnectorValue, GroupPattern, Name, Section, TopicPattern

_PATTERNS = "Globs (`*`, `?`); `re:` starts a regular expression that must match the whole name."


class TopicSelection(Section):
    """Which topics a flow carries."""

    include: tuple[TopicPattern, ...] = Field(default=("*",), min_length=1, description=f"Topics to carry. {_PATTERNS}")
    exclude: tuple[TopicPattern, ...] = Field(
        default=(), description=f"Topics to leave; exclude always wins. {_PATTERNS}"
    )


class GroupSelection(Section):
    """Which consumer groups move with a flow."""

    include: tuple[GroupPattern, ...] = Field(default=("*",), description=f"Groups that move. {_PATTERNS}")
    exclude: tuple[GroupPattern, ...] = Field(
        default=(), description=f"Groups that stay; exclude always wins. {_PATTERNS}"
    )
    deleted: DeletedGroups = Field(
        default=DeletedGroups.KEEP,
        description="What becomes of a group on the target that was deleted on the source. keep: it stays; delete: it "
        "is deleted there too, never while it has members or commits of its own.",
    )


class ObjectivesSettings(Section):
    """What a flow promises; what is left out is not promised."""

    rpo_seconds: float | None = Field(
        default=None, gt=0, description="How old the newest lost record may be, in seconds."
    )
    rpo_records: int | None = Field(default=None, ge=0, description="How many records may be lost.")
    rto_seconds: float | None = Field(default=None, gt=0, description="How long a failover may take, in seconds.")


class FlowSettings(Section):
    """One source → target replication."""

    source: Name = Field(description="The cluster to read, a name of `clusters`.")
    target: Name = Field(description="The cluster to write, a name of `clusters` with its own `connect`.")
    topics: TopicSelection = Field(default=TopicSelection(), description="Which topics.")
    groups: GroupSelection = Field(default=GroupSelection(), description="Which consumer groups.")
    naming: Naming = Field(
        default=Naming.IDENTITY,
        description="identity: a topic keeps its name, so that clients move without a change; prefix: SOURCE.TOPIC.",
    )
    delivery: Delivery = Field(
        default=Delivery.EXACTLY_ONCE,
        description="exactly_once: no duplicates, and a loss that is countable to the record; at_least_once: neither.",
    )
    objectives: ObjectivesSettings = Field(default=ObjectivesSettings(), description="The promises to watch.")
    connector: Mapping[str, ConnectorValue] = Field(
        default={},
        description="Raw overrides of the MirrorMaker 2 connector; `replicator plan` refuses what would hurt.",
    )

    def to_flow(self, name: str) -> Flow:
        """Return the flow as the rooms below know it."""
        return Flow(
            name=FlowName(name),
            source=ClusterName(self.source),
            target=ClusterName(self.target),
            topics=Selection(self.topics.include, self.topics.exclude),
            groups=Selection(self.groups.include, self.groups.exclude),
            naming=self.naming,
            delivery=self.delivery,
            objectives=Objectives(**self.objectives.model_dump()),
            connector=dict(self.connector),
            deleted_groups=self.groups.deleted,
        )
