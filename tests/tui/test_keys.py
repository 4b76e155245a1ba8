"""Marks, export, jump, the log pane and the alerts' way to their cause: each key over the recorded story."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from tests.tui.test_screens import SIZES, drive


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is exported lands in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files_in(folder: Path, kind: str = "*") -> list[Path]:
    """Return what was exported."""
    return list(folder.glob(f"replicator-*.{kind}"))


async def wait_for_file(stage: Any, folder: Path, kind: str) -> Path:
    """Return the file once it is there."""
    for _ in range(200):
        if found := files_in(folder, kind):
            return found[0]
        await stage.press()
    raise AssertionError(f"no {kind} was written")


def test_space_marks_and_esc_forgets(open_stage: Any) -> None:
    """Marked rows are counted and shown, copied together, and forgotten before esc leads anywhere."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        text = await stage.press("space", "down", "down", "space")
        assert table.marked == {"orders", "audit"}
        assert "2 MARKED" in text
        assert sum("●" in line for line in text.splitlines()) == 2
        await stage.press("y")
        assert stage.dashboard.clipboard == "orders audit"
        assert "MARKED" not in await stage.press("escape")
        assert table.marked == frozenset()
        await stage.press("space", "space")
        assert table.marked == frozenset()

    drive(open_stage, play)


def test_marked_rows_stay_where_they_are(open_stage: Any) -> None:
    """While rows are marked nothing moves under the cursor by itself; what the user asks for is done."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        await stage.press("s", "s", "s")
        before = table.keys_shown
        await stage.press("space")
        table.show([table._rows[key] for key in reversed(before)])
        assert table.keys_shown == before
        await stage.press("S")
        assert table.keys_shown == before[::-1]

    drive(open_stage, play)


@pytest.mark.parametrize("size", SIZES)
def test_export_writes_what_is_shown(open_stage: Any, folder: Path, size: tuple[int, int]) -> None:
    """CSV holds the rows and every column; nothing is written before a kind is chosen."""

    async def play(stage: Any) -> None:
        assert "3 rows" in await stage.press("e")
        await stage.press("escape")
        assert files_in(folder) == []
        await stage.press("e", "enter")
        rows = list(csv.reader(StringIO((await wait_for_file(stage, folder, "csv")).read_text())))
        assert rows[0][:3] == ["key", "flow", "state"]
        assert [row[0] for row in rows[1:]] == ["orders", "payments", "audit"]
        assert "tasks" in rows[0]

    drive(open_stage, play, size=size)


def test_export_of_marked_rows_holds_them_alone(open_stage: Any, folder: Path) -> None:
    """JSON of one marked flow holds that flow, with all that is known of it."""

    async def play(stage: Any) -> None:
        await stage.press("down", "space")
        assert "1 marked rows" in await stage.press("e")
        await stage.press("down", "enter")
        told = json.loads((await wait_for_file(stage, folder, "json")).read_text())
        (row,) = told["rows"]
        assert row["key"] == "payments"
        assert row["value"]["lag"]["lag_records"] == int(row["value"]["lag"]["lag_seconds"] * 3900)

    drive(open_stage, play)


def test_export_of_the_screen_is_a_picture_without_the_dialog(open_stage: Any, folder: Path) -> None:
    """SVG shows the screen that was asked for."""

    async def play(stage: Any) -> None:
        await stage.press("e", "down", "down", "enter")
        svg = (await wait_for_file(stage, folder, "svg")).read_text()
        assert "payments" in svg
        assert "esc" not in svg

    drive(open_stage, play)


@pytest.mark.security
def test_an_exported_name_is_no_formula_and_no_escape(open_stage: Any, folder: Path) -> None:
    """A hostile group name reaches a file without its control characters, and no cell begins as a formula does."""

    async def play(stage: Any) -> None:
        await stage.press("4", "e", "enter")
        text = (await wait_for_file(stage, folder, "csv")).read_text()
        assert "\\x1b]52;c;" in text
        assert "\x1b" not in text
        cells = [cell for row in csv.reader(StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@"))]

    drive(open_stage, play)


def test_jump_leads_to_screens_and_flows(open_stage: Any) -> None:
    """o offers a key for every screen and flow; a letter looks at that flow, a digit goes to that screen."""

    async def play(stage: Any) -> None:
        text = await stage.press("2", "o")
        assert "8  Alerts" in text
        assert "b  payments" in text
        assert "payments.source" in await stage.press("b")
        assert stage.dashboard.board.flow == "payments"
        assert "8 Alerts" in await stage.press("o", "8")
        assert "8 Alerts" in await stage.press("o", "escape")
        await stage.press("1", "o", "c")
        assert stage.dashboard.screen.table.current_key == "audit"

    drive(open_stage, play)


@pytest.mark.parametrize("size", SIZES)
def test_the_log_pane_is_under_every_screen(open_stage: Any, size: tuple[int, int]) -> None:
    """L shows the newest events under any screen, whatever is filtered, and hides them again."""

    async def play(stage: Any) -> None:
        assert "LAGGING (was HEALTHY)" not in await stage.press("4")
        for key in ("L", "3", "6"):
            text = await stage.press(key)
            assert "LAGGING (was HEALTHY)" in text
            assert all(len(line) <= size[0] for line in text.splitlines())
        assert "LAGGING (was HEALTHY)" not in await stage.press("L")

    drive(open_stage, play, size=size)


def test_alerts_lead_to_their_cause(open_stage: Any) -> None:
    """Enter on an alert looks at the flow it is about; i leaves out what does not fire yet."""

    async def play(stage: Any) -> None:
        assert "pending" in await stage.press("8")
        text = await stage.press("i")
        assert "FlowUnknown" not in text
        assert "FlowStalled" in text
        text = await stage.press("enter")
        assert "2 Flow" in text
        assert stage.dashboard.board.flow == "audit"
        await stage.press("escape", "Y")
        assert stage.dashboard.clipboard.endswith("/v1/alerts")

    drive(open_stage, play, second=335.0)


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is read five hours and a half ahead of UTC."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
@pytest.mark.parametrize("key", ["1", "2", "5", "6", "7", "8"])
def test_z_tells_every_time_as_the_clock_on_the_wall(open_stage: Any, key: str) -> None:
    """Every hour on a screen moves by what the zone is ahead, and back: no two clocks on one screen."""

    def seconds(text: str) -> list[int]:
        # A clock with seconds, or after a date: a text of the supervisor ("since 13:06") stays its text.
        found = re.findall(r"(?:(?<=\d-\d\d )|\b(?=\d\d:\d\d:))(\d\d):(\d\d)(?::(\d\d))?(?![\d:])", text)
        return [int(hour) * 3600 + int(minute) * 60 + int(second or 0) for hour, minute, second in found]

    async def play(stage: Any) -> None:
        await stage.press("p")
        utc = await stage.press(key)
        local = await stage.press("z")
        assert [(there - here) % 86_400 for here, there in zip(seconds(utc), seconds(local), strict=True)] == [
            19_800
        ] * len(seconds(utc))
        assert seconds(utc)
        assert seconds(await stage.press("z")) == seconds(utc)

    drive(open_stage, play, second=335.0)
