"""Each screen and each key, at both sizes, over the recorded story."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tui.dashboard import Dashboard
from tui.feeds.recording import Moment
from tui.screens import SCREENS, BoardScreen
from tui.screens.base import passes_filter

SIZES = [(80, 24), (120, 40)]
OPERATOR = Moment(0.5, "session", {"name": "kim", "role": "operator", "acts": ["pause", "resume", "failover"]})
LOST = Moment(200.0, "contact", {"contact": "lost", "reason": "connection refused"})
FAILOVER_KEYS = ("a", *("down",) * 7, "enter")


def drive(open_stage: Any, play: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    """Play on a dashboard that is open."""

    async def run() -> None:
        async with open_stage(**options) as stage:
            await play(stage)

    asyncio.run(run())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("1", ["1 Overview", "orders", "payments", "LAGGING", "LATEST EVENTS"]),
        ("2", ["2 Flow", "orders.source", "RUNNING", "rpo_seconds", "cluster"]),
        ("3", ["3 Lag", "objective 30s", "orders.created", "window 15m"]),
        ("4", ["4 Groups", "billing", "EXACT", "BOUNDED", "nightly-report"]),
        ("5", ["5 Runbook"]),
        ("6", ["6 Snapshots", "20260115T121500Z-7f3a0", "hourly", "damaged"]),
        ("7", ["7 Events", "LAGGING (was HEALTHY)", "WHAT HAPPENED"]),
        ("8", ["8 Alerts", "2 firing, 0 pending", "FlowStalled", "critical", "replicator status audit"]),
    ],
)
def test_each_screen_shows_its_own(open_stage: Any, size: tuple[int, int], key: str, expected: list[str]) -> None:
    """Each number leads to its screen, and the first line stays: can I fail over, and what would I lose."""

    async def play(stage: Any) -> None:
        text = await stage.press(key)
        assert [word for word in expected if word not in text] == []
        first = text.splitlines()[0]
        assert "YES, AT A COST" in first
        assert "known" in first
        assert "max" in first
        assert "unread" in first
        assert all(len(line) <= size[0] for line in text.splitlines())

    drive(open_stage, play, size=size)


def test_the_first_line_is_the_lost_source(open_stage: Any) -> None:
    """In an outage the first line is about the flow that lost its source, all three figures whole at 80 columns."""

    async def play(stage: Any) -> None:
        first = stage.text.splitlines()[0]
        assert "orders" in first
        assert "lose 1,204 known, max 5,364, unread 0.8s" in first

    drive(open_stage, play, second=312.0)


def test_unknown_lag_is_a_dash(open_stage: Any) -> None:
    """A flow whose source cannot be read shows a dash, not a number."""

    async def play(stage: Any) -> None:
        row = next(line for line in stage.text.splitlines() if "? UNKNOWN" in line)
        assert "—" in row
        assert "0.0s" not in row

    drive(open_stage, play, second=312.0)


def test_enter_leads_in_and_esc_comes_back(open_stage: Any) -> None:
    """Enter on a flow opens it; esc returns to the overview with the cursor on the same flow."""

    async def play(stage: Any) -> None:
        await stage.press("down", "down")
        inside = await stage.press("enter")
        assert "2 Flow" in inside
        assert "audit.source" in inside
        back = await stage.press("escape")
        assert "1 Overview" in back
        assert stage.dashboard.board.flow == "audit"

    drive(open_stage, play)


def test_a_topic_opens_into_partitions(open_stage: Any) -> None:
    """Enter on a topic shows its partitions, esc its topics again."""

    async def play(stage: Any) -> None:
        assert "partition 0" not in await stage.press("3")
        assert "partition 0" in await stage.press("enter")
        assert "orders.created" in await stage.press("escape")

    drive(open_stage, play)


def test_a_group_opens_into_its_translation(open_stage: Any) -> None:
    """Enter on a group shows where each partition resumes, esc the groups again."""

    async def play(stage: Any) -> None:
        await stage.press("4")
        assert "orders.created[0]" in await stage.press("enter")
        assert "fraud-detection" in await stage.press("escape")

    drive(open_stage, play)


def test_a_failed_task_shows_its_trace(open_stage: Any) -> None:
    """Enter on a failed task shows the trace, esc hides it."""

    async def play(stage: Any) -> None:
        text = await stage.press("F", "2", *("down",) * 9, "enter")
        assert "TopicAuthorizationException" in text
        assert "Caused by" in text
        assert "Caused by" not in await stage.press("escape")

    drive(open_stage, play)


def test_the_filter_narrows_and_is_forgotten(open_stage: Any) -> None:
    """A part of a name narrows the rows, !part leaves them out, esc shows all again; letters are no keys meanwhile."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        await stage.press("slash", *"aud", "enter")
        assert table.keys_shown == ("audit",)
        await stage.press("escape")
        assert len(table.keys_shown) == 3
        await stage.press("slash", "exclamation_mark", *"aud", "enter")
        assert table.keys_shown == ("orders", "payments")

    drive(open_stage, play)


