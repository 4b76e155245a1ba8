"""Moves and restores before they are begun: what they show, what has to be typed, what is asked for then."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from replicator.api.schema import ActRequest, RestoreOrder
from replicator.cli.snapshots.restoring import make_request, request_of, restore
from tests.tui.test_screens import FAILOVER_KEYS, SIZES, drive
from tui.dialogs.restore import option_words, read_options
from tui.feeds.recording import Moment

ACTS = ["pause", "snapshot", "restore", "drill", "switchover", "failover", "failback"]
OPERATOR = Moment(0.5, "session", {"name": "kim", "role": "operator", "acts": ACTS})
RESTORE_KEYS = ("6", "enter")


async def wait_for_order(stage: Any) -> tuple[str, str, ActRequest]:
    """Return what was asked for, once something was."""
    for _ in range(200):
        if stage.feed.asked:
            assert len(stage.feed.asked) == 1
            asked: tuple[str, str, ActRequest] = stage.feed.asked[0]
            return asked
        await stage.press()
    raise AssertionError("nothing was asked for")


@pytest.mark.parametrize("size", SIZES)
def test_a_move_shows_what_it_would_do(open_stage: Any, size: tuple[int, int]) -> None:
    """Cost, gates and every step with the point of no return are there to read before anything is typed."""

    async def play(stage: Any) -> None:
        text = await stage.press(*FAILOVER_KEYS)
        assert "FAILOVER  orders  east" in text
        assert "(*) failover" in text
        assert "replicator failover orders --confirm orders" in text
        told = stage.dashboard.screen.query_one("#move-text").text
        assert "lose 1,204 known, max 5,364, unread 0.8s" in told
        assert "PRE-FLIGHT  5 open, 0 closed, 1 unknown" in told
        assert "standby_has_room" in told
        assert " 8 promote" in told
        assert "no way back but a failback" in told
        assert "at most 48,210 records twice; down about 21s (median of 3)" in told
        plan = stage.dashboard.screen.query_one("#move-plan")
        assert (await stage.press("pagedown") != text) is (plan.max_scroll_y > 0)
        assert all(len(line) <= size[0] for line in stage.text.splitlines())

    drive(open_stage, play, second=312.0, size=size, is_acting_allowed=True, extra=[OPERATOR])


def test_up_and_down_change_the_move(open_stage: Any) -> None:
    """Another move has its own command and its own word to type; what was typed for the other is forgotten."""

    async def play(stage: Any) -> None:
        await stage.press(*FAILOVER_KEYS)
        await stage.press(*"orders")
        assert not stage.dashboard.screen.query_one("#start").disabled
        text = await stage.press("up")
        assert "replicator switchover orders --confirm orders" in text
        assert stage.dashboard.screen.query_one("#start").disabled
        text = await stage.press("up")
        assert "replicator drill orders" in text
        await stage.press(*"yes", "enter")
        act, flow, request = await wait_for_order(stage)
        assert (act, flow, request.confirm, request.accept) == ("drill", "orders", None, ())

    drive(open_stage, play, second=240.0, is_acting_allowed=True, extra=[OPERATOR])


def test_what_is_accepted_stands_in_the_command_and_in_the_order(open_stage: Any) -> None:
    """A ticked box is in the shell command and in what is asked for; a switchover has none."""

    async def play(stage: Any) -> None:
        await stage.press(*FAILOVER_KEYS)
        boxes = stage.dashboard.screen.query_one("#accept-loss")
        boxes.focus()
        assert "--accept loss" in await stage.press("space")
        assert "X" in boxes.BUTTON_INNER
        assert "--accept" not in await stage.press("up")
        await stage.press("down")
        stage.dashboard.screen.query_one("#typed").focus()
        await stage.press(*"orders", "enter")
        act, flow, request = await wait_for_order(stage)
        assert (act, flow, request.confirm, request.accept) == ("failover", "orders", "orders", ("loss",))

    drive(open_stage, play, second=312.0, size=(120, 40), is_acting_allowed=True, extra=[OPERATOR])


@pytest.mark.parametrize("size", SIZES)
def test_a_restore_is_planned_first(open_stage: Any, size: tuple[int, int]) -> None:
    """Plan asks for a dry run of what stands in the fields, and needs no typed name."""

    async def play(stage: Any) -> None:
        text = await stage.press(*RESTORE_KEYS)
        assert "RESTORE  20260115T121500Z-7f3a0" in text
        screen = stage.dashboard.screen
        assert screen.query_one("#plan").disabled
        await stage.press(*"west", "enter", "end", "backspace", *"orders.*", "enter", *"orders.paid=paid.back")
        await stage.press("enter", "enter", *"offsets=exact stop=orders.paid[0]=7 acls=apply")
        assert not screen.query_one("#plan").disabled
        assert screen.query_one("#start").disabled
        shell = screen.query_one("#restore-shell").text.replace("\n", " ")
        assert "--target west --topics 'orders.*' --rename orders.paid=paid.back --offsets exact" in " ".join(
            shell.split()
        )
        assert all(len(line) <= size[0] for line in stage.text.splitlines())
        await stage.pilot.click("#plan")
        act, flow, request = await wait_for_order(stage)
        assert (act, flow, request.confirm) == ("restore", "orders", None)
        assert request.restore is not None
        assert request.restore.model_dump(exclude_defaults=True) == {
            "snapshot": "20260115T121500Z-7f3a0",
            "cluster": "west",
            "topics": ("orders.*",),
            "renames": {"orders.paid": "paid.back"},
            "offsets": "exact",
            "stops": ("orders.paid[0]=7",),
            "acls": "apply",
            "is_dry_run": True,
        }

    drive(open_stage, play, size=size, is_acting_allowed=True, extra=[OPERATOR])


@pytest.mark.security
@pytest.mark.parametrize("typed", ["", "wes", "east", "yes"])
def test_a_restore_needs_the_clusters_exact_name(open_stage: Any, typed: str) -> None:
    """Anything else typed, or a cluster nobody knows, begins nothing."""

    async def play(stage: Any) -> None:
        await stage.press(*RESTORE_KEYS)
        await stage.press(*"west", *("enter",) * 5, *typed, "enter")
        assert stage.dashboard.screen.query_one("#start").disabled
        await stage.press("escape", "enter", *"moon", *("enter",) * 5, *"moon", "enter")
        assert stage.dashboard.screen.query_one("#start").disabled
        assert stage.feed.asked == []

    drive(open_stage, play, is_acting_allowed=True, extra=[OPERATOR])


def test_a_restore_with_its_name_begins(open_stage: Any) -> None:
    """The exact name of the cluster begins it, and it is no dry run."""

    async def play(stage: Any) -> None:
        await stage.press(*RESTORE_KEYS)
        await stage.press(*"west", *("enter",) * 5, *"west", "enter")
        act, _flow, request = await wait_for_order(stage)
        assert act == "restore"
        assert request.restore is not None
        assert not request.restore.is_dry_run

    drive(open_stage, play, is_acting_allowed=True, extra=[OPERATOR])


@pytest.mark.security
def test_read_only_restores_nothing(open_stage: Any) -> None:
    """Without --allow-actions the command is shown and nothing can be started, not even a plan."""

    async def play(stage: Any) -> None:
        text = await stage.press(*RESTORE_KEYS)
        assert "--allow-actions" in text
        await stage.press(*"west", *("enter",) * 5, *"west", "enter")
        screen = stage.dashboard.screen
        assert screen.query_one("#plan").disabled
        assert screen.query_one("#start").disabled
        assert stage.feed.asked == []

    drive(open_stage, play, extra=[OPERATOR])


def test_q_is_asked_twice_while_an_act_begun_here_runs(open_stage: Any) -> None:
    """The first q says that the operation goes on, the second leaves; where nothing runs the first one does."""

    async def play(stage: Any) -> None:
        await stage.press(*FAILOVER_KEYS)
        await stage.press(*"orders", "enter")
        await wait_for_order(stage)
        for _ in range(50):
            if stage.dashboard._begun:
                break
            await stage.press()
        await stage.press("q")
        assert stage.dashboard.is_running
        assert stage.dashboard.return_code is None
        await stage.pilot.press("q")
        assert stage.dashboard.return_code == 0

    drive(open_stage, play, second=340.0, is_acting_allowed=True, extra=[OPERATOR])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("offsets=exact limit=60", {"offsets": "exact", "exact_seconds_max": "60"}),
        ("stop=a[0]=1 stop=a[1]=2", {"stops": ("a[0]=1", "a[1]=2")}),
        ("pattern=a(.*)=b\\1 prefix=x.", {"rename_patterns": ("a(.*)=b\\1",), "prefix": "x."}),
        ("offsets=exact offsets=remap", None),
        ("offsets", None),
        ("offsets=", None),
        ("colour=blue", None),
    ],
)
def test_the_last_field_takes_the_options(text: str, found: dict[str, Any] | None) -> None:
    """Each option is one part of the order; what is none, or is told twice, cannot be meant."""
    assert read_options(text) == found


def test_options_become_the_words_of_a_shell() -> None:
    """What differs from the default is said; the command line reads it back as the same order."""
    order = RestoreOrder(
        snapshot="s", cluster="west", offsets="exact", exact_seconds_max=60, prefix="x.", partitions="0,2-3",
        until="2026-11-20T08:00:00Z", stops=("a[0]=1",), rename_patterns=("a(.*)=b",), configs="keep", acls="refuse",
    )  # fmt: skip
    words = option_words(order)
    context = restore.make_context("restore", ["ID", "--target", "west", *words])
    asked = {k: v for k, v in context.params.items() if k in inspect.signature(make_request).parameters}
    assert make_request(**asked) == request_of(order)
    assert option_words(RestoreOrder(snapshot="s", cluster="west")) == []
