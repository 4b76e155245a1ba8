"""Feeds one flow's board into its lag series: each sweep once, and what cannot be read as unknown."""

from __future__ import annotations

from datetime import datetime

from replicator.flow import LagObservation, LagRules, LagSeries, unknown_lag
from replicator.journal import Observed
from replicator.model.flow import Flow
from replicator.model.lag import FlowLag
from replicator.model.names import TopicPartition
from replicator.supervisor.board import FlowBoard
from replicator.supervisor.decide.pairing import lag_observation, lag_rules, positions_before, remembered_observation
from replicator.supervisor.decide.status import can_read
from replicator.supervisor.samples import SourceSample


class LagFeed:
    """The lag of one flow over time. One thread at a time."""

    def __init__(self, flow: Flow, board: FlowBoard, *, rules: LagRules | None = None) -> None:
        self._flow, self._source = flow.name, flow.source
        self._board = board
        self._series = LagSeries(flow.name, rules or lag_rules(flow))
        self._fed: datetime | None = None
        self._is_begun = False
        self._observed: Observed | None = None

    def begin_with(self, observation: LagObservation) -> None:
        """Let the lag begin at what was observed before we looked."""
        self._series.add(observation)

    def remember(self, observed: Observed) -> None:
        """Let lag that is there when we begin to look be as old as a supervisor before us knew."""
        self._observed = observed

    def measure(self, now: datetime) -> FlowLag:
        """Return the lag as the board tells it now; every partition known of is in it, however little is known."""
        contact, sample = self._board.source_watch.observation, self._board.source
        if not can_read(contact, now=now, read_seconds=0.0 if sample is None else sample.took_seconds):
            self._add(None, now=now)
            self._fed = None
        elif sample is not None and sample.began_at != self._fed and sample.began_at == contact.last_reached_at:
            self._is_begun = self._is_begun or self._can_begin(sample)
            if self._is_begun:
                self._add(sample, now=now)
                self._take_over(sample)
                self._fed = sample.began_at
        if not self._is_begun:
            return self._not_begun(sample, now=now)
        self._board.unmirrored_since = self._series.unmirrored_since()
        return self._series.measure(now)

    def _can_begin(self, sample: SourceSample) -> bool:
        """Whether there are positions to hold the sweep against; one without them would only hide the rates."""
        return positions_before(self._board.mirrored_samples, moment=sample.began_at) is not None

    def _take_over(self, sample: SourceSample) -> None:
        """Tell the series once what was remembered."""
        observed, self._observed = self._observed, None
        earlier = None if observed is None else remembered_observation(observed, self._source, sample)
        if earlier is not None:
            self._series.remember(earlier)

    def _not_begun(self, sample: SourceSample | None, *, now: datetime) -> FlowLag:
        """Return unknown lag of what was swept, or of what the standby remembers of a source nobody has read yet."""
        if sample is not None:
            return unknown_lag(self._flow, sample.ends, observed_at=sample.began_at)
        remembered = self._board.remembered_topics
        partitions = [TopicPartition(seen.topic, part.partition) for seen in remembered for part in seen.partitions]
        return unknown_lag(
            self._flow, partitions, observed_at=min((seen.observed_at for seen in remembered), default=now)
        )

    def _add(self, sample: SourceSample | None, *, now: datetime) -> None:
        mirrored, tails = self._board.mirrored_samples, self._board.tails
        self._series.add(lag_observation(sample, mirrored, tails=tails, now=now))
