"""Feeds one flow's board into its lag series: each sweep once, and what cannot be read as unknown."""

from __future__ import annotations

from datetime import datetime

from replicator.flow import LagObservation, LagRules, LagSeries
from replicator.model.flow import Flow
from replicator.model.lag import FlowLag
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.pairing import lag_observation, lag_rules, positions_before
from replicator.supervisor.decide.status import can_read
from replicator.supervisor.samples import SourceSample


class LagFeed:
    """The lag of one flow over time. One thread at a time."""

    def __init__(self, flow: Flow, board: FlowBoard, *, rules: LagRules | None = None) -> None:
        self._board = board
        self._series = LagSeries(flow.name, rules or lag_rules(flow))
        self._fed: datetime | None = None
        self._is_begun = False

    def begin_with(self, observation: LagObservation) -> None:
        """Let the lag begin at what was observed before we looked."""
        self._series.add(observation)

    def measure(self, now: datetime) -> FlowLag:
        """Return the lag as the board tells it now."""
        contact, sample = self._board.source_watch.observation, self._board.source
        if not can_read(contact, now=now):
            self._add(None, now=now)
            self._fed = None
        elif sample is not None and sample.began_at != self._fed and sample.began_at == contact.last_reached_at:
            if not self._has_begun(sample):
                return self._series.measure(now)
            self._add(sample, now=now)
            self._fed = sample.began_at
        return self._series.measure(now)

    def _has_begun(self, sample: SourceSample) -> bool:
        """Whether positions were ever read to hold a sweep against; a sweep before that would only hide the rates."""
        self._is_begun = (
            self._is_begun or positions_before(self._board.mirrored_samples, moment=sample.began_at) is not None
        )
        return self._is_begun

    def _add(self, sample: SourceSample | None, *, now: datetime) -> None:
        mirrored, tails = self._board.mirrored_samples, self._board.tails
        self._series.add(lag_observation(sample, mirrored, tails=tails, now=now))
