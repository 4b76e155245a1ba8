"""The first line: can I fail over now, and what would I lose? Never better than the worst flow."""

from __future__ import annotations

from dataclasses import dataclass

from rich.text import Text

from replicator.api.schema import FlowView, LossView
from replicator.model.forms.figures import show_count, show_seconds
from replicator.model.forms.text import UNKNOWN
from tui.cells import joined, plain, state
from tui.picture import Contact, Picture
from tui.theme import ODD, Glyphs, style_of

STALE_SECONDS = 5.0
"""A status comes every second; one this old is told as old."""

_ORDER = ("yes", "yes_at_a_cost", "no")


@dataclass(frozen=True, slots=True)
class Headline:
    """Two lines, and the word that colours them."""

    word: str
    first: Text
    second: Text


def make_headline(picture: Picture, *, now: float, glyphs: Glyphs) -> Headline:
    """Return the headline of the worst of all flows."""
    age = picture.age_seconds(now)
    if picture.status is None or age is None:
        return _no_contact(picture, now=now, glyphs=glyphs)
    if not picture.status.flows:
        return Headline("UNKNOWN", joined(state("UNKNOWN", glyphs), "no flow is configured"), Text(""))
    flows = picture.status.flows
    headline = _of_flow(max(flows, key=_badness), others=flows, glyphs=glyphs)
    if picture.contact is Contact.CONNECTED and age <= STALE_SECONDS:
        return headline
    return _stale(headline, picture, age=age, now=now, glyphs=glyphs)


def _badness(flow: FlowView) -> tuple[float, bool, float]:
    """The worse answer first; then a source that is lost; then the larger loss, an unknown one before all.

    A flow that has failed over stands before any that still can: it has no standby now.
    """
    answer = _answer(flow)
    place: float = _ORDER.index(answer) if answer in _ORDER else len(_ORDER)
    if _has_moved(flow):
        place = _ORDER.index("no") - 0.5
    lost = flow.readiness.loss.possible_lost_max if flow.readiness and flow.readiness.loss else None
    return (place, flow.source.reachability != "reachable", float("inf") if lost is None else float(lost))


def _answer(flow: FlowView) -> str:
    return flow.readiness.answer if flow.readiness is not None else "UNKNOWN"


def _has_moved(flow: FlowView) -> bool:
    return flow.active == flow.target.cluster


def _of_flow(flow: FlowView, *, others: tuple[FlowView, ...], glyphs: Glyphs) -> Headline:
    answer = _answer(flow)
    reasons = flow.readiness.reasons if flow.readiness is not None else ()
    if _has_moved(flow):
        first = joined(state("FAILED_OVER", glyphs), _which(flow, others), plain(f"{flow.active} is active"))
        return Headline("FAILED_OVER", first, plain(f"there is no standby behind it: replicator failback {flow.flow}"))
    loss = told_loss(flow.readiness.loss if flow.readiness is not None else None)
    which = _which(flow, others)
    reason = plain(reasons[0]) if reasons else Text("nothing stands against it")
    if answer == "no":
        return Headline(answer, joined(state(answer, glyphs), which, reason), Text(f"it would lose {loss} (records)"))
    more = f" (+{len(reasons) - 1} more)" if len(reasons) > 1 else ""
    second = joined(reason, more, separator="") if reasons else Text("nothing stands against it")
    return Headline(answer, joined(state(answer, glyphs), which, Text(f"lose {loss}")), second)


def _which(flow: FlowView, others: tuple[FlowView, ...]) -> Text:
    if len(others) == 1:
        return plain(flow.flow, style="bold")
    same = sum(_answer(other) == _answer(flow) for other in others)
    return joined(plain(flow.flow, style="bold"), f"({same} of {len(others)})", separator=" ")


def told_loss(loss: LossView | None) -> str:
    """Return what would be lost: always the known, the bound and the time nobody read."""
    if loss is None:
        return f"{UNKNOWN} (the source was never read)"
    bound = UNKNOWN if loss.possible_lost_max is None else show_count(loss.possible_lost_max)
    return f"{show_count(loss.known_lost)} known, max {bound}, unread {show_seconds(loss.unknown_window_seconds)}"


def _no_contact(picture: Picture, *, now: float, glyphs: Glyphs) -> Headline:
    words = {
        Contact.CONNECTING: "connecting to the supervisor",
        Contact.LOST: f"no contact for {show_seconds(max(0.0, now - picture.contact_since))}",
        Contact.DENIED: "the supervisor refuses us: it wants another token (r tries again)",
        Contact.CONNECTED: "waiting for the first status",
    }
    first = joined(state("UNKNOWN", glyphs), words[picture.contact])
    return Headline("UNKNOWN", first, plain(picture.contact_reason or "nothing is known yet", style="dim"))


def _stale(headline: Headline, picture: Picture, *, age: float, now: float, glyphs: Glyphs) -> Headline:
    if picture.contact is Contact.CONNECTED:
        why = "NO NEWS"
    else:
        word = "REFUSED" if picture.contact is Contact.DENIED else "DISCONNECTED"
        why = f"{word} {show_seconds(max(0.0, now - picture.contact_since))}"
    first = joined(
        Text(f"{glyphs.mark('UNKNOWN')} {why}", style=f"bold {ODD}"), f"what follows is {show_seconds(age)} old"
    )
    second = headline.first.copy()
    second.stylize("dim")
    return Headline("UNKNOWN", first, second)


def headline_style(headline: Headline) -> str:
    """Return the style of the headline's edge."""
    return style_of(headline.word)
