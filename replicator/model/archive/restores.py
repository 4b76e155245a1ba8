"""A restore: what it would do, and what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from replicator.model.acls import AclBinding
from replicator.model.names import ClusterName, GroupName, SnapshotId, TopicName


class RestoreAction(StrEnum):
    """What happens to one topic of the target.

    CREATE: it is made. FILL: it exists and is empty. RESUME: this restore was interrupted there.
    COMPARE: it holds as many records as the snapshot; it is left alone if they are the same ones.
    REFUSE: it holds something else.
    """

    CREATE = "create"
    FILL = "fill"
    RESUME = "resume"
    COMPARE = "compare"
    REFUSE = "refuse"


class OffsetRule(StrEnum):
    """REMAP: records stand back to back, positions are set anew. EXACT: every record has the offset it had."""

    REMAP = "remap"
    EXACT = "exact"


class DriftPolicy(StrEnum):
    """What becomes of the target's own settings and rules where they differ from the captured ones.

    KEEP: they stay. APPLY: the captured ones come. REFUSE: nothing is restored.
    """

    KEEP = "keep"
    APPLY = "apply"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDrift:
    """One setting of a topic that was there already; None where a side has none of its own."""

    key: str
    captured: str | None
    there: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessDrift:
    """Access rules on restored topics and groups: captured ones that the target lacks, and those that it alone has.

    With APPLY the `missing` are made; `extra` ones are told and stay. `unknown` says why the target's are not known.
    """

    policy: DriftPolicy
    missing: tuple[AclBinding, ...] = ()
    extra: tuple[AclBinding, ...] = ()
    unknown: str | None = None

    @property
    def refusal(self) -> str | None:
        """Why a restore may not begin; None when it may."""
        if self.policy is DriftPolicy.KEEP:
            return None
        if self.unknown is not None:
            return f"access rules of the target are not known: {self.unknown}"
        if self.policy is DriftPolicy.APPLY or not (self.missing or self.extra):
            return None
        return (
            f"access rules differ: {len(self.missing)} captured ones are missing, {len(self.extra)} are there besides"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExactEffort:
    """What it takes to give a topic's records their offsets again.

    `holes` are runs of offsets without a visible record, `hole_offsets` the offsets in them; `burned_offsets` lie
    below the log starts. `seconds` is an estimate of what they cost, the records not counted.
    """

    holes: int
    hole_offsets: int
    burned_offsets: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRestorePlan:
    """One topic: from where to where, how much, and the settings before and after.

    `rebuilt_batches` of `batches` must be decoded; the others go as they are. `settings` are in force while
    data is written, `final_settings` afterwards; None takes the topic's own value away. `exact` is what exact offsets
    take, None where they are not asked for. `stops` are the captured offsets before which partitions stop that do not
    go to their end; -1: nothing of it is restored. `drift` is where a topic that was there has
    other settings.
    """

    source: TopicName
    target: TopicName
    action: RestoreAction
    partitions: int
    replication_factor: int
    records: int
    bytes: int
    batches: int
    rebuilt_batches: int
    settings: Mapping[str, str] = field(default_factory=dict)
    final_settings: Mapping[str, str | None] = field(default_factory=dict)
    refusal: str | None = None
    exact: ExactEffort | None = None
    stops: Mapping[int, int] = field(default_factory=dict)
    drift: tuple[SettingDrift, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRestorePlan:
    """Where a group would go on: target topic → partition → next offset. Exact: nothing skipped or read twice.

    `metadata` is what its consumers had left with their positions, in the same order.
    """

    group: GroupName
    offsets: Mapping[TopicName, Mapping[int, int]]
    metadata: Mapping[TopicName, Mapping[int, str]] = field(default_factory=dict)
    refusal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """Everything a restore would do; it does nothing as long as one topic or group is refused."""

    snapshot: SnapshotId
    cluster: ClusterName
    topics: tuple[TopicRestorePlan, ...]
    groups: tuple[GroupRestorePlan, ...] = ()
    warnings: tuple[str, ...] = ()
    offsets: OffsetRule = OffsetRule.REMAP
    access: AccessDrift | None = None

    @property
    def refusals(self) -> tuple[str, ...]:
        """Why it may not begin; empty when it may."""
        found = [*(topic.refusal for topic in self.topics), *(group.refusal for group in self.groups)]
        found.append(None if self.access is None else self.access.refusal)
        return tuple(refusal for refusal in found if refusal is not None)

    @property
    def records(self) -> int:
        """Records of all topics."""
        return sum(topic.records for topic in self.topics)

    @property
    def bytes(self) -> int:
        """Bytes of all topics, as captured."""
        return sum(topic.bytes for topic in self.topics)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredTopic:
    """One topic as it stands now. `found_records` were there already and proven to be the snapshot's."""

    source: TopicName
    target: TopicName
    action: RestoreAction
    partitions: int
    records: int
    found_records: int
    rebuilt_batches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What a restore did: every record of the snapshot is on the target once, in order.

    `groups` stand where they were planned to, read back. With exact offsets `filled_offsets` were taken by nothing a
    reader of committed data sees, and log starts, ends and every record's offset were read back.
    """

    snapshot: SnapshotId
    cluster: ClusterName
    topics: tuple[RestoredTopic, ...]
    groups: tuple[GroupName, ...]
    records: int
    written_records: int
    written_bytes: int
    seconds: float
    warnings: tuple[str, ...] = ()
    offsets: OffsetRule = OffsetRule.REMAP
    filled_offsets: int = 0
    granted_rules: int = 0
