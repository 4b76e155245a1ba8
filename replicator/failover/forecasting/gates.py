"""The gates of a failover: what would stop it, or bite later, each with its fix. Values to values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from replicator.failover.steps.survey import STALE_GROUPS_SECONDS
from replicator.model.cluster import TopicDescription
from replicator.model.forms.figures import show_bytes, show_seconds
from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from replicator.model.supervision.forecasts import Gate
from replicator.wire import DiskSpace

FRESH_SECONDS_MAX = 30.0
"""Observations older than this are no longer what a supervisor that lives would have left."""
AHEAD_SECONDS_MAX = 2.0
"""Two clocks that are kept differ by less; a reading further ahead was told by a clock that stepped."""
CLOCK_FIX = "replicator doctor"
DRILL_SECONDS_MAX = 30 * 24 * 3600.0
"""A rehearsal older than this proves little of today."""
ROOM_SHARE_MIN = 0.1
"""With less room than this the standby may not take a day of production."""
LISTED_MAX = 3
MIN_IN_SYNC, UNCLEAN = "min.insync.replicas", "unclean.leader.election.enable"
RETENTION, RETENTION_BYTES = "retention.ms", "retention.bytes"
LARGEST, POLICY = "max.message.bytes", "cleanup.policy"
KEYS = (MIN_IN_SYNC, UNCLEAN, RETENTION, RETENTION_BYTES, LARGEST, POLICY)
"""The settings that are compared."""

Configs = Mapping[TopicName, Mapping[str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sides:
    """Both clusters as they were asked at one moment. Maps are by the source's topic; None: could not be asked.

    `disks` are the fullest of each broker; `foreign_partitions` are copies that somebody else has written since the
    look before. `retention_runway_seconds` None: nothing waits to be mirrored, or what waits is kept for ever.
    """

    read_at: datetime
    copies: Mapping[TopicName, TopicDescription]
    copy_configs: Configs = field(default_factory=dict)
    on_source: Mapping[TopicName, TopicDescription] | None = None
    source_configs: Configs | None = None
    active_groups: tuple[GroupName, ...] = ()
    disks: Mapping[int, DiskSpace] | None = None
    foreign_partitions: tuple[TopicPartition, ...] | None = None
    retention_runway_seconds: float | None = None

    def copy_number(self, topic: TopicName, key: str, *, default: int = 0) -> int:
        """Return a setting of a topic's copy as a number."""
        return _number(self.copy_configs, topic, key, default)

    def source_number(self, topic: TopicName, key: str, *, default: int = 0) -> int:
        """Return a setting of a topic on the source as a number."""
        return _number(self.source_configs or {}, topic, key, default)


def _number(configs: Configs, topic: TopicName, key: str, default: int) -> int:
    value = configs.get(topic, {}).get(key)
    return default if value is None else int(value)


@dataclass(frozen=True, slots=True)
class MissingRight:
    """One right that somebody lacks, by name, and the command that grants it."""

    told: str
    fix: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """What the gates are decided from. `observed` are the partitions of each of the flow's topics on the source.

    `window_seconds` is for how long the source could have written unseen if it were lost now; `groups_read_at` when
    the positions of the group looked at longest ago were read. `running` are the flow's connectors that run with a
    task; None: Connect does not answer. `sides` None: the clusters were not asked yet. `missing_rights` None: unknown.
    """

    flow: FlowName
    target: str
    now: datetime
    window_seconds: float | None
    source_read_at: datetime | None
    is_source_answering: bool
    partitions_mirrored: int
    observed: Mapping[TopicName, int]
    groups_read_at: datetime | None
    open_operation: str | None
    is_active_already: bool
    running: tuple[str, ...] | None
    last_drill_at: datetime | None
    sides: Sides | None
    missing_rights: tuple[MissingRight, ...] | None = None


def decide_gates(facts: GateFacts) -> tuple[Gate, ...]:
    """Return every gate of the flow's failover, in the order in which they matter."""
    return (
        _gate_active(facts),
        _gate_operation(facts),
        _gate_mirrored(facts),
        _gate_groups_known(facts),
        _gate_healthy(facts),
        _gate_observed(facts),
        _gate_offsets_fresh(facts),
        _gate_flow(facts),
        _gate_copies(facts),
        _gate_partitions(facts),
        _gate_durability(facts),
        _gate_settings(facts),
        _gate_room(facts),
        _gate_rights(facts),
        _gate_strangers(facts),
        _gate_groups_free(facts),
        _gate_drilled(facts),
    )


