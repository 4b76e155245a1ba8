"""What a restore would do, decided before anything is touched. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from replicator.model.archive.restores import (
    DriftPolicy,
    ExactEffort,
    OffsetRule,
    RestoreAction,
    RestorePlan,
    TopicRestorePlan,
)
from replicator.model.archive.snapshots import CapturedTopic, Manifest
from replicator.model.names import ClusterName, TopicName
from replicator.model.observations import PartitionEnds
from replicator.snapshot.restore.drift import compare_settings, refuse_drift, settle_drift
from replicator.snapshot.restore.narrowing import Stops

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
    """A topic of the target as it stands: its ends by partition, its settings in force, and those it has of its own."""

    ends: Mapping[int, PartitionEnds]
    settings: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)

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


def plan_restore(
    manifest: Manifest,
    targets: Mapping[TopicName, TopicName],
    *,
    configs: Mapping[str, Mapping[str, str]],
    view: TargetView,
    now: datetime,
    efforts: Mapping[TopicName, ExactEffort] | None = None,
    exact_seconds_max: float = 0.0,
    stops: Stops = MappingProxyType({}),
    policy: DriftPolicy = DriftPolicy.APPLY,
) -> RestorePlan:
    """Return the plan. `configs` are the captured topic settings; `view` is the target as it stands.

    With `efforts` of every topic records keep their offsets; one that takes longer than the limit is refused. `stops`
    are those by which the manifest was narrowed, `policy` is for the settings of topics that are there.
    """
    plans = []
    warnings: list[str] = []
    for topic in manifest.topics:
        if topic.name in targets:
            own = stops.get(topic.name, {})
            mark = make_mark(manifest, topic.name, is_exact=efforts is not None, stops=own)
            plan = _plan_topic(
                topic, targets[topic.name], configs.get(topic.name, {}), view, mark=mark, is_exact=efforts is not None
            )
            plan = _note_drift(replace(plan, stops=own), configs.get(topic.name, {}), view, policy)
            if efforts is not None:
                plan = _weigh(plan, efforts[topic.name], exact_seconds_max)
            plans.append(plan)
            warnings += _warn(topic, plan, configs.get(topic.name, {}), view, now)
    offsets = OffsetRule.REMAP if efforts is None else OffsetRule.EXACT
    found = tuple(plans)
    return RestorePlan(
        snapshot=manifest.id, cluster=view.cluster, topics=found, warnings=tuple(warnings), offsets=offsets
    )


def _note_drift(
    plan: TopicRestorePlan, configs: Mapping[str, str], view: TargetView, policy: DriftPolicy
) -> TopicRestorePlan:
    """Return the plan with the settings in which a topic that is there differs, and what becomes of them.

    Of one that an interrupted restore holds only those are known that it does not hold.
    """
    there = view.topics.get(plan.target)
    if there is None or plan.action not in (RestoreAction.FILL, RestoreAction.RESUME):
        return plan
    ignored = plan.settings if plan.action is RestoreAction.RESUME else ()
    drift = compare_settings(configs, there.own, ignored=ignored)
    return replace(
        plan,
        drift=drift,
        final_settings=settle_drift(drift, policy, plan.final_settings, held=plan.settings),
        refusal=plan.refusal or refuse_drift(plan.target, drift, policy),
    )


def _weigh(plan: TopicRestorePlan, effort: ExactEffort, seconds_max: float) -> TopicRestorePlan:
    """Return the plan with its effort, refused when that is above the limit and there is something to write."""
    is_too_much = effort.seconds > seconds_max and plan.action is not RestoreAction.COMPARE
    told = (
        f"topic {plan.target}: exact offsets take about {effort.seconds:,.0f} s for {effort.holes:,} holes and "
        f"{effort.burned_offsets:,} offsets below the log start, the limit is {seconds_max:,.0f} s: "
        "restore with --offsets remap, or raise --exact-limit"
    )
    return replace(plan, exact=effort, refusal=plan.refusal or (told if is_too_much else None))


def _plan_topic(
    topic: CapturedTopic,
    target: TopicName,
    configs: Mapping[str, str],
    view: TargetView,
    *,
    mark: str,
    is_exact: bool,
) -> TopicRestorePlan:
    action, refusal = choose_action(topic, target, view.topics.get(target), mark=mark, is_exact=is_exact)
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
    topic: CapturedTopic, target: TopicName, there: TargetTopic | None, *, mark: str, is_exact: bool = False
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
    if is_exact:
        return _choose_exactly(topic, target, there)
    if not any(there.counts.values()):
        return RestoreAction.FILL, None
    if there.counts == {partition.partition: partition.records for partition in topic.partitions}:
        return RestoreAction.COMPARE, None
    return RestoreAction.REFUSE, f"topic {target} is not empty"


def _choose_exactly(topic: CapturedTopic, target: TopicName, there: TargetTopic) -> tuple[RestoreAction, str | None]:
    """Return what to do with a target topic that must get the captured offsets: they only ever rise."""
    wanted = {partition.partition: (partition.start, partition.end) for partition in topic.partitions}
    if {number: (ends.log_start, ends.end) for number, ends in there.ends.items()} == wanted:
        is_full = any(start < end for start, end in wanted.values())
        return (RestoreAction.COMPARE if is_full else RestoreAction.FILL), None
    if any(there.counts.values()):
        return RestoreAction.REFUSE, f"topic {target} is not empty"
    passed = [number for number, ends in there.ends.items() if ends.end > wanted[number][0]]
    if passed:
        number = min(passed)
        told = f"offset {there.ends[number].end} is next there, {wanted[number][0]} was the first captured"
        return RestoreAction.REFUSE, f"topic {target}: partition {number} has passed the captured offsets: {told}"
    return RestoreAction.FILL, None


def make_mark(
    manifest: Manifest,
    topic: TopicName,
    *,
    is_exact: bool = False,
    stops: Mapping[int, int] = MappingProxyType({}),
) -> str:
    """Return the value that says: this topic is being restored from that topic of that snapshot, this way, this far."""
    way = "/exact" if is_exact else ""
    way += "".join(f"/{partition}={stop}" for partition, stop in sorted(stops.items()))
    digest = hashlib.sha256(f"{manifest.repository}/{manifest.id}/{topic}{way}".encode()).digest()
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
