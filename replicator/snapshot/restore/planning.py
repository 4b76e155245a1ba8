"""What a restore would do, decided before anything is touched. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from replicator.errors import NotFound, UsageError
from replicator.model.archive.restores import RestoreAction, RestorePlan, TopicRestorePlan
from replicator.model.archive.snapshots import CapturedTopic, Manifest
from replicator.model.flow import Selection
from replicator.model.names import ClusterName, TopicName
from replicator.model.observations import PartitionEnds

MARK_KEY = "delete.retention.ms"
"""Where a topic being restored says so: the setting means nothing while `cleanup.policy` is `delete`."""
_MARK_BASE = 1 << 50
_LONG_MAX = "9223372036854775807"
_DEFAULT_MAX_MESSAGE_BYTES = 1_048_588
_REBUILD_SLACK = 1.25
"""A rebuilt batch may compress worse than its producer made it."""

HOLDING_SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": _LONG_MAX,
        "message.timestamp.after.max.ms": _LONG_MAX,
        "compression.type": "producer",
    }
)
"""While data is written nothing may delete, compact, re-time or re-compress it."""


@dataclass(frozen=True, slots=True)
class TargetTopic:
    """A topic of the target as it stands: its ends by partition and its settings in force."""

    ends: Mapping[int, PartitionEnds]
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[int, int]:
        """Offsets held by each partition."""
        return {number: ends.end - ends.log_start for number, ends in self.ends.items()}


@dataclass(frozen=True, slots=True)
class TargetView:
    """The target cluster as far as a restore cares; topics that do not exist are absent."""

    cluster: ClusterName
    brokers: int
    topics: Mapping[TopicName, TargetTopic]


def name_targets(
    manifest: Manifest, *, topics: Selection, renames: Mapping[TopicName, TopicName]
) -> dict[TopicName, TopicName]:
    """Return captured name → target name of every selected topic.

    Raises: NotFound when nothing is selected; UsageError when two topics would become one, or a rename names
    a topic that is not selected.
    """
    chosen = [topic.name for topic in manifest.topics if topics.matches(topic.name)]
    if not chosen:
        raise NotFound(
            f"snapshot {manifest.id} holds no topic that matches {', '.join(topics.include)}",
            hint=f"replicator snapshot show {manifest.id}",
        )
    if unknown := sorted(set(renames) - set(chosen)):
        raise UsageError(
            f"--rename {unknown[0]}: that topic is not restored", hint=f"replicator snapshot show {manifest.id}"
        )
    targets = {name: renames.get(name, name) for name in chosen}
    twice = sorted({target for target in targets.values() if list(targets.values()).count(target) > 1})
    if twice:
        raise UsageError(f"two topics would be restored as {twice[0]}", hint="give one of them another --rename")
    return targets


def plan_restore(
    manifest: Manifest,
    targets: Mapping[TopicName, TopicName],
    *,
    configs: Mapping[str, Mapping[str, str]],
    view: TargetView,
    now: datetime,
) -> RestorePlan:
    """Return the plan. `configs` are the captured topic settings; `view` is the target as it stands."""
    plans = []
    warnings: list[str] = []
    for topic in manifest.topics:
        if topic.name in targets:
            plan = _plan_topic(manifest, topic, targets[topic.name], configs.get(topic.name, {}), view)
            plans.append(plan)
            warnings += _warn(topic, plan, configs.get(topic.name, {}), view, now)
    return RestorePlan(snapshot=manifest.id, cluster=view.cluster, topics=tuple(plans), warnings=tuple(warnings))


def _plan_topic(
    manifest: Manifest, topic: CapturedTopic, target: TopicName, configs: Mapping[str, str], view: TargetView
) -> TopicRestorePlan:
    mark = make_mark(manifest, topic.name)
    action, refusal = choose_action(topic, target, view.topics.get(target), mark=mark)
    chunks = [chunk.facts for partition in topic.partitions for chunk in partition.chunks]
    replicas = min(topic.replication_factor, view.brokers)
    largest = max((facts.largest_batch_bytes for facts in chunks), default=0)
    return TopicRestorePlan(
        source=topic.name,
        target=target,
        action=action,
        partitions=len(topic.partitions),
        replication_factor=replicas,
        records=topic.records,
        bytes=topic.plain_bytes,
        batches=sum(facts.batches for facts in chunks),
        rebuilt_batches=sum(facts.rebuilds for facts in chunks),
        settings={**HOLDING_SETTINGS, "max.message.bytes": _room_for(largest, configs), MARK_KEY: mark},
        final_settings=settle(configs, replicas=replicas),
        refusal=refusal,
    )


def choose_action(
    topic: CapturedTopic, target: TopicName, there: TargetTopic | None, *, mark: str
) -> tuple[RestoreAction, str | None]:
    """Return what to do with a target topic, and why not if it may not be touched."""
    if there is None:
        return RestoreAction.CREATE, None
    if len(there.ends) != len(topic.partitions):
        return (
            RestoreAction.REFUSE,
            f"topic {target} has {len(there.ends)} partitions, {len(topic.partitions)} were captured",
        )
    if there.settings.get(MARK_KEY) == mark:
        return RestoreAction.RESUME, None
    if is_mark(there.settings.get(MARK_KEY, "")):
        return RestoreAction.REFUSE, f"topic {target} is half restored from another snapshot or topic"
    if not any(there.counts.values()):
        return RestoreAction.FILL, None
    if there.counts == {partition.partition: partition.records for partition in topic.partitions}:
        return RestoreAction.COMPARE, None
    return RestoreAction.REFUSE, f"topic {target} is not empty"


def make_mark(manifest: Manifest, topic: TopicName) -> str:
    """Return the value that says: this topic is being restored from that topic of that snapshot."""
    digest = hashlib.sha256(f"{manifest.repository}/{manifest.id}/{topic}".encode()).digest()
    return str(_MARK_BASE + int.from_bytes(digest[:6], "big"))


def is_mark(value: str) -> bool:
    """Whether a setting's value was written by a restore; real ones are thousands of years smaller."""
    return value.isdigit() and _MARK_BASE <= int(value) < _MARK_BASE << 1


