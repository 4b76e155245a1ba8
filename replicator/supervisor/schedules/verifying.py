"""The work of a verify schedule: prove again what was taken long ago, since storage forgets in silence.

Proven are the flow's snapshots and those of no one flow, the one that was proven longest ago first: a run that is cut
short is gone on from by the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from replicator.clock import Clock, Deadline
from replicator.errors import DataCorrupt
from replicator.log import get_logger
from replicator.model.archive.snapshots import VerifyReport
from replicator.model.flow import Flow
from replicator.model.forms.figures import show_items
from replicator.model.names import SnapshotId
from replicator.settings import Settings
from replicator.snapshot import Repository, note_verified, read_verified, verify_snapshot
from replicator.supervisor.schedules.snapshots import open_repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What a run found: how many snapshots were proven whole, and the reports of those that were not."""

    proven: int
    broken: tuple[VerifyReport, ...]


class VerifyWork:
    """Proves a flow's snapshots. Of one that cannot be opened without a key everything else is proven."""

    def __init__(self, settings: Settings, flow: Flow, *, schedule: str, clock: Clock) -> None:
        self._settings = settings
        self._flow = flow
        self._clock = clock
        self._log = get_logger(schedule=schedule, flow=flow.name)

    def last_run(self) -> datetime | None:
        """Return since when every snapshot has been proven at least once; None where one never was, or there is none.

        Raises: what the store refused or failed with.
        """
        repository = open_repository(self._settings)
        verified = read_verified(repository)
        moments = [verified.get(snapshot_id) for snapshot_id in self._snapshots(repository)]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None

    def run(self, deadline: Deadline) -> None:
        """Return once every snapshot was read and every chunk of it matched.

        Raises:
            DataCorrupt: something stored does not match: the first is named, and so are the others in the log.
            DeadlineExceeded: some are left for the next run. The store's errors.
        """
        proof = self.prove(deadline)
        if proof.broken:
            first, finding = proof.broken[0], proof.broken[0].findings[0]
            raise DataCorrupt(
                f"{show_items(len(proof.broken), 'snapshot')} cannot be restored as it should; {first.snapshot}: "
                f"{finding.where}: {finding.what}",
                hint=f"replicator snapshot verify {first.snapshot}",
            )

    def prove(self, deadline: Deadline) -> Proof:
        """Return what a run over all of them found. Raises: as `run`, but for what does not match."""
        repository = open_repository(self._settings)
        broken: list[VerifyReport] = []
        order = proof_order(self._snapshots(repository), read_verified(repository))
        for snapshot_id in order:
            deadline.check(f"proving {show_items(len(order), 'snapshot')}", hint="the next run goes on")
            report = verify_snapshot(repository, snapshot_id, clock=self._clock)
            if report.is_ok:
                note_verified(repository, report, now=self._clock.now())
            else:
                self._log.error("snapshot_broken", snapshot=snapshot_id, findings=len(report.findings))
                broken.append(report)
        return Proof(proven=len(order) - len(broken), broken=tuple(broken))

    def _snapshots(self, repository: Repository) -> list[SnapshotId]:
        """Return the snapshots that are this schedule's; one whose manifest cannot be read may be, and so is."""
        return [
            one.id
            for one in repository.list_snapshots()
            if one.manifest is None or one.manifest.flow in (self._flow.name, None)
        ]


def proof_order(snapshots: list[SnapshotId], verified: Mapping[SnapshotId, datetime]) -> list[SnapshotId]:
    """Return the snapshots in the order in which they are proven: never proven first, then the oldest proof."""
    never = sorted(one for one in snapshots if one not in verified)
    return [*never, *sorted((one for one in snapshots if one in verified), key=lambda one: (verified[one], one))]