def test_n_goes_round_the_matches(open_stage: Any) -> None:
    """~ takes letters in their order; n goes to the next row that is left, N to the one before, round at the ends."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        await stage.press("slash", "tilde", *"adt", "enter")
        assert table.keys_shown == ("audit",)
        await stage.press("escape", "slash", "exclamation_mark", *"orders", "enter")
        assert table.keys_shown == ("payments", "audit")
        seen = []
        for key in ("g", "n", "n", "N", "N"):
            await stage.press(key)
            seen.append(table.current_key)
        assert seen[1:] == ["audit", "payments", "audit", "payments"]

    drive(open_stage, play)


def test_w_shows_every_column(open_stage: Any) -> None:
    """At 80 columns w shows those that a wide screen shows, and again only those that fit; the cursor stays."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        await stage.press("down")
        narrow, chosen = len(table.columns), table.current_key
        await stage.press("w")
        assert len(table.columns) == len(table._all) > narrow
        assert table.current_key == chosen
        await stage.press("w")
        assert len(table.columns) == narrow

    drive(open_stage, play)


@pytest.mark.parametrize(
    ("filter_text", "is_let_through"),
    [
        *((letters, True) for letters in ("", "ord", "ORD", "!", "!x", "~", "~odr")),
        *((letters, False) for letters in ("x", "!ord", "~osr")),
    ],
)
def test_the_filter_by_table(filter_text: str, is_let_through: bool) -> None:
    """A part of the words, what is not in them, or letters in their order; case does not count."""
    assert passes_filter(filter_text, "Orders") is is_let_through


def test_only_issues(open_stage: Any) -> None:
    """With i only what wants a look is shown, with i again everything."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        await stage.press("i")
        assert table.keys_shown == ("payments", "audit")
        await stage.press("i")
        assert len(table.keys_shown) == 3

    drive(open_stage, play)


def test_sorting_keeps_the_cursor_on_its_row(open_stage: Any) -> None:
    """Rows are put in order by the next column, turned round, and the cursor stays on its flow."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        await stage.press("down")
        assert table.current_key == "payments"
        await stage.press("s")
        assert table.keys_shown == ("audit", "orders", "payments")
        await stage.press("S")
        assert table.keys_shown == ("payments", "orders", "audit")
        assert table.current_key == "payments"

    drive(open_stage, play)


def test_painting_again_touches_only_what_differs(open_stage: Any) -> None:
    """The same picture painted twice changes no cell, and the table is never cleared."""

    async def play(stage: Any) -> None:
        table = stage.dashboard.screen.table
        calls: list[str] = []
        for method in ("clear", "add_row", "remove_row", "update_cell"):
            setattr(table, method, lambda *_args, method=method, **_options: calls.append(method))
        stage.dashboard.paint()
        await stage.pilot.pause()
        assert calls == []

    drive(open_stage, play)


