"""Data on stdout: tables for people, an envelope for programs, and no byte a terminal would obey."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from rich.text import Text
from ruamel.yaml import YAML

from replicator.cli.output import Column, Output, OutputFormat, emit, envelope, show
from replicator.model.forms.figures import show_count

HOSTILE = "evil\x1b[2J\x1b]0;t\x07\u202e[bold red]x[/] [link=http://x]y[/link] :smile: \x7f\x9b"


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    lag_records: int | None
    seen_at: datetime | None = None


GROUPS = [Group("app", 1234), Group("late", None, datetime(2026, 1, 1, tzinfo=UTC))]
COLUMNS = [
    Column("GROUP", lambda group: group.name),
    Column("LAG", lambda group: show_count(group.lag_records), is_number=True),
]

Capture = Callable[[], str]


@pytest.fixture
def out(capsys: pytest.CaptureFixture[str]) -> Capture:
    return lambda: capsys.readouterr().out


def using(format_: str) -> Output:
    return Output(OutputFormat(format_))


def test_table_shows_columns_with_numbers_to_the_right(out: Capture) -> None:
    """Rows appear in order under their titles; unknown is a dash."""
    emit("Group", items=GROUPS, columns=COLUMNS, output=using("table"))
    lines = [line.rstrip() for line in out().splitlines()]
    assert lines[0].split() == ["GROUP", "LAG"]
    assert lines[2:] == ["app     1,234", "late        —"]


def test_json_is_the_whole_value_in_the_envelope(out: Capture) -> None:
    """JSON holds every field whatever the columns are, and warnings inside."""
    emit("Group", items=iter(GROUPS), columns=COLUMNS, output=using("json"), warnings=["careful"])
    assert json.loads(out()) == {
        "apiVersion": "replicator/v1",
        "kind": "Group",
        "items": [
            {"name": "app", "lag_records": 1234, "seen_at": None},
            {"name": "late", "lag_records": None, "seen_at": "2026-01-01T00:00:00.000Z"},
        ],
        "warnings": ["careful"],
    }


def test_one_item_is_item(out: Capture) -> None:
    """A single value stands under `item`; no items is an empty list, not a missing key."""
    emit("Group", item=GROUPS[0], output=using("json"))
    assert json.loads(out())["item"]["name"] == "app"
    assert envelope("Group", items=[])["items"] == []


def test_jsonl_is_one_envelope_a_line(out: Capture) -> None:
    """Each line can be read alone and says its kind."""
    emit("Group", items=GROUPS, output=using("jsonl"))
    lines = [json.loads(line) for line in out().splitlines()]
    assert [(line["kind"], line["item"]["name"]) for line in lines] == [("Group", "app"), ("Group", "late")]


def test_yaml_says_what_json_says(out: Capture) -> None:
    """YAML output parses to the same document."""
    emit("Group", items=GROUPS, output=using("yaml"))
    document = YAML(typ="safe", pure=True).load(out())
    emit("Group", items=GROUPS, output=using("json"))
    assert document == json.loads(out())


def test_plain_and_name_are_for_pipes(out: Capture) -> None:
    """`plain` separates cells by tabs without a head; `name` prints the first cell alone."""
    emit("Group", items=GROUPS, columns=COLUMNS, output=using("plain"))
    assert out() == "app\t1,234\nlate\t—\n"
    emit("Group", items=GROUPS, columns=COLUMNS, output=using("name"))
    assert out() == "app\nlate\n"


def test_nothing_to_show_says_so_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table leaves stdout empty and says none on stderr."""
    emit("Group", items=[], columns=COLUMNS, output=using("table"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "nothing to show\n")


def test_warnings_of_tables_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is no envelope, warnings do not mix with data."""
    emit("Group", items=GROUPS, columns=COLUMNS, output=using("plain"), warnings=[HOSTILE])
    captured = capsys.readouterr()
    assert "evil" not in captured.out
    assert captured.err.startswith("warning: evil\\x1b[2J")


def test_rows_are_never_cut_in_a_pipe(out: Capture) -> None:
    """Without a terminal a long row stays on one line, whole."""
    emit("Group", items=[Group("g" * 3000, 1)], columns=COLUMNS, output=using("table"))
    assert "g" * 3000 in out()


@pytest.mark.security
@pytest.mark.parametrize("format_", list(OutputFormat))
@pytest.mark.parametrize("columns", [COLUMNS, []], ids=["columns", "fields"])
def test_no_format_lets_a_name_reach_the_terminal(out: Capture, format_: OutputFormat, columns: list[Column]) -> None:
    """Escape sequences, direction marks and markup in names and keys are shown, never obeyed."""
    emit("Group", items=[Group(HOSTILE, 1)], columns=columns, output=Output(format_, color="always"))
    emit("Group", item={HOSTILE: {HOSTILE: [HOSTILE]}}, output=Output(format_))
    emit("Group", items=[{HOSTILE: 1}], output=Output(format_))
    text = out().replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "evil" in text
    assert all(char in "\n\t" or (char >= " " and not "\x7f" <= char <= "\x9f" and char != "\u202e") for char in text)
    assert "[bold red]x[/]" in text
    assert ":smile:" in text


def test_a_view_replaces_the_table_for_people_alone(out: Capture) -> None:
    """A renderable of the verb's own is for people; programs still get the value."""
    emit("Group", item=GROUPS[0], view=Text("a picture"), output=using("table"))
    assert out() == "a picture\n"
    emit("Group", item=GROUPS[0], view=Text("a picture"), output=using("json"))
    assert "a picture" not in out()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "—"), (True, "yes"), (False, "no"), (0, "0"), (9092, "9092"), (2.0, "2"), (0.1234, "0.123"),
     (12345.678, "12345.7"), ([], "—"), (["a", None], "a, —"), ({"k": 1}, "k=1"),
     (OutputFormat.JSON, "json"), ("x\ny", "x\\x0ay")],
)  # fmt: skip
def test_cells(value: object, shown: str) -> None:
    """Every kind of value has one plain form in a cell."""
    assert show(value) == shown


def test_what_there_is_none_of_is_told_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    """The names of our classes are not for people."""
    for kind, told in (("Schedule", "no schedules are configured"), ("FlowStatus", "no flows are configured")):
        emit(kind, items=[], columns=COLUMNS, output=using("table"))
        assert capsys.readouterr().err == f"{told}\n"


def test_none_of_a_part_is_not_none(capsys: pytest.CaptureFixture[str]) -> None:
    """Where a warning says that something was left out, that there is nothing is not known."""
    emit("OperationList", items=[], columns=COLUMNS, output=using("table"), warnings=["east was left out"])
    told = "no operations in the journal, as far as could be read\nwarning: east was left out\n"
    assert capsys.readouterr().err == told
