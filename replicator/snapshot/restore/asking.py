"""What a restore is asked for, and its plan: the snapshot and the target are looked at, nothing is changed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from replicator.clock import Clock, Deadline
from replicator.errors import AccessDenied, OperationFailed
from replicator.kafka import KafkaCluster
from replicator.model.archive.restores import (
    AccessDrift,
    DriftPolicy,
    ExactEffort,
    GroupRestorePlan,
    OffsetRule,
    RestorePlan,
)
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Selection
from replicator.model.names import SnapshotId, TopicName, TopicPartition
from replicator.snapshot.progress import Progress, Report, Stage
from replicator.snapshot.reading import count_below, leave_out_shredded
from replicator.snapshot.repository import Repository
from replicator.snapshot.restore.drift import compare_access
from replicator.snapshot.restore.exact import EXACT_SECONDS_MAX, measure_effort
from replicator.snapshot.restore.naming import Renaming, name_targets
from replicator.snapshot.restore.narrowing import LEFT_OUT, Extent, Stops, find_stops, narrow
from replicator.snapshot.restore.planning import TargetTopic, TargetView, plan_restore
from replicator.snapshot.restore.positions import hold_within, plan_positions, read_metadata, read_positions
from replicator.wire import RawClient

LOOK_SECONDS = 60.0
"""Looking at the target takes no longer, however long writing may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What to restore, how much of it, and under which names on the target (captured name → target name).

    `renames`, `rename_patterns` and `prefix` as in Renaming.
    `groups` None: no group's positions are touched. With EXACT `offsets` a topic whose offsets would take longer than
    `exact_seconds_max` is refused. `configs` is for topics that are there already, `access` for the rules on restored
    topics and groups.
    """

    topics: Selection = Selection()
    renames: Mapping[TopicName, TopicName] = field(default_factory=dict)
    rename_patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    prefix: str = ""
    extent: Extent = Extent()
    groups: Selection | None = None
    offsets: OffsetRule = OffsetRule.REMAP
    exact_seconds_max: float = EXACT_SECONDS_MAX
    configs: DriftPolicy = DriftPolicy.APPLY
    access: DriftPolicy = DriftPolicy.KEEP


class Asker:
    """Plans restores of one repository to one cluster."""

    def __init__(
        self,
        cluster: KafkaCluster,
        raw: RawClient,
        repository: Repository,
        *,
        clock: Clock,
        deadline: Deadline,
        report: Report,
    ) -> None:
        self._cluster = cluster
        self._raw = raw
        self._repository = repository
        self._clock = clock
        self._deadline = deadline
        self._report = report

    def plan(self, snapshot_id: SnapshotId, request: RestoreRequest) -> RestorePlan:
        """Return what a restore would do, having changed nothing.

        Raises: NotFound, UsageError, DataCorrupt for the snapshot; WrongCluster, Unreachable, AccessDenied.
        """
        manifest = self._repository.read_manifest(snapshot_id)
        renaming = Renaming(names=request.renames, patterns=request.rename_patterns, prefix=request.prefix)
        targets = name_targets(manifest, topics=request.topics, renaming=renaming)
        targets, warnings = leave_out_shredded(self._repository, manifest, targets)
        narrowed = find_stops(manifest, targets, request.extent, self._repository.read_chunk)
        manifest = narrow(manifest, narrowed.stops, self._repository.read_chunk)
        configs = self._repository.read_state(manifest, "configs").get("topics", {})
        view = self._look_at_target(list(targets.values()))
        plan = plan_restore(
            manifest,
            targets,
            configs=configs,
            view=view,
            now=self._clock.now(),
            efforts=self._measure(manifest, targets) if request.offsets is OffsetRule.EXACT else None,
            exact_seconds_max=request.exact_seconds_max,
            stops=narrowed.stops,
            policy=request.configs,
        )
        plan = replace(plan, warnings=(*plan.warnings, *warnings, *narrowed.warnings))
        if request.groups is not None:
            is_exact = request.offsets is OffsetRule.EXACT
            groups = self._plan_groups(manifest, request.groups, targets, view, stops=narrowed.stops, is_exact=is_exact)
            plan = replace(plan, groups=groups)
        return replace(plan, access=self._compare_access(manifest, targets, plan, request.access))

    def _measure(self, manifest: Manifest, targets: Mapping[TopicName, TopicName]) -> dict[TopicName, ExactEffort]:
        """Return what exact offsets take of every topic that is restored; chunks with holes are read for it."""
        efforts = {}
        for topic in manifest.topics:
            if topic.name in targets:
                self._report(Progress(stage=Stage.SURVEY))
                efforts[topic.name] = measure_effort(topic, self._repository.read_chunk)
        return efforts

    def _plan_groups(
        self,
        manifest: Manifest,
        groups: Selection,
        targets: Mapping[TopicName, TopicName],
        view: TargetView,
        *,
        stops: Stops,
        is_exact: bool,
    ) -> tuple[GroupRestorePlan, ...]:
        captured = read_positions(self._repository, manifest, groups)
        soon = Deadline.after(self._deadline.capped(LOOK_SECONDS), clock=self._clock)
        return plan_positions(
            manifest,
            captured,
            targets=targets,
            log_starts={} if is_exact else _log_starts(view),
            there=self._cluster.groups.committed(list(captured), soon) if captured else {},
            count=hold_within if is_exact else partial(count_below, self._repository),
            left=read_metadata(self._repository, manifest),
            left_out=[TopicPartition(t, n) for t, own in stops.items() for n, stop in own.items() if stop == LEFT_OUT],
        )

    def _compare_access(
        self, manifest: Manifest, targets: Mapping[TopicName, TopicName], plan: RestorePlan, policy: DriftPolicy
    ) -> AccessDrift | None:
        """Return how access rules differ; None where none were captured and nobody asked."""
        if "acls" not in manifest.states:
            asked = policy is not DriftPolicy.KEEP
            return AccessDrift(policy=policy, unknown="the snapshot holds none") if asked else None
        rules = self._repository.read_state(manifest, "acls").get("rules", [])
        soon = Deadline.after(self._deadline.capped(LOOK_SECONDS), clock=self._clock)
        try:
            there = self._cluster.acls.list(soon)
        except (AccessDenied, OperationFailed) as exc:
            return AccessDrift(policy=policy, unknown=exc.message)
        return compare_access(
            rules, there, targets=targets, groups=[group.group for group in plan.groups], policy=policy
        )

    def _look_at_target(self, names: Sequence[TopicName]) -> TargetView:
        soon = Deadline.after(self._deadline.capped(LOOK_SECONDS), clock=self._clock)
        identity = self._cluster.verify_identity(soon)
        described = self._cluster.topics.describe(names, soon)
        configs = self._cluster.topics.configs(list(described), soon)
        partitions = [TopicPartition(t.name, p.partition) for t in described.values() for p in t.partitions]
        ends = self._raw.read_ends(partitions, deadline=soon) if partitions else {}
        topics = {
            name: TargetTopic(
                {tp.partition: found for tp, found in ends.items() if tp.topic == name},
                {key: config.value for key, config in configs[name].items() if config.value is not None},
                {k: c.value for k, c in configs[name].items() if c.value is not None and not c.is_default},
            )
            for name in described
        }
        return TargetView(self._cluster.name, len(identity.brokers), topics)


def _log_starts(view: TargetView) -> dict[TopicPartition, int]:
    return {
        TopicPartition(name, number): ends.log_start
        for name, topic in view.topics.items()
        for number, ends in topic.ends.items()
    }
