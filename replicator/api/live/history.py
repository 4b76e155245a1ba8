"""Lag over time: the last hour fine, the last day coarse. Where points are merged, the worst of them is kept."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from replicator.api.schema import HistoryPoint
from replicator.model.supervision.status import FlowStatus, Status

FINE_STEP_SECONDS = 5.0
FINE_WINDOW_SECONDS = 3600.0
COARSE_STEP_SECONDS = 60.0
COARSE_WINDOW_SECONDS = 86_400.0
FLOWS_MAX = 200


@dataclass(frozen=True, slots=True)
class Slice:
    """Points of one flow, `step_seconds` apart, oldest first."""

    step_seconds: float
    points: tuple[HistoryPoint, ...]


class Track:
    """Points of one flow at one step; those that fall into the same step are merged."""

    def __init__(self, *, step_seconds: float, window_seconds: float) -> None:
        self.step_seconds = step_seconds
        self.window_seconds = window_seconds
        self._points: deque[HistoryPoint] = deque(maxlen=int(window_seconds / step_seconds) + 1)

    def add(self, point: HistoryPoint) -> None:
        """Take a point in."""
        slot = floor_moment(point.at, step_seconds=self.step_seconds)
        placed = point.model_copy(update={"at": slot})
        if self._points and self._points[-1].at == slot:
            self._points[-1] = worst_of(self._points[-1], placed)
        else:
            self._points.append(placed)

    def since(self, moment: datetime) -> tuple[HistoryPoint, ...]:
        """Return the points from `moment` on."""
        return tuple(point for point in self._points if point.at >= moment)


class History:
    """Lag of every flow. One thread at a time; its memory is bounded by flows × points."""

    def __init__(self) -> None:
        self._tracks: dict[str, tuple[Track, Track]] = {}

    def add(self, status: Status) -> None:
        """Take a status in; flows that are gone are forgotten."""
        kept = {flow.flow for flow in status.flows[:FLOWS_MAX]}
        self._tracks = {name: tracks for name, tracks in self._tracks.items() if name in kept}
        for flow in status.flows[:FLOWS_MAX]:
            for track in self._tracks.setdefault(flow.flow, _new_tracks()):
                track.add(to_point(flow, at=status.computed_at))

    def slice(self, flow: str, *, window_seconds: float, now: datetime) -> Slice:
        """Return a flow's lag over the last `window_seconds`, fine if that is within the hour."""
        fine, coarse = self._tracks.get(flow) or _new_tracks()
        track = fine if window_seconds <= fine.window_seconds else coarse
        since = now - timedelta(seconds=min(window_seconds, track.window_seconds))
        return Slice(track.step_seconds, track.since(since))


def _new_tracks() -> tuple[Track, Track]:
    return (
        Track(step_seconds=FINE_STEP_SECONDS, window_seconds=FINE_WINDOW_SECONDS),
        Track(step_seconds=COARSE_STEP_SECONDS, window_seconds=COARSE_WINDOW_SECONDS),
    )


def to_point(flow: FlowStatus, *, at: datetime) -> HistoryPoint:
    """Return a flow's lag now as a point of its history."""
    lag = flow.lag
    return HistoryPoint(
        at=at,
        state=flow.state.value,
        lag_seconds=lag.lag_seconds,
        lag_records=lag.lag_records,
        rate_in=lag.rate_in,
        rate_out=lag.rate_out,
    )


def worst_of(first: HistoryPoint, second: HistoryPoint) -> HistoryPoint:
    """Return one point for two of the same step: the larger lag, unknown if it was unknown in either."""
    return second.model_copy(
        update={
            "lag_seconds": _larger(first.lag_seconds, second.lag_seconds),
            "lag_records": _larger(first.lag_records, second.lag_records),
        }
    )


def _larger(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else max(first, second)


def floor_moment(moment: datetime, *, step_seconds: float) -> datetime:
    """Return the last whole step at or before `moment`."""
    seconds = moment.timestamp()
    return datetime.fromtimestamp(seconds - seconds % step_seconds, tz=UTC)
