"""The first line over pictures of every kind: never better than the worst flow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.schema import FlowView
from tui.feeds import ReplayFeed
from tui.headline import make_headline
from tui.picture import Picture
from tui.scenes import story
from tui.screens.overview import newsworthy
from tui.theme import Glyphs


def flow_in(picture: Picture, answer: str, **changes: object) -> FlowView:
    """Return a flow with this answer."""
    assert picture.status is not None
    flow = picture.status.flows[0]
    assert flow.readiness is not None
    readiness = flow.readiness.model_copy(update={"answer": answer, "reasons": (f"because of {answer}",)})
    return flow.model_copy(update={"flow": answer, "readiness": readiness, **changes})


@pytest.fixture(scope="module")
def picture() -> Picture:
    """A picture in which all was well."""
    return ReplayFeed(story(), from_seconds=60).picture


def first_line(picture: Picture, *flows: FlowView) -> str:
    """Return the first line over these flows."""
    assert picture.status is not None
    assert picture.received_at is not None
    shown = replace(picture, status=picture.status.model_copy(update={"flows": flows}))
    return make_headline(shown, now=picture.received_at, glyphs=Glyphs()).first.plain


def test_the_worst_flow_speaks(picture: Picture) -> None:
    """NO before a flow that has moved, before one at a cost, before a YES; in whatever order they stand."""
    well, cost, bad = (flow_in(picture, answer) for answer in ("yes", "yes_at_a_cost", "no"))
    moved = flow_in(picture, "no", active=well.target.cluster, flow="moved")
    for flows, word in (
        ((well,), "YES"),
        ((well, cost), "YES, AT A COST"),
        ((cost, moved, well), "FAILED-OVER"),
        ((moved, bad, cost), "NO"),
    ):
        assert word in first_line(picture, *flows)
        assert word in first_line(picture, *reversed(flows))


def test_a_flow_that_has_moved_names_the_way_home_and_no_loss(picture: Picture) -> None:
    """After a failover the line says who is active; what a failover would lose is not asked any more."""
    moved = flow_in(picture, "no", active="west", flow="orders")
    assert picture.status is not None
    assert picture.received_at is not None
    shown = replace(picture, status=picture.status.model_copy(update={"flows": (moved,)}))
    headline = make_headline(shown, now=picture.received_at, glyphs=Glyphs())
    assert "west is active" in headline.first.plain
    assert "replicator failback orders" in headline.second.plain
    assert "lose" not in headline.first.plain + headline.second.plain


def test_intents_do_not_push_events_out(picture: Picture) -> None:
    """The overview's latest events leave out what a runbook is about to do: what became of it follows."""
    (first, *_) = picture.events
    kinds = ("flow_state_changed", "step_intent", "step_done", "step_already", "step_blocked", "operation_intent")
    events = [first.model_copy(update={"kind": kind}) for kind in kinds]
    assert [one.kind for one in newsworthy(events)] == ["flow_state_changed", "step_done", "step_blocked"]