def _gate_active(facts: GateFacts) -> Gate:
    told = f"{facts.target} is active already" if facts.is_active_already else f"{facts.target} is the standby"
    return Gate(
        name="standby_is_free",
        is_open=not facts.is_active_already,
        told=told,
        fix=f"replicator failback {facts.flow}",
        is_blocking=True,
    )


def _gate_operation(facts: GateFacts) -> Gate:
    open_ = facts.open_operation
    return Gate(
        name="no_operation_is_open",
        is_open=open_ is None,
        told="none is open" if open_ is None else f"{open_} is not over",
        fix=f"replicator op resume {open_}",
        is_blocking=True,
    )


def _gate_mirrored(facts: GateFacts) -> Gate:
    count = facts.partitions_mirrored
    return Gate(
        name="something_is_mirrored",
        is_open=count > 0 or bool(facts.observed),
        told=f"{count} partitions are mirrored",
        fix=f"replicator apply {facts.flow}",
        is_blocking=True,
    )


def _gate_groups_known(facts: GateFacts) -> Gate:
    window = facts.window_seconds
    is_known = window is not None and window <= STALE_GROUPS_SECONDS
    told = "groups were never observed" if window is None else f"groups were read {show_seconds(window)} ago"
    return Gate(name="groups_are_known", is_open=is_known, told=told, fix="replicator run", is_blocking=True)


def _gate_observed(facts: GateFacts) -> Gate:
    age = _age_seconds(facts.source_read_at, facts.now)
    ahead = _tell_ahead("the source was read", facts.source_read_at)
    if age is None and ahead is not None:
        return Gate(name="source_is_observed", is_open=None, told=ahead, fix=CLOCK_FIX)
    is_fresh = age is not None and (age <= FRESH_SECONDS_MAX or not facts.is_source_answering)
    told = "the source was never read" if age is None else f"the source was read {show_seconds(age)} ago"
    return Gate(name="source_is_observed", is_open=is_fresh, told=told, fix="replicator run")


def _gate_flow(facts: GateFacts) -> Gate:
    if facts.running is None:
        return Gate(
            name="flow_runs",
            is_open=False,
            told="Connect does not answer: MirrorMaker would be fenced through Kafka alone",
            fix=f"replicator flow show {facts.flow}",
        )
    told = f"{', '.join(facts.running)} run" if facts.running else "no connector runs"
    return Gate(name="flow_runs", is_open=bool(facts.running), told=told, fix=f"replicator flow resume {facts.flow}")


def _unseen(name: str, *, is_blocking: bool = False) -> Gate:
    return Gate(name=name, is_open=None, told="the clusters were not asked yet", is_blocking=is_blocking)


def _gate_copies(facts: GateFacts) -> Gate:
    if facts.sides is None:
        return _unseen("every_topic_has_a_copy")
    missing = sorted(set(facts.observed) - set(facts.sides.copies))
    told = f"no copy of {_listed(missing)}" if missing else f"{len(facts.sides.copies)} topics have a copy"
    return Gate(name="every_topic_has_a_copy", is_open=not missing, told=told, fix=f"replicator apply {facts.flow}")


def _gate_partitions(facts: GateFacts) -> Gate:
    if facts.sides is None:
        return _unseen("partitions_match")
    copies = facts.sides.copies
    fewer = sorted(name for name, n in facts.observed.items() if name in copies and len(copies[name].partitions) < n)
    told = f"fewer partitions than on the source: {_listed(fewer)}" if fewer else "no copy lacks a partition"
    return Gate(name="partitions_match", is_open=not fewer, told=told, fix=f"replicator apply {facts.flow}")


