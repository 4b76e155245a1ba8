"""What a failover would lose at this moment, from the newest samples of a flow."""

from __future__ import annotations

from replicator.failover import account_loss
from replicator.model.flow import Delivery, Flow
from replicator.model.operations import LossReport
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.changes import topic_observations


def loss_now(flow: Flow, board: FlowBoard, *, window_seconds: float | None) -> LossReport | None:
    """Return what a failover would lose now, summed over the flow; None while the source was never read."""
    sample, mirrored = board.source, board.mirrored
    if sample is None or mirrored is None:
        return None
    observed = topic_observations(
        flow.source,
        sample=sample,
        mirrored=mirrored,
        tails=board.tails,
        peaks=board.peaks,
        unmirrored_since=board.unmirrored_since,
    )
    # Heartbeats have positions too: nobody loses them, and a topic nobody observes would leave all unknown.
    carried = {topic for topic in {tp.topic for tp in mirrored.positions} if flow.carries_topic(topic)}
    report = account_loss(
        observed,
        {tp: position for tp, position in mirrored.positions.items() if tp.topic in carried},
        window_seconds=window_seconds,
        read_at=sample.began_at,
        is_exactly_once=flow.delivery is Delivery.EXACTLY_ONCE,
    )
    return LossReport(
        known_lost=report.known_lost,
        unknown_window_seconds=report.unknown_window_seconds,
        possible_lost_max=report.possible_lost_max,
        lost_seconds_max=report.lost_seconds_max,
    )
