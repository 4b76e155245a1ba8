"""Lag over a series of observations: records, seconds, rates, stalls. Pure, bounded, and unknown where nobody read."""

from replicator.flow.measuring.series import LagObservation, LagRules, LagSeries, flow_lag, unknown_lag
from replicator.flow.measuring.trail import Trail

__all__ = ["LagObservation", "LagRules", "LagSeries", "Trail", "flow_lag", "unknown_lag"]