def settle(configs: Mapping[str, str], *, replicas: int) -> dict[str, str | None]:
    """Return the changes that end a restore: what was captured, and nothing left of what held it."""
    final: dict[str, str | None] = dict.fromkeys([*HOLDING_SETTINGS, "max.message.bytes", MARK_KEY])
    final.update(configs)
    if int(configs.get("min.insync.replicas", "1")) > replicas:
        final["min.insync.replicas"] = None
    return final


def _room_for(largest: int, configs: Mapping[str, str]) -> str:
    captured = int(configs.get("max.message.bytes", _DEFAULT_MAX_MESSAGE_BYTES))
    return str(max(captured, round(largest * _REBUILD_SLACK)))


def _warn(
    topic: CapturedTopic, plan: TopicRestorePlan, configs: Mapping[str, str], view: TargetView, now: datetime
) -> Iterator[str]:
    if topic.gap_count:
        yield f"topic {topic.name}: {topic.gap_count} gaps: offsets the cluster had lost before they were captured"
    if plan.replication_factor < topic.replication_factor:
        wanted = topic.replication_factor
        yield f"topic {plan.target}: {plan.replication_factor} replicas, not {wanted}: there are {view.brokers} brokers"
    if int(configs.get("min.insync.replicas", "1")) > plan.replication_factor:
        yield f"topic {plan.target}: min.insync.replicas is left at the broker's default"
    if _is_expired(topic, configs, now):
        yield f"topic {plan.target}: all of it is older than its retention.ms; the broker will delete it soon after"


def _is_expired(topic: CapturedTopic, configs: Mapping[str, str], now: datetime) -> bool:
    retention_ms = int(configs.get("retention.ms", "-1"))
    if retention_ms < 0 or "delete" not in configs.get("cleanup.policy", "delete"):
        return False
    times = list(_newest_times(topic))
    oldest_kept = (now - timedelta(milliseconds=min(retention_ms, 10**14))).timestamp() * 1000
    return bool(times) and max(times) < oldest_kept


def _newest_times(topic: CapturedTopic) -> Iterable[int]:
    for partition in topic.partitions:
        for chunk in partition.chunks:
            if chunk.facts.max_timestamp_ms is not None:
                yield chunk.facts.max_timestamp_ms
