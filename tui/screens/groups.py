"""Consumer groups: where each would resume on the standby, how sure that is, and what it would read twice."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult

from replicator.api.schema import GroupView, TranslationView
from replicator.model.forms.figures import show_count, show_short_count
from replicator.model.forms.text import UNKNOWN
from tui.cells import clipped, figure, joined, name, plain, state, unknown
from tui.picture import Picture
from tui.screens.base import BoardScreen
from tui.theme import BAD, Glyphs
from tui.widgets import Column, KeyedTable, Lines, Row

QUIET_GRADES = frozenset({"EXACT"})
_GRADES = ("UNAVAILABLE", "FLOOR", "BOUNDED", "EXACT")

GROUP_COLUMNS = (
    Column("group", "GROUP", 22, is_filling=True, sort_key=lambda group: group.group),
    Column("grade", "GRADE", 13, sort_key=lambda group: _GRADES.index(group.grade) if group.grade in _GRADES else None),
    Column("reread", "READS TWICE", 11, is_number=True, sort_key=lambda group: group.reread_records_max),
    Column("lag", "LAG", 8, is_number=True, sort_key=lambda group: group.lag_records),
    Column("state", "STATE", 8, sort_key=lambda group: group.state),
    Column("members", "MEMBERS", 7, is_number=True, needs_width=92),
    Column("partitions", "PARTITIONS", 10, is_number=True, needs_width=106),
    Column("target", "ON TARGET", 10, needs_width=118),
)
PARTITION_COLUMNS = (
    Column("place", "PARTITION", 22, is_filling=True, sort_key=lambda one: (one.topic, one.partition)),
    Column("grade", "GRADE", 13, sort_key=lambda one: one.grade),
    Column("source", "SOURCE", 11, is_number=True, sort_key=lambda one: one.source_offset),
    Column("target", "TARGET", 11, is_number=True, sort_key=lambda one: one.target_offset),
    Column("reread", "TWICE", 7, is_number=True, sort_key=lambda one: one.reread_records_max),
    Column("rule", "RULE", 20, needs_width=100),
)


class GroupsScreen(BoardScreen):
    """Groups of one flow, and one group by its partitions."""

    TITLE_TEXT: ClassVar[str] = "Groups"
    HINTS: ClassVar[str] = "enter partitions  s sort  i issues  f flow"

    def compose_body(self) -> ComposeResult:
        """Lay out the counts and the two tables, of which one is shown."""
        yield Lines(id="counts")
        yield KeyedTable(GROUP_COLUMNS, id="groups")
        yield KeyedTable(PARTITION_COLUMNS, id="places")
        yield Lines(id="detail")

    @property
    def table(self) -> KeyedTable:
        """The table that is shown."""
        return self.query_one("#places" if self.board.group is not None else "#groups", KeyedTable)

    def on_mount(self) -> None:
        """Groups come first."""
        self.query_one("#places").display = False
        super().on_mount()

    def wants(self) -> list[str]:
        """This flow's groups, and the one that was entered."""
        flow, group = self.board.flow, self.board.group
        if flow is None:
            return []
        return [f"groups:{flow}", *([f"group:{flow}:{group}"] if group is not None else [])]

    def paint_body(self, picture: Picture) -> None:
        """Paint the groups, or one of them."""
        is_inside = self.board.group is not None
        self.query_one("#groups").display = not is_inside
        self.query_one("#places").display = is_inside
        flow = self.board.flow or ""
        groups = picture.groups(flow)
        shown = [group for group in groups or () if self._is_shown(group)]
        self.query_one("#groups", KeyedTable).show([group_row(group, self.board.glyphs) for group in shown])
        inside = picture.part(f"group:{flow}:{self.board.group}").of(GroupView)
        places = [one for one in (inside.translations if inside else ()) if self.matches(one.topic)]
        self.query_one("#places", KeyedTable).show([place_row(one, self.board.glyphs) for one in places])
        width = self.app.size.width
        self.query_one("#counts", Lines).show([clipped(self._counts(picture, groups), width - 2)])
        self.query_one("#detail", Lines).show([clipped(line, width - 2) for line in self._detail(groups)])

    def _is_shown(self, group: GroupView) -> bool:
        if self.board.is_issues_only and group.grade in QUIET_GRADES:
            return False
        return self.matches(f"{group.group} {group.grade} {group.state}")

    def _counts(self, picture: Picture, groups: tuple[GroupView, ...] | None) -> Text:
        flow = self.board.flow
        if flow is None:
            return Text("no flow is known yet", style="dim")
        title = name(flow, style="bold")
        if self.board.group is not None:
            return joined(title, plain(self.board.group, style="bold"), Text("esc back", style="dim"))
        if groups is None:
            refusal = picture.part(f"groups:{flow}").refusal
            return joined(title, plain(refusal or "groups are not known yet", style="dim"))
        numbers = {grade: sum(group.grade == grade for group in groups) for grade in _GRADES[::-1]}
        numbers["not translated yet"] = sum(group.grade is None for group in groups)
        counts = [f"{len(groups)} groups", *(f"{number} {word}" for word, number in numbers.items() if number)]
        hidden = self.query_one("#groups", KeyedTable).hidden_rows
        return joined(title, *counts, f"{show_count(hidden)} more: press /" if hidden else "")

    def _detail(self, groups: tuple[GroupView, ...] | None) -> list[Text]:
        key = self.query_one("#groups", KeyedTable).current_key
        group = next((one for one in groups or () if one.group == key), None)
        if group is None or self.board.group is not None:
            return [Text("")]
        return [plain(group.group, style="bold"), told_move(group)]

    def on_data_table_row_highlighted(self) -> None:
        """Another group is chosen: say what a move would mean to it."""
        self.paint()

    def enter(self) -> None:
        """Look at a group's partitions."""
        row = self.query_one("#groups", KeyedTable).current
        if row is not None and self.board.group is None:
            self.board.group = row.key
            self.paint()
            self.query_one("#places").focus()

    def leave(self) -> bool:
        """Go back to the groups."""
        group, self.board.group = self.board.group, None
        if group is None:
            return False
        self.paint()
        groups = self.query_one("#groups", KeyedTable)
        groups.move_to(group)
        groups.focus()
        return True

    def command(self) -> str:
        """The same on the command line."""
        flow = self.board.flow or ""
        return f"replicator group list {flow}".strip()


