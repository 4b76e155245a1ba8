"""The catalog of snapshots, and the schedules that fill it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from replicator.api.schema import ScheduleView, SnapshotView
from replicator.model.forms.figures import show_bytes, show_count, show_seconds, show_short_count
from tui.cells import clipped, date_time, figure, joined, name, plain, state
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import BAD, Glyphs
from tui.widgets import Column, KeyedTable, Lines, Row

SCHEDULES_SHOWN = 4

COLUMNS = (
    Column("id", "SNAPSHOT", 24, is_filling=True, sort_key=lambda entry: entry.id),
    Column("created", "TAKEN", 16, sort_key=lambda entry: entry.created_at),
    Column("size", "SIZE", 10, is_number=True, sort_key=lambda entry: entry.size_bytes),
    Column("verified", "VERIFIED", 12, sort_key=lambda entry: entry.verified_at),
    Column("records", "RECORDS", 8, is_number=True, needs_width=92, sort_key=lambda entry: entry.records),
    Column("new", "NEW", 10, is_number=True, needs_width=104, sort_key=lambda entry: entry.new_bytes),
    Column("gaps", "GAPS", 6, is_number=True, needs_width=112, sort_key=lambda entry: entry.gaps),
    Column("cluster", "CLUSTER", 10, needs_width=126, sort_key=lambda entry: entry.cluster),
)


class SnapshotsScreen(BoardScreen):
    """Snapshots and schedules."""

    TITLE_TEXT: ClassVar[str] = "Snapshots"
    HINTS: ClassVar[str] = "enter restore  s sort  i issues"
    TABLE: ClassVar[str | None] = "snapshots"

    def compose_body(self) -> ComposeResult:
        """Lay out schedules, catalog, the chosen snapshot."""
        yield Lines(id="schedules")
        yield KeyedTable(COLUMNS, id="snapshots")
        yield Lines(id="detail")

    def wants(self) -> list[str]:
        """Catalog and schedules."""
        return ["snapshots", "schedules"]

    def paint_body(self, picture: Picture) -> None:
        """Paint them."""
        width = self.app.size.width
        self.query_one("#schedules", Lines).show([clipped(line, width - 2) for line in self._schedules(picture)])
        shown = [entry for entry in picture.snapshots() or () if self._is_shown(entry)]
        rows = [snapshot_row(entry, self.board.glyphs, is_local=self.board.is_local_time) for entry in shown]
        self.query_one("#snapshots", KeyedTable).show(rows)
        self.query_one("#detail", Lines).show([clipped(line, width - 2) for line in self._detail(picture)])

    def _is_shown(self, entry: SnapshotView) -> bool:
        if self.board.is_issues_only and entry.is_sound is not False and not entry.gaps and not entry.missing_topics:
            return False
        return self.matches(f"{entry.id} {entry.flow} {entry.cluster} {' '.join(entry.tags)}")

    def _schedules(self, picture: Picture) -> list[Text]:
        schedules = picture.schedules()
        if schedules is None:
            refusal = picture.part("schedules").refusal
            return [plain(refusal or "schedules are not known yet", style="dim")]
        lines = [schedule_line(schedule, self.board.is_local_time) for schedule in schedules[:SCHEDULES_SHOWN]]
        return lines or [Text("no schedule is configured", style="dim")]

    def _detail(self, picture: Picture) -> list[Text]:
        entries = picture.snapshots()
        if entries is None:
            return [plain(picture.part("snapshots").refusal or "the catalog is not known yet", style="dim")]
        if not entries:
            return [Text("no snapshot was taken yet", style="dim")]
        key = self.query_one("#snapshots", KeyedTable).current_key
        entry = next((one for one in entries if one.id == key), None)
        return [Text("")] if entry is None else detail_lines(entry, is_local=self.board.is_local_time)

    def on_data_table_row_highlighted(self) -> None:
        """Another snapshot is chosen: show what is known of it."""
        self.paint()

    def enter(self) -> None:
        """Show what a restore of it would be; nothing is begun yet."""
        if (row := self.query_one("#snapshots", KeyedTable).current) is not None:
            self.dashboard.restore(row.value)

    def command(self) -> str:
        """The same on the command line."""
        row = self.query_one("#snapshots", KeyedTable).current
        return "replicator snapshot list" if row is None else f"replicator snapshot show {row.key}"


def schedule_line(schedule: ScheduleView, is_local: bool) -> Text:
    """Return a schedule on one line."""
    missed = Text(f"{show_count(schedule.missed_total)} missed", style=f"bold {BAD}") if schedule.missed_total else ""
    return joined(
        name(schedule.name, style="bold"),
        plain(f"{schedule.cron} {schedule.timezone}"),
        "waits to run" if schedule.is_queued else f"next {date_time(schedule.next_run_at, is_local=is_local)}",
        f"last {date_time(schedule.last_success_at, is_local=is_local)}",
        f"took {show_seconds(schedule.last_duration_seconds)}",
        missed,
        plain(schedule.error, style=f"bold {BAD}") if schedule.error else "",
        Text("runs now", style="bold") if schedule.is_running else "",
    )


def verified_word(entry: SnapshotView) -> str:
    """Return what is known of a snapshot's bytes."""
    return {True: "sound", False: "damaged", None: "unverified"}[entry.is_sound]


def snapshot_row(entry: SnapshotView, glyphs: Glyphs, *, is_local: bool) -> Row:
    """Return a snapshot as a row."""
    cells = {
        "id": name(entry.id, width=60, style="bold"),
        "created": plain(date_time(entry.created_at, is_local=is_local)),
        "size": figure(show_bytes(entry.size_bytes)),
        "verified": state(verified_word(entry), glyphs),
        "records": figure(show_short_count(entry.records)),
        "new": figure(show_bytes(entry.new_bytes)),
        "gaps": figure(show_count(entry.gaps), style=f"bold {BAD}" if entry.gaps else ""),
        "cluster": name(entry.cluster, width=10),
    }
    return Row(entry.id, entry, cells, entry.id)


def detail_lines(entry: SnapshotView, *, is_local: bool) -> list[Text]:
    """Return what is known of a snapshot."""
    first = joined(
        plain(entry.id, style="bold"),
        plain(f"of {entry.cluster}"),
        f"{show_count(entry.topics)} topics",
        f"{show_count(entry.records)} records",
        f"{show_bytes(entry.size_bytes)} ({show_bytes(entry.new_bytes)} new)",
    )
    second = joined(
        f"verified {date_time(entry.verified_at, is_local=is_local)}",
        f"{show_count(entry.gaps)} gaps",
        f"{show_count(entry.missing_topics)} topics missing",
        plain(" ".join(entry.tags), style="dim"),
    )
    return [first, second]
