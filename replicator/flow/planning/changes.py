"""What a plan consists of: changes, refusals and warnings, each told in one line with its why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.model.cluster import TopicSpec
from replicator.model.names import ClusterName, FlowName


class Act(StrEnum):
    """What a change does, in the order in which changes are made."""

    CREATE_TOPIC = "create topic"
    GROW_TOPIC = "grow topic"
    ALTER_TOPIC = "alter topic"
    CREATE_CONNECTOR = "create connector"
    UPDATE_CONNECTOR = "update connector"
    START_CONNECTOR = "start connector"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting: what it is (None: not set) and what it has to be (None: it has to go)."""

    key: str
    actual: str | None
    desired: str | None

    def __str__(self) -> str:
        return f"{self.key}: {_told(self.actual)} → {_told(self.desired)}"


def _told(value: str | None) -> str:
    return "unset" if value is None else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that `apply` will do to `name` on `cluster` (for a connector: on the Connect beside it), and why.

    `topic` is what to create or how many partitions to grow to, `config` a connector's whole configuration.
    """

    act: Act
    cluster: ClusterName
    name: str
    why: str
    differences: tuple[Difference, ...] = ()
    topic: TopicSpec | None = None
    config: Mapping[str, str] = field(default_factory=dict)

    @property
    def what(self) -> str:
        """The object, and what of it changes."""
        told = "; ".join(str(difference) for difference in self.differences)
        return f"{self.name} on {self.cluster}" + (f": {told}" if told else "")

    @property
    def line(self) -> str:
        """The change in one line."""
        return f"{self.act.value} {self.what} ({self.why})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the flow must not be applied as it is: about which object, and which command or edit comes next."""

    subject: str
    why: str
    hint: str

    @property
    def line(self) -> str:
        """The refusal in one line."""
        return f"{self.subject}: {self.why}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """What is not as it should be, and no change can mend: in `name`, told in one line."""

    name: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What it takes to make one flow what it should be. With a refusal in it nothing may be applied; `mismatches` are
    told among the warnings."""

    flow: FlowName
    changes: tuple[Change, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()
    mismatches: tuple[Mismatch, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether everything is as it should be."""
        return not self.changes and not self.refusals
