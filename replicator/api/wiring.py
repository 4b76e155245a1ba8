"""The overview of a live supervisor: its status, and beside it what a failover would lose, groups, operations and
the catalog. Every part is gathered by a loop of its own; the API only ever reads what was gathered last."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import DataCorrupt
from replicator.journal import list_operations, merge_records
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, SnapshotId, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.operations import JournalRecord, LossReport, Operation
from replicator.model.supervision.overview import GroupStatus, Overview, SnapshotEntry
from replicator.model.supervision.status import FlowStatus, Status
from replicator.snapshot import Repository
from replicator.snapshot.keeping import list_verified, read_verification
from replicator.supervisor.assemble import World
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.daemon import Supervisor
from replicator.supervisor.decide.outlook.exposure import loss_now
from replicator.supervisor.decide.outlook.forecast import ForecastFacts, decide_forecast
from replicator.supervisor.decide.readiness import judge_readiness
from replicator.supervisor.loop import Loop
from replicator.supervisor.schedules import open_repository

COMPOSE_PERIOD_SECONDS = 1.0
COMPOSE_BUDGET_SECONDS = 5.0
JOURNAL_PERIOD_SECONDS = 2.0
JOURNAL_BUDGET_SECONDS = 10.0
CATALOG_PERIOD_SECONDS = 30.0
CATALOG_BUDGET_SECONDS = 60.0
CATALOG_MAX = 500
"""So many of the newest snapshots are listed."""
STOP_SECONDS_MAX = 5.0


@dataclass(frozen=True, slots=True)
class Gathered:
    """What the loops gathered last; None: not yet."""

    journals: Mapping[ClusterName, tuple[JournalRecord, ...]]
    snapshots: tuple[SnapshotEntry, ...] | None


class SupervisorSource:
    """Makes overviews of a supervisor. `start` lets its loops run, `stop` ends them."""

    def __init__(self, supervisor: Supervisor, world: World, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._supervisor = supervisor
        self._world = world
        self._clock = clock
        self._journals: dict[ClusterName, tuple[JournalRecord, ...]] = {}
        self._catalog = Catalog(lambda: open_repository(world.settings)) if world.settings.store else None
        self._catalog_loop = None if self._catalog is None else self._make_catalog_loop(self._catalog)
        self._overview = self._compose()
        self._loops = tuple(self._make_loops())

    def overview(self) -> Overview:
        """Return the newest overview; it was composed before it was asked for."""
        return self._overview

    def start(self) -> None:
        """Let the loops run."""
        for loop in self._loops:
            loop.start()

    def stop(self) -> bool:
        """Return whether every loop has ended in time."""
        deadline = Deadline.after(STOP_SECONDS_MAX, clock=self._clock)
        for loop in self._loops:
            loop.stop()
        late = [loop.name for loop in self._loops if not loop.join(deadline)]
        return not late

    def _make_loops(self) -> list[Loop]:
        loops = [
            Loop(
                "overview",
                self._refresh,
                period_seconds=COMPOSE_PERIOD_SECONDS,
                budget_seconds=COMPOSE_BUDGET_SECONDS,
                clock=self._clock,
            )
        ]
        clusters = {name for one in self._supervisor.flows for name in (one.flow.source, one.flow.target)}
        loops += [self._journal_loop(cluster) for cluster in sorted(clusters)]
        return loops if self._catalog_loop is None else [*loops, self._catalog_loop]

    def _make_catalog_loop(self, catalog: Catalog) -> Loop:
        return Loop(
            "catalog",
            catalog.read,
            period_seconds=CATALOG_PERIOD_SECONDS,
            budget_seconds=CATALOG_BUDGET_SECONDS,
            clock=self._clock,
        )

    def _journal_loop(self, cluster: ClusterName) -> Loop:
        journal = self._world.journal(cluster)

        def read(deadline: Deadline) -> None:
            self._journals = {**self._journals, cluster: journal.read(deadline)}

        return Loop(
            f"operations:{cluster}",
            read,
            period_seconds=JOURNAL_PERIOD_SECONDS,
            budget_seconds=JOURNAL_BUDGET_SECONDS,
            clock=self._clock,
        )

    def _refresh(self, _deadline: Deadline) -> None:
        self._overview = self._compose()

    def _compose(self) -> Overview:
        boards = {one.flow.name: (one.flow, one.board) for one in self._supervisor.flows}
        gathered = Gathered(self._journals, self._catalog.entries if self._catalog is not None else None)
        overview = compose_overview(self._supervisor.status, boards=boards, gathered=gathered)
        return replace(
            overview,
            schedules=self._supervisor.schedules,
            advice=self._supervisor.advice,
            repository_errors=None if self._catalog_loop is None else self._catalog_loop.report.errors,
        )


def compose_overview(
    status: Status, *, boards: Mapping[FlowName, tuple[Flow, FlowBoard]], gathered: Gathered
) -> Overview:
    """Return the overview these samples make together."""
    groups = {name: group_statuses(flow, board) for name, (flow, board) in boards.items()}
    readiness, forecasts = {}, {}
    for one in status.flows:
        if one.flow in boards:
            flow, board = boards[one.flow]
            loss = loss_of(flow, board, one)
            readiness[one.flow] = judge_readiness(one, loss=loss, groups=groups[one.flow])
            facts = forecast_facts(flow, board)
            forecast = decide_forecast(one, loss=loss, groups=groups[one.flow], facts=facts, now=status.computed_at)
            if forecast is not None:
                forecasts[one.flow] = forecast
    return Overview(
        status=status,
        readiness=readiness,
        forecasts=forecasts,
        groups={name: found for name, found in groups.items() if found is not None},
        operations=operations_of(gathered.journals),
        journals_read=frozenset(gathered.journals),
        snapshots=gathered.snapshots,
    )


def forecast_facts(flow: Flow, board: FlowBoard) -> ForecastFacts:
    """Return what a forecast needs of the newest samples."""
    source, mirrored = board.source, board.mirrored
    remembered = {seen.topic: len(seen.partitions) for seen in board.remembered_topics}
    seconds, measured = board.expected_rto
    return ForecastFacts(
        observed=remembered if source is None else {name: len(t.partitions) for name, t in source.topics.items()},
        partitions_mirrored=0 if mirrored is None else sum(flow.carries_topic(tp.topic) for tp in mirrored.positions),
        sides=board.sides,
        missing_rights=board.missing_rights,
        expected_rto_seconds=seconds,
        rto_measured_in=measured,
        last_drill_at=board.last_drill_at,
    )


def loss_of(flow: Flow, board: FlowBoard, status: FlowStatus) -> LossReport | None:
    """Return what a failover would lose now, from the newest samples; None while the source was never read."""
    return loss_now(flow, board, window_seconds=status.window_seconds)


def group_statuses(flow: Flow, board: FlowBoard) -> tuple[GroupStatus, ...] | None:
    """Return the flow's groups as they stand on the source; None while they were never read."""
    if board.groups is None:
        return None
    ends = {} if board.source is None else {tp: seen.end for tp, seen in board.source.ends.items()}
    sample = board.translations
    return tuple(
        GroupStatus(
            flow=flow.name,
            observation=seen,
            lag_records=group_lag(seen, ends),
            translation=None if sample is None else sample.translations.get(seen.group),
            is_active_on_target=None if sample is None else seen.group in sample.active_on_target,
        )
        for seen in board.groups.groups.values()
        if seen.state is not GroupState.DEAD
    )