def told_move(group: GroupView) -> Text:
    """Return in words what a move to the standby would mean to a group."""
    match group.grade:
        case "EXACT":
            return Text("resumes exactly where it is: nothing is skipped, nothing read twice")
        case "BOUNDED":
            return Text(f"skips nothing and reads at most {show_count(group.reread_records_max)} records twice")
        case "FLOOR":
            return Text("skips nothing and starts over at the log start of the copy")
        case "UNAVAILABLE":
            return Text("has no place on the standby yet", style=f"bold {BAD}")
        case _:
            return Text("not translated yet", style="dim")


def group_row(group: GroupView, glyphs: Glyphs) -> Row:
    """Return a group as a row."""
    on_target = {True: "ACTIVE", False: "no", None: UNKNOWN}[group.is_active_on_target]
    cells = {
        "group": name(group.group, width=60, style="bold"),
        "grade": unknown() if group.grade is None else state(group.grade, glyphs),
        "reread": figure(show_short_count(group.reread_records_max)),
        "lag": figure(show_short_count(group.lag_records)),
        "state": plain(group.state),
        "members": figure(show_count(group.members)),
        "partitions": figure(show_count(group.partitions)),
        "target": Text(on_target, style=f"bold {BAD}" if group.is_active_on_target else "dim", end=""),
    }
    return Row(group.group, group, cells, f"{group.group} {group.grade}")


def place_row(one: TranslationView, glyphs: Glyphs) -> Row:
    """Return one partition's translation as a row."""
    clamped = " (clamped)" if one.is_clamped else ""
    cells = {
        "place": name(f"{one.topic}[{one.partition}]", width=60),
        "grade": state(one.grade, glyphs),
        "source": figure(show_count(one.source_offset)),
        "target": figure(show_count(one.target_offset)),
        "reread": figure(show_short_count(one.reread_records_max)),
        "rule": plain(f"{one.rule}{clamped}"),
    }
    return Row(f"{one.topic}[{one.partition}]", one, cells, one.topic)