def test_window_and_unit(open_stage: Any) -> None:
    """t goes through the windows of time, u through the units."""

    async def play(stage: Any) -> None:
        await stage.press("3")
        assert "window 1h" in await stage.press("t")
        assert "window 5m" in await stage.press("t", "t", "t")
        assert "unit records" in await stage.press("u")

    drive(open_stage, play)


def test_the_next_flow(open_stage: Any) -> None:
    """f and F go round the flows."""

    async def play(stage: Any) -> None:
        await stage.press("3")
        assert "payments  east" in await stage.press("f")
        assert "orders  east" in await stage.press("F")

    drive(open_stage, play)


def test_the_runbook_as_it_runs(open_stage: Any) -> None:
    """Steps that are done show their findings, the one that runs its time, and the point of no return is said."""

    async def play(stage: Any) -> None:
        text = await stage.press("5", *("down",) * 7)
        assert "21 groups committed" in text
        assert "promote !" in text
        assert "▶ running" in text
        assert "pending" in text
        assert "past this step the only way back is a failback" in text

    drive(open_stage, play, second=353.0)


def test_help_tells_every_key(open_stage: Any) -> None:
    """? opens the help and closes it again; q in it closes it and not the dashboard."""

    async def play(stage: Any) -> None:
        assert "command palette" in await stage.press("question_mark")
        assert "1 Overview" in await stage.press("q")
        assert stage.dashboard.is_running
        assert "KEYS" in await stage.press("f1")

    drive(open_stage, play)


def test_the_palette_opens_by_both_keys(open_stage: Any) -> None:
    """The command palette opens by a colon and by ctrl+p, and offers the screens."""

    async def play(stage: Any) -> None:
        for key in ("colon", "ctrl+p"):
            await stage.press(key)
            assert type(stage.dashboard.screen).__name__ == "CommandPalette"
            await stage.press("escape")
        titles = [command.title for command in stage.dashboard.get_system_commands(stage.dashboard.screen)]
        assert "Go to Groups" in titles

    drive(open_stage, play)


def test_copying_the_screen_as_a_command(open_stage: Any) -> None:
    """Y copies the command line that shows the same, y the name under the cursor."""

    async def play(stage: Any) -> None:
        await stage.press("3", "Y")
        assert stage.dashboard.clipboard == "replicator lag orders"
        await stage.press("1", "y")
        assert stage.dashboard.clipboard == "orders"

    drive(open_stage, play)


def test_holding_still(open_stage: Any) -> None:
    """p holds the picture and says so, p again lets it go on."""

    async def play(stage: Any) -> None:
        assert "PAUSED" in await stage.press("p")
        assert "PAUSED" not in await stage.press("p")

    drive(open_stage, play)


def test_a_lost_connection_dims_and_tells_the_age(open_stage: Any) -> None:
    """Without contact the dashboard stays, says for how long, how old its data is, and dims it."""

    async def play(stage: Any) -> None:
        first = stage.text.splitlines()[0]
        assert "DISCONNECTED" in first
        assert "old" in first
        assert "orders" in stage.text
        assert stage.dashboard.screen.query_one("#body").has_class("stale")
        await stage.press("2", "3", "4", "5", "6", "7", "8", "1")
        assert stage.dashboard.is_running

    drive(open_stage, play, extra=[LOST, Moment(240.0, "contact", LOST.value)])


@pytest.mark.security
def test_read_only_offers_nothing(open_stage: Any) -> None:
    """Without --allow-actions nothing can be started, whatever the token could do; the command is shown."""

    async def play(stage: Any) -> None:
        text = await stage.press(*FAILOVER_KEYS)
        assert "replicator failover orders --confirm orders" in text
        assert "--allow-actions" in text
        await stage.press(*"orders", "enter")
        assert stage.feed.asked == []

    drive(open_stage, play, extra=[OPERATOR])


