"""`replicator snapshot`: take, list, show, verify and restore snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.cli.snapshots.keeping import keep, prune, unkeep
from replicator.cli.snapshots.outward import diff, export
from replicator.cli.snapshots.restoring import restore
from replicator.cli.snapshots.schemas import schemas
from replicator.errors import AccessDenied, DataCorrupt, NotFound, PartlyDone, Unreachable, UsageError
from replicator.model.forms.figures import show_bytes, show_count, show_moment

if TYPE_CHECKING:
    from replicator.model.archive.snapshots import Manifest, VerifyReport
    from replicator.snapshot import Repository


def _store_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")(command)


@click.group()
def snapshot() -> None:
    """Take, list, verify and restore snapshots. ID is an id, a unique beginning of one, `latest` or `oldest`."""


for _command in (keep, unkeep, prune, diff, export, restore, schemas):
    snapshot.add_command(_command)


@snapshot.command()
@click.option("--flow", "flow_name", metavar="FLOW", help="Capture this flow's topics on its target.")
@click.option("--cluster", metavar="CLUSTER", help="Capture this cluster's topics.")
@click.option("--topics", "patterns", metavar="GLOB", multiple=True, help="Only topics like this; may be repeated.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="A word to find it by; may be repeated.")
@click.option(
    "--limit-rate",
    "bytes_per_second",
    type=click.IntRange(min=64 * 1024),
    metavar="BYTES",
    help="Read no more than so many bytes a second from the cluster (65536 at least).",
)
@click.option("--quiescent", "is_quiescent", is_flag=True, help="Pause the flow for the seconds the cut takes.")
@_store_option
@pass_app
def create(
    app: App,
    flow_name: str | None,
    cluster: str | None,
    patterns: tuple[str, ...],
    tags: tuple[str, ...],
    bytes_per_second: int | None,
    store: str | None,
    *,
    is_quiescent: bool,
) -> None:
    """Take a snapshot now. Unchanged data is neither read nor stored again."""
    from replicator.cli.snapshots.doors import (
        LONG_SECONDS,
        choose_cluster,
        open_cluster,
        open_repository,
        show_progress,
    )
    from replicator.model.flow import Selection
    from replicator.snapshot import SnapshotRequest, create_snapshot
    from replicator.supervisor.schedules.snapshots import mirror_of, reading_schemas

    name, flow, carried = choose_cluster(app, flow_name, cluster)
    topics = Selection(include=patterns, exclude=carried.exclude) if patterns else carried
    if is_quiescent and flow is None:
        raise UsageError(
            "--quiescent pauses a flow, and --cluster names none", hint="replicator snapshot create --flow"
        )
    request = SnapshotRequest(
        topics=topics, flow=flow, tags=tags, bytes_per_second=bytes_per_second, is_quiescent=is_quiescent
    )
    repository = open_repository(app, store)
    begun = app.clock.monotonic()
    app.hint_if_interrupted = "no snapshot was published; the same command again uses what was stored already"
    with (
        open_cluster(app, name) as (door, raw),
        reading_schemas(app.settings, name) as read_schemas,
        show_progress(app) as report,
    ):
        mirror = mirror_of(app.settings, app.settings.flow(flow), door) if flow is not None else None
        manifest = create_snapshot(
            door,
            raw,
            repository,
            replace(request, mirror=mirror, read_schemas=read_schemas),
            clock=app.clock,
            deadline=app.deadline(LONG_SECONDS),
            report=report,
        )
    app.hint_if_interrupted = None
    seconds = app.clock.monotonic() - begun
    item = {**summarise(manifest), "seconds": round(seconds, 3)}
    emit("Snapshot", output=app.output, item=item, warnings=manifest.warnings)
    _complain_if_partial(manifest)


@snapshot.command(name="list")
@_store_option
@pass_app
def list_snapshots(app: App, store: str | None) -> None:
    """List all snapshots, newest last."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import read_holds, read_verified

    repository = open_repository(app, store)
    listed, holds, verified = repository.list_snapshots(), read_holds(repository), read_verified(repository)
    items = [
        (summarise(one.manifest) if one.manifest is not None else {"id": one.id, "problem": one.problem})
        | {"hold": holds.get(one.id), "verified_at": verified.get(one.id)}
        for one in listed
    ]
    emit(
        "SnapshotList",
        output=app.output,
        items=items,
        columns=(
            Column("ID", lambda row: row["id"]),
            Column("TAKEN", lambda row: show_moment(row.get("cut_at"))),
            Column("CLUSTER", lambda row: row.get("cluster")),
            Column("FLOW", lambda row: row.get("flow")),
            Column("TOPICS", lambda row: show_count(row.get("topic_count")), is_number=True),
            Column("RECORDS", lambda row: show_count(row.get("records")), is_number=True),
            Column("SIZE", lambda row: show_bytes(row.get("bytes")), is_number=True),
            Column("NEW", lambda row: show_bytes(row.get("new_bytes")), is_number=True),
            Column("VERIFIED", lambda row: show_moment(row["verified_at"])),
            Column("HELD", lambda row: row["hold"]),
            Column("TAGS", lambda row: row.get("tags")),
            Column("PROBLEM", lambda row: row.get("problem"), style=lambda row: "red" if row.get("problem") else None),
        ),
        warnings=[one.problem for one in listed if one.problem is not None],
    )


