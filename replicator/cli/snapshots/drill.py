"""The last level of a verification: a scratch cluster on this machine, for one snapshot, gone afterwards."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from replicator.cli.context import App
from replicator.errors import DataCorrupt

if TYPE_CHECKING:
    from replicator.model.archive.drilling import SnapshotDrill
    from replicator.model.archive.snapshots import VerifyReport
    from replicator.snapshot import Repository

DRILL_LEVEL = 5
_UP_SECONDS = 180.0


def drill_on_scratch(app: App, repository: Repository, verified: VerifyReport) -> SnapshotDrill:
    """Return how the snapshot came back on a cluster made for it; nothing of that cluster is left.

    Raises: LabFailed; DeadlineExceeded; as a restore.
    """
    import random

    from replicator.cli.snapshots.doors import LONG_SECONDS, show_progress
    from replicator.jvm import Guardian, kafka_classpath, show_download
    from replicator.kafka import KafkaCluster
    from replicator.lab import Lab, LabSpec
    from replicator.snapshot import drill_snapshot
    from replicator.wire import RawClient

    with show_download() as progress:
        kafka_classpath(progress)
    guardian = Guardian()
    with TemporaryDirectory(prefix="replicator-drill-") as folder:
        lab = Lab.make(Path(folder, "lab"), LabSpec(has_connect=False), guardian=guardian, rng=random.Random())  # noqa: S311 - ports and ids, no secrets
        try:
            app.tell("starting a scratch cluster")
            lab.up(app.deadline(_UP_SECONDS))
            access = lab.access("east")
            with KafkaCluster(access) as cluster, RawClient(access) as raw, show_progress(app) as report:
                return drill_snapshot(
                    repository,
                    verified.snapshot,
                    cluster,
                    raw,
                    clock=app.clock,
                    deadline=app.deadline(LONG_SECONDS),
                    report=report,
                )
        finally:
            lab.down()
            guardian.close()


def complain_if_different(drill: SnapshotDrill | None) -> None:
    """Return if everything came back as it was captured, or nothing was drilled. Raises: DataCorrupt."""
    if drill is None or drill.is_ok:
        return
    bad = [
        f"{one.topic}[{one.partition}]: {one.records} records, {one.found_records} came back"
        for one in drill.partitions
        if not one.is_same
    ]
    raise DataCorrupt(
        f"snapshot {drill.snapshot}: {len(bad)} partitions did not come back as captured, the first: {bad[0]}",
        detail="\n".join(bad),
    )