@pytest.mark.security
@pytest.mark.parametrize("typed", ["", "order", "Orders", "orderss", "yes", "payments"])
def test_a_failover_needs_the_exact_name(open_stage: Any, typed: str) -> None:
    """With anything but the flow's exact name typed, enter and the button begin nothing."""

    async def play(stage: Any) -> None:
        await stage.press(*FAILOVER_KEYS)
        await stage.press(*typed, "enter")
        assert stage.dashboard.screen.query_one("#start").disabled
        await stage.pilot.click("#start")
        assert stage.feed.asked == []
        await stage.press("escape")
        assert stage.feed.asked == []

    drive(open_stage, play, is_acting_allowed=True, extra=[OPERATOR])


def test_a_failover_with_its_name_begins_and_is_watched(open_stage: Any) -> None:
    """The exact name begins it once, with the name as its confirmation, and the runbook is shown."""

    async def play(stage: Any) -> None:
        await stage.press(*FAILOVER_KEYS)
        await stage.press(*"orders", "enter")
        for _ in range(50):
            if "5 Runbook" in stage.text:
                break
            await stage.press()
        assert [(act, flow, request.confirm) for act, flow, request in stage.feed.asked] == [
            ("failover", "orders", "orders")
        ]
        assert "5 Runbook" in stage.text

    drive(open_stage, play, second=340.0, is_acting_allowed=True, extra=[OPERATOR])


def test_an_act_that_is_not_offered_cannot_be_started(open_stage: Any) -> None:
    """An act this supervisor does not offer shows its command and starts nothing."""

    async def play(stage: Any) -> None:
        text = await stage.press("a", *("down",) * 6, "enter")
        assert "does not offer switchover" in text
        await stage.press(*"orders", "enter")
        assert stage.feed.asked == []

    drive(open_stage, play, is_acting_allowed=True, extra=[OPERATOR])


def bound_keys(owner: type) -> list[str]:
    """Return every key a class of screens, or the dashboard, has bound, but the one that quits."""
    bound = [key for binding in owner.__dict__["BINDINGS"] for key in binding.key.split(",")]
    return [key for key in bound if key not in ("q", "escape")]


@pytest.mark.security
@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.TITLE_TEXT)
def test_no_single_key_begins_anything(open_stage: Any, screen: type[BoardScreen]) -> None:
    """On no screen does any one bound key, nor a usual key for deleting, ask for an act."""
    own = [*bound_keys(BoardScreen), *(bound_keys(screen) if "BINDINGS" in screen.__dict__ else [])]
    everywhere = bound_keys(Dashboard) if screen is SCREENS[0] else ["a"]
    place = str(SCREENS.index(screen) + 1)

    async def play(stage: Any) -> None:
        await stage.pilot.press(place)
        for key in [*own, *everywhere, "delete", "ctrl+d", "ctrl+k"]:
            await stage.pilot.press(key, "escape")
        assert stage.feed.asked == []
        assert stage.dashboard.is_running

    drive(open_stage, play, is_acting_allowed=True, extra=[OPERATOR])


@pytest.mark.security
@pytest.mark.parametrize("size", SIZES)
def test_hostile_names_are_shown_and_not_obeyed(open_stage: Any, size: tuple[int, int]) -> None:
    """A group named with escapes, markup and a click action is shown escaped; no control character is painted."""

    async def play(stage: Any) -> None:
        text = await stage.press("4", "down", "down", "down")
        assert "\\x1b]52;c;" in text
        assert "[@click=app.quit]" in text
        painted = text.replace("\n", "")
        assert not [letter for letter in painted if ord(letter) < 0x20 or 0x7F <= ord(letter) < 0xA0]
        assert "\u202e" not in painted
        await stage.press("enter", "y", "escape")
        assert "\x1b" not in stage.dashboard.clipboard
        actions = [
            style.meta
            for strip in stage.dashboard.screen._compositor.render_strips()
            for _, style, _ in strip
            if style is not None and "@click" in style.meta
        ]
        assert actions == []

    drive(open_stage, play, size=size)