def group_lag(seen: GroupObservation, ends: Mapping[TopicPartition, int]) -> int | None:
    """Return how many offsets lie between the group and the ends of what it reads; None where one is unknown."""
    if any(partition not in ends for partition in seen.committed):
        return None
    return sum(max(0, ends[partition] - offset) for partition, offset in seen.committed.items())


def operations_of(journals: Mapping[ClusterName, Sequence[JournalRecord]]) -> tuple[Operation, ...] | None:
    """Return the operations of all journals, oldest first; None while none was read."""
    if not journals:
        return None
    found = list_operations(merge_records(journals.values()))
    return tuple(sorted(found.values(), key=lambda operation: operation.started_at))


class Catalog:
    """The repository's snapshots. Manifests and notes of verifications are read once: they never change."""

    def __init__(self, open_store: Callable[[], Repository]) -> None:
        self._open_store = open_store
        self._repository: Repository | None = None
        self._known: dict[SnapshotId, SnapshotEntry] = {}
        self._verified: dict[str, datetime | None] = {}
        self.entries: tuple[SnapshotEntry, ...] | None = None

    def read(self, deadline: Deadline) -> None:
        """Leave the newest snapshots known, and when each was last verified.

        Raises: what the store refused or failed with; DataCorrupt for a manifest or note that was changed, once all
            others are known.
        """
        repository = self._open()
        newest = sorted(repository.list_ids())[-CATALOG_MAX:]
        broken: list[DataCorrupt] = []
        for snapshot_id in newest:
            if snapshot_id not in self._known:
                deadline.check(f"reading the catalog of {repository.url}")
                try:
                    self._known[snapshot_id] = to_entry(repository.read_manifest(snapshot_id))
                except DataCorrupt as exc:
                    broken.append(exc)
        self._known = {one: self._known[one] for one in newest if one in self._known}
        verified = self._read_verified(repository, deadline, broken)
        self.entries = tuple(with_verification(entry, verified.get(one)) for one, entry in self._known.items())
        if broken:
            raise broken[0]

    def _read_verified(
        self, repository: Repository, deadline: Deadline, broken: list[DataCorrupt]
    ) -> Mapping[SnapshotId, datetime | None]:
        notes = {one: key for one, key in list_verified(repository).items() if one in self._known}
        for snapshot_id, key in notes.items():
            if key not in self._verified:
                deadline.check(f"reading the verifications of {repository.url}")
                try:
                    self._verified[key] = read_verification(repository, snapshot_id, key=key)
                except DataCorrupt as exc:
                    broken.append(exc)
        self._verified = {key: self._verified[key] for key in notes.values() if key in self._verified}
        return {one: self._verified.get(key) for one, key in notes.items()}

    def _open(self) -> Repository:
        if self._repository is None:
            self._repository = self._open_store()
        return self._repository


def with_verification(entry: SnapshotEntry, verified_at: datetime | None) -> SnapshotEntry:
    """Return the line with what its newest verification says. Only proofs are kept: without one nothing is known."""
    return replace(entry, verified_at=verified_at, is_sound=None if verified_at is None else True)


def to_entry(manifest: Manifest) -> SnapshotEntry:
    """Return a manifest as a line of the catalog."""
    return SnapshotEntry(
        id=manifest.id,
        created_at=manifest.created_at,
        cluster=manifest.cluster.name,
        flow=manifest.flow,
        topics=len(manifest.topics),
        records=manifest.totals.records,
        size_bytes=manifest.totals.bytes,
        new_bytes=manifest.totals.new_stored_bytes,
        gaps=manifest.gap_count,
        missing_topics=len(manifest.missing),
        tags=manifest.tags,
        took_seconds=(manifest.consistency.finished_at - manifest.consistency.groups_read_at).total_seconds(),
    )
