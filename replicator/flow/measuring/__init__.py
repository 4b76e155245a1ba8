"""Lag over a series of observations: records, seconds, rates, stalls. Pure, bounded, and unknown where nobody read."""

from replicator.flow.measuring.peaks import PEAK_DAYS, PeakTrail
from replicator.flow.measuring.series import LagObservation, LagRules, LagSeries, flow_lag, unknown_lag
from replicator.flow.measuring.trail import Trail

__all__ = ["PEAK_DAYS", "LagObservation", "LagRules", "LagSeries", "PeakTrail", "Trail", "flow_lag", "unknown_lag"]