@snapshot.command()
@click.argument("reference", metavar="ID")
@_store_option
@pass_app
def show(app: App, reference: str, store: str | None) -> None:
    """Show one snapshot: what it holds, how consistent it is, what it could not capture."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.cli.snapshots.views import show_view

    repository = open_repository(app, store)
    manifest, signed_by = repository.read_signed(repository.find(reference))
    beside = count_states(repository, manifest)
    topics = [_summarise_topic(topic) for topic in manifest.topics]
    item = {
        **summarise(manifest),
        "signed_by": signed_by,
        "consistency": manifest.consistency,
        "topics": topics,
        "missing": manifest.missing,
        "captured_beside": beside,
        "not_captured": manifest.not_captured,
        "totals": manifest.totals,
    }
    emit(
        "Snapshot",
        output=app.output,
        item=item,
        warnings=manifest.warnings,
        view=show_view(manifest, signed_by, beside),
    )


@snapshot.command()
@click.argument("reference", metavar="ID")
@click.option(
    "--level",
    type=click.IntRange(0, 5),
    default=3,
    show_default=True,
    help="0 manifest, 1 objects present, 2 checksums, 3 record batches, 4 every record decoded, 5 restored to a "
    "scratch cluster on this machine and read back.",
)
@click.option(
    "--sample",
    "sample_percent",
    type=click.FloatRange(0, 100, min_open=True),
    metavar="PERCENT",
    help="Read so many of the chunks, drawn anew each time; such a look does not count as verified.",
)
@click.option("--each-chunk", is_flag=True, help="Tell the status of every chunk, not their sums alone.")
@_store_option
@pass_app
def verify(
    app: App, reference: str, level: int, sample_percent: float | None, store: str | None, *, each_chunk: bool
) -> None:
    """Prove a snapshot against its manifest; every damaged byte is found and named.

    An encrypted one is proven down to the checksums without its key.
    """
    from replicator.cli.snapshots.doors import open_repository, show_progress
    from replicator.cli.snapshots.drill import DRILL_LEVEL, complain_if_different, drill_on_scratch
    from replicator.cli.snapshots.views import verify_view
    from replicator.model.archive.snapshots import VerifyLevel
    from replicator.snapshot import verify_snapshot

    repository = open_repository(app, store)
    with show_progress(app) as report:
        result = verify_snapshot(
            repository,
            repository.find(reference),
            level=VerifyLevel(min(level, VerifyLevel.RECORDS)),
            clock=app.clock,
            report=report,
            sample_percent=sample_percent,
        )
    drill = drill_on_scratch(app, repository, result) if level == DRILL_LEVEL and result.is_ok else None
    item = _summarise_report(result) | ({"checks": result.checks} if each_chunk else {})
    view = verify_view(result, is_each_told=each_chunk, drill=drill)
    emit("SnapshotVerification", output=app.output, item=item | {"drill": drill}, view=view)
    _complain_if_bad(result)
    complain_if_different(drill)
    _remember(app, repository, result)


def summarise(manifest: Manifest) -> dict[str, Any]:
    """Return a snapshot in one row."""
    return {
        "id": manifest.id,
        "created_at": manifest.created_at,
        "cut_at": manifest.consistency.cut_at,
        "cluster": manifest.cluster.name,
        "cluster_id": manifest.cluster.id,
        "flow": manifest.flow,
        "tags": manifest.tags,
        "parent": manifest.parent,
        "topic_count": len(manifest.topics),
        "records": manifest.totals.records,
        "bytes": manifest.totals.bytes,
        "stored_bytes": manifest.totals.stored_bytes,
        "new_bytes": manifest.totals.new_bytes,
        "new_stored_bytes": manifest.totals.new_stored_bytes,
        "consistency_level": manifest.consistency.level,
        "gap_count": manifest.gap_count,
        "missing_count": len(manifest.missing),
    }


def count_states(repository: Repository, manifest: Manifest) -> dict[str, int | None]:
    """Return how much of each kind the snapshot holds beside records; None where its object is not whole.

    Kinds that are encrypted for others are left out.
    """
    counts: dict[str, int | None] = {}
    for kind in sorted(manifest.states):
        try:
            content = repository.read_state(manifest, kind)
        except (DataCorrupt, NotFound):
            counts[kind] = None
            continue
        except AccessDenied:
            continue
        told = [content["versions"]] if kind == "schemas" and "versions" in content else content.values()
        counts[kind] = next((len(value) for value in told if isinstance(value, list | dict)), 0)
    return counts


def _summarise_topic(topic: Any) -> dict[str, Any]:
    return {
        "name": topic.name,
        "topic_id": topic.topic_id,
        "partitions": len(topic.partitions),
        "replication_factor": topic.replication_factor,
        "is_compacted": topic.is_compacted,
        "key": topic.key,
        "records": topic.records,
        "bytes": topic.plain_bytes,
        "gaps": [
            {"partition": p.partition, "from": gap.start, "to": gap.stop, "reason": gap.reason}
            for p in topic.partitions
            for gap in p.gaps
        ],
    }


def _summarise_report(report: VerifyReport) -> dict[str, Any]:
    speed = round(report.checked_bytes / report.seconds) if report.checked_bytes and report.seconds else None
    return {
        "snapshot": report.snapshot,
        "is_ok": report.is_ok,
        "level": int(report.level),
        "level_name": report.level.name.lower(),
        "chunks": report.chunks,
        "chunks_ok": report.chunks_ok,
        "checked_bytes": report.checked_bytes,
        "seconds": round(report.seconds, 3),
        "bytes_per_second": speed,
        "signed_by": report.signed_by,
        "sample_percent": report.sample_percent,
        "statuses": dict(Counter(check.status.value for check in report.checks)),
        "shredded_topics": report.shredded_topics,
        "findings": report.findings,
    }


def _remember(app: App, repository: Repository, result: VerifyReport) -> None:
    """Leave a note that the snapshot was verified; where we may only read, say that there is none."""
    from replicator.snapshot import note_verified

    try:
        note_verified(repository, result, now=app.clock.now())
    except AccessDenied as error:
        app.warn(f"retention will not know of this verification: {error.message}")


def _complain_if_partial(manifest: Manifest) -> None:
    if manifest.missing or manifest.gap_count:
        missing = [f"{topic.name}: {topic.reason}" for topic in manifest.missing]
        gaps = [f"{topic.name}: {topic.gap_count} gaps" for topic in manifest.topics if topic.gap_count]
        raise PartlyDone(
            f"snapshot {manifest.id} is whole but does not hold everything: {(missing + gaps)[0]}",
            detail="\n".join(missing + gaps),
            hint=f"replicator snapshot show {manifest.id}",
        )


def _complain_if_bad(report: VerifyReport) -> None:
    from replicator.model.archive.snapshots import ChunkStatus

    if report.is_ok:
        return
    if all(finding.what == "key" and finding.status is ChunkStatus.UNCHECKED for finding in report.findings):
        raise AccessDenied(
            f"snapshot {report.snapshot}: {report.findings[0].problem}",
            hint="set snapshots.encryption, or look no deeper than the checksums: --level 2",
        )
    bad = [finding for finding in report.findings if finding.status is not ChunkStatus.UNCHECKED]
    if not bad:
        raise Unreachable(
            f"snapshot {report.snapshot}: {len(report.findings)} objects could not be looked at: "
            f"{report.findings[0].problem}"
        )
    raise DataCorrupt(
        f"snapshot {report.snapshot}: {len(bad)} findings, the first: {bad[0].where}: {bad[0].problem}",
        detail="\n".join(f"{finding.what} {finding.where}: {finding.problem}" for finding in bad),
        hint="restore topics that are not named from it, the others from another snapshot",
    )
