"""What a failover loses, and the limit that the operator set for it. It is judged twice: by the survey, before anything
is stopped, and by the cut, which is what counts from then on."""

from __future__ import annotations

from datetime import datetime

from replicator.failover.facts import Survey
from replicator.failover.loss import Mirrored, SourceWatch, account_loss, unknown_window_seconds
from replicator.failover.world import Choices, Override, World
from replicator.model.flow import Delivery, Flow
from replicator.model.forms.figures import show_count, show_items, show_seconds
from replicator.model.operations import Blocked, LossReport


def account_flow(world: World, survey: Survey, mirrored: Mirrored, *, now: datetime) -> LossReport:
    """Return what is lost when the flow ends at these mirrored positions, by what was observed and surveyed.

    Heartbeats have positions too: nobody loses them, and a topic nobody observes would leave all unknown.
    """
    watch = SourceWatch(observation=survey.observation, answer=survey.answer, answered_at=survey.answered_at)
    return account_loss(
        {name: seen for name, seen in world.observed.topics.items() if world.flow.carries_topic(name)},
        {tp: position for tp, position in mirrored.items() if world.flow.carries_topic(tp.topic)},
        window_seconds=unknown_window_seconds(watch, now=now),
        read_at=survey.observation.last_reached_at if survey.observation is not None else None,
        is_exactly_once=world.flow.delivery is Delivery.EXACTLY_ONCE,
    )


def find_excess(loss: LossReport, *, flow: Flow, choices: Choices) -> Blocked | None:
    """Return why the loss forbids to go on, or None. Only a limit that the operator set forbids it."""
    if choices.loss_max is None or choices.accepts(Override.LOSS):
        return None
    if loss.possible_lost_max is not None and loss.possible_lost_max <= choices.loss_max:
        return None
    again = f"replicator failover {flow.name} --confirm {flow.name}"
    enough = "" if loss.possible_lost_max is None else f"`{again} --max-loss {loss.possible_lost_max}` or "
    return Blocked(
        f"{tell_loss(loss)}; the limit is {show_count(choices.loss_max)}",
        f"{enough}`{again} --accept loss` goes on",
        is_limit=True,
    )


def tell_loss(loss: LossReport) -> str:
    """Return the loss as one sentence, its three values always together."""
    is_known = loss.unknown_window_seconds is not None
    window = show_seconds(loss.unknown_window_seconds) if is_known else "longer than anybody knows"
    bound = "unknown" if loss.possible_lost_max is None else show_count(loss.possible_lost_max)
    return f"lost at least {show_items(loss.known_lost, 'record')}, at most {bound} (unread for {window})"
