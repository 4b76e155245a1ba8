"""Whether each objective of a flow holds now, with the evidence. Values to values."""

from __future__ import annotations

from replicator.model.figures import show_count, show_seconds
from replicator.model.lag import FlowLag
from replicator.model.objectives import Objectives, Verdict


def judge_objectives(
    objectives: Objectives, *, lag: FlowLag, window_seconds: float | None, last_rto_seconds: float | None = None
) -> tuple[Verdict, ...]:
    """Return one verdict per objective that was promised; one that cannot be known says why."""
    verdicts = []
    if objectives.rpo_seconds is not None:
        verdicts.append(_judge_rpo_seconds(objectives.rpo_seconds, lag=lag, window_seconds=window_seconds))
    if objectives.rpo_records is not None:
        verdicts.append(_judge_rpo_records(objectives.rpo_records, lag=lag))
    if objectives.rto_seconds is not None:
        verdicts.append(_judge_rto(objectives.rto_seconds, measured=last_rto_seconds))
    return tuple(verdicts)


def _judge_rpo_seconds(promised: float, *, lag: FlowLag, window_seconds: float | None) -> Verdict:
    if lag.lag_seconds is None:
        unread = "the source was never read" if window_seconds is None else f"unread for {show_seconds(window_seconds)}"
        return Verdict("rpo_seconds", None, f"lag is unknown: {unread}; promised {show_seconds(promised)}")
    told = f"{show_seconds(lag.lag_seconds)} behind; promised {show_seconds(promised)}"
    return Verdict("rpo_seconds", lag.lag_seconds <= promised, told)


def _judge_rpo_records(promised: int, *, lag: FlowLag) -> Verdict:
    if lag.lag_records is None:
        return Verdict("rpo_records", None, f"lag is unknown; promised {show_count(promised)} records")
    told = f"{show_count(lag.lag_records)} records behind; promised {show_count(promised)}"
    return Verdict("rpo_records", lag.lag_records <= promised, told)


def _judge_rto(promised: float, *, measured: float | None) -> Verdict:
    if measured is None:
        return Verdict("rto_seconds", None, f"no move was measured yet; promised {show_seconds(promised)}")
    told = f"the last move took {show_seconds(measured)}; promised {show_seconds(promised)}"
    return Verdict("rto_seconds", measured <= promised, told)