def _gate_healthy(facts: GateFacts) -> Gate:
    """A copy without a leader cannot be read, so a failover stops at it; one that lacks replicas takes no writes."""
    if facts.sides is None:
        return _unseen("standby_is_healthy", is_blocking=True)
    copies = facts.sides.copies
    headless = sorted(name for name, t in copies.items() if any(p.leader is None for p in t.partitions))
    thin = sorted(
        name
        for name, topic in copies.items()
        if any(len(p.in_sync) < facts.sides.copy_number(name, MIN_IN_SYNC, default=1) for p in topic.partitions)
    )
    told = "every copy has a leader and enough replicas in sync"
    if thin:
        told = f"fewer replicas in sync than {MIN_IN_SYNC} asks for: {_listed(thin)}"
    if headless:
        told = f"no leader: {_listed(headless)}"
    return Gate(
        name="standby_is_healthy",
        is_open=not headless and not thin,
        told=told,
        fix=f"bring back the brokers of {facts.target} that are missing; then replicator doctor",
        is_blocking=bool(headless),
    )


def _gate_durability(facts: GateFacts) -> Gate:
    name = "durability_matches"
    if facts.sides is None:
        return _unseen(name)
    sides = facts.sides
    if sides.on_source is None:
        return Gate(name=name, is_open=None, told="the source cannot be asked")
    both = sorted(set(sides.copies) & set(sides.on_source))
    weaker = [n for n in both if sides.copies[n].replication_factor < sides.on_source[n].replication_factor]
    laxer = [n for n in both if sides.copy_number(n, MIN_IN_SYNC) < sides.source_number(n, MIN_IN_SYNC)]
    told, fix = "no copy has fewer replicas, or asks for fewer in sync", ""
    if laxer:
        told = f"{MIN_IN_SYNC} lower than on the source: {_listed(laxer)}"
        fix = _alter(facts, laxer[0], f"{MIN_IN_SYNC}={sides.source_number(laxer[0], MIN_IN_SYNC)}")
    if weaker:
        told = f"fewer replicas than on the source: {_listed(weaker)}"
        fix = f"reassign the copies on {facts.target} with more replicas: kafka-reassign-partitions.sh"
    return Gate(name=name, is_open=not weaker and not laxer, told=told, fix=fix)


def _gate_settings(facts: GateFacts) -> Gate:
    """Settings of the copies that would bite once clients are there."""
    if facts.sides is None:
        return _unseen("settings_would_hold")
    biting = [bite for name in sorted(facts.sides.copies) for bite in find_bites(facts.sides, name)]
    if not biting:
        return Gate(name="settings_would_hold", is_open=True, told="no setting of a copy would bite later")
    topic, told, setting = biting[0]
    more = f" (and {len(biting) - 1} more)" if len(biting) > 1 else ""
    return Gate(
        name="settings_would_hold", is_open=False, told=f"{topic}: {told}{more}", fix=_alter(facts, topic, setting)
    )


def find_bites(sides: Sides, topic: TopicName) -> list[tuple[TopicName, str, str]]:
    """Return each setting of a topic's copy that would bite after a failover: topic, what it is, what it should be."""
    found: list[tuple[TopicName, str, str]] = []
    if sides.copy_configs.get(topic, {}).get(UNCLEAN) == "true":
        found.append((topic, "a replica that lags may become leader: acknowledged records vanish", f"{UNCLEAN}=false"))
    if sides.source_configs is None or topic not in sides.source_configs:
        return found
    for key, what in ((RETENTION, "is deleted sooner than on the source"), (RETENTION_BYTES, "keeps fewer bytes")):
        ours, theirs = sides.copy_number(topic, key, default=-1), sides.source_number(topic, key, default=-1)
        if ours >= 0 and (theirs < 0 or ours < theirs):
            found.append((topic, f"{key}={ours}: it {what} ({theirs})", f"{key}={theirs}"))
    ours, theirs = (sides.copy_number(topic, LARGEST), sides.source_number(topic, LARGEST))
    if ours < theirs:
        found.append((topic, f"{LARGEST}={ours}: records that the source took would be refused", f"{LARGEST}={theirs}"))
    policies = (sides.copy_configs.get(topic, {}).get(POLICY), sides.source_configs[topic].get(POLICY))
    if None not in policies and policies[0] != policies[1]:
        found.append((topic, f"{POLICY} is {policies[0]}, on the source {policies[1]}", f"{POLICY}={policies[1]}"))
    return found


def _alter(facts: GateFacts, topic: TopicName, setting: str) -> str:
    copy = facts.sides.copies[topic].name if facts.sides is not None else topic
    value = f"[{setting}]" if "," in setting else setting
    return f"kafka-configs.sh --bootstrap-server ${facts.target.upper()} --alter --topic {copy} --add-config {value}"


