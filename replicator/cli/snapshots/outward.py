"""`replicator snapshot diff|export`: two snapshots compared, and one written out as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit, make_table, text_of
from replicator.errors import NotFound
from replicator.model.forms.figures import show_bytes, show_count

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.model.archive.diffs import SnapshotDiff


@click.command()
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def diff(app: App, old: str, new: str, store: str | None) -> None:
    """Show what changed from snapshot OLD to NEW: topics, offsets, settings, group positions."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import diff_snapshots

    repository = open_repository(app, store)
    first, second = (repository.read_manifest(repository.find(one)) for one in (old, new))
    found = diff_snapshots(repository, first, second)
    emit("SnapshotDiff", output=app.output, item=found, view=diff_view(found))


def diff_view(found: SnapshotDiff) -> RenderableType:
    """One line a change."""
    table = make_table("WHAT", "CHANGE", "WAS", "IS")
    for row in _rows(found):
        table.add_row(*map(text_of, row))
    return table


def _rows(found: SnapshotDiff) -> Iterator[tuple[object, ...]]:
    for topic in found.topics:
        if topic.change != "same":
            yield topic.topic, topic.change, None, None
        for setting in topic.settings:
            yield f"{topic.topic} {setting.key}", "setting", setting.old, setting.new
        for one in topic.partitions:
            change = "shortened" if one.is_shortened else "offsets"
            was, now = _span(one.old_start, one.old_end), _span(one.new_start, one.new_end)
            yield f"{topic.topic}[{one.partition}]", change, was, now
    for group in found.groups:
        yield group.key, "position", group.old, group.new


def _span(start: int | None, end: int | None) -> str | None:
    return None if start is None else f"[{start}, {end})"


@click.command()
@click.argument("reference", metavar="ID")
@click.option("--to", "folder", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option(
    "--format", "kind", type=click.Choice(["jsonl", "parquet", "raw"]), default="jsonl", show_default=True,
    help="jsonl, parquet: what a consumer would see; raw: segments as brokers keep them.",
)  # fmt: skip
@click.option("--topics", "patterns", metavar="GLOB", multiple=True, help="Only topics like this; may be repeated.")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def export(app: App, reference: str, folder: Path, kind: str, patterns: tuple[str, ...], store: str | None) -> None:
    """Write a snapshot's records out as files, every chunk proven first; overwrites nothing."""
    from replicator.cli.snapshots.doors import open_repository, show_progress
    from replicator.model.flow import Selection
    from replicator.snapshot import ExportFormat, export_snapshot

    repository = open_repository(app, store)
    manifest = repository.read_manifest(repository.find(reference))
    topics = Selection(include=patterns or ("*",))
    if not any(topics.matches(topic.name) for topic in manifest.topics):
        raise NotFound(
            f"snapshot {manifest.id} holds no topic like {', '.join(patterns)}",
            hint=f"replicator snapshot show {manifest.id}",
        )
    with show_progress(app) as report:
        done = export_snapshot(repository, manifest, folder, kind=ExportFormat(kind), topics=topics, report=report)
    emit(
        "SnapshotExport",
        output=app.output,
        items=done,
        columns=(
            Column("PARTITION", lambda one: str(one.partition)),
            Column("RECORDS", lambda one: show_count(one.records), is_number=True),
            Column("SIZE", lambda one: show_bytes(one.size_bytes), is_number=True),
            Column("FILE", lambda one: one.path),
        ),
    )