def _gate_room(facts: GateFacts) -> Gate:
    name = "standby_has_room"
    if facts.sides is None or not facts.sides.disks:
        return Gate(name=name, is_open=None, told="no broker has told how much room it has")
    broker, disk = min(facts.sides.disks.items(), key=lambda item: item[1].usable_share)
    told = f"broker {broker} has {show_bytes(disk.usable_bytes)} of {show_bytes(disk.total_bytes)} left"
    is_open = disk.usable_share >= ROOM_SHARE_MIN
    return Gate(name=name, is_open=is_open, told=told, fix=f"give broker {broker} of {facts.target} more disk")


def _gate_rights(facts: GateFacts) -> Gate:
    name = "rights_are_there"
    if facts.missing_rights is None:
        return Gate(name=name, is_open=None, told="no authorizer, or its rules cannot be listed")
    if not facts.missing_rights:
        return Gate(name=name, is_open=True, told="every right that is needed is there")
    told = "; ".join(right.told for right in facts.missing_rights[:LISTED_MAX])
    more = len(facts.missing_rights) - LISTED_MAX
    return Gate(
        name=name,
        is_open=False,
        told=told + (f" and {more} more" if more > 0 else ""),
        fix=facts.missing_rights[0].fix,
    )


def _gate_strangers(facts: GateFacts) -> Gate:
    name = "nobody_else_writes_the_copies"
    if facts.sides is None or facts.sides.foreign_partitions is None:
        return Gate(name=name, is_open=None, told="what was written to the copies was not looked at")
    strangers = [str(tp) for tp in facts.sides.foreign_partitions]
    told = f"records that the flow did not write: {_listed(strangers)}" if strangers else "only the flow writes them"
    return Gate(
        name=name,
        is_open=not strangers,
        told=told,
        fix=f"find who writes on {facts.target} and stop it; replicator acl",
    )


def _gate_offsets_fresh(facts: GateFacts) -> Gate:
    name = "offsets_are_fresh"
    age = _age_seconds(facts.groups_read_at, facts.now)
    if age is None:
        ahead = _tell_ahead("positions were read", facts.groups_read_at)
        return Gate(name=name, is_open=None, told=ahead or "no group was ever read", fix=ahead and CLOCK_FIX)
    is_open = age <= FRESH_SECONDS_MAX or not facts.is_source_answering
    return Gate(name=name, is_open=is_open, told=f"positions were read {show_seconds(age)} ago", fix="replicator run")


def _gate_drilled(facts: GateFacts) -> Gate:
    age = _age_seconds(facts.last_drill_at, facts.now)
    ahead = _tell_ahead("the last drill that passed ended", facts.last_drill_at)
    if age is None and ahead is not None:
        return Gate(name="drilled_lately", is_open=None, told=ahead, fix=CLOCK_FIX)
    told = "never drilled" if age is None else f"the last drill that passed ended {show_seconds(age)} ago"
    is_open = age is not None and age <= DRILL_SECONDS_MAX
    return Gate(name="drilled_lately", is_open=is_open, told=told, fix=f"replicator drill {facts.flow}")


def _gate_groups_free(facts: GateFacts) -> Gate:
    if facts.sides is None:
        return _unseen("groups_are_free")
    active = sorted(facts.sides.active_groups)
    told = f"members on {facts.target}: {_listed(active)}" if active else "no group has members there"
    return Gate(
        name="groups_are_free",
        is_open=not active,
        told=told,
        fix=f"stop the consumers of {_listed(active)} on {facts.target}",
    )


def _age_seconds(moment: datetime | None, now: datetime) -> float | None:
    """Return how old a reading is; None where there is none, or where this clock has not reached it: what a clock that
    stepped tells of its age is nothing."""
    if moment is None or (now - moment).total_seconds() < -AHEAD_SECONDS_MAX:
        return None
    return max(0.0, (now - moment).total_seconds())


def _tell_ahead(what: str, moment: datetime | None) -> str | None:
    """Return what is told of a reading that is there and has no age; None where there is no reading."""
    return None if moment is None else f"{what} at {moment:%H:%M:%S} UTC, which this clock has not reached"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(names[:LISTED_MAX]) + more
