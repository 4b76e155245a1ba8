"""What a failover would cost if it were ordered now, and every gate that it would have to pass, with its fix.

Owns the gates and the figures; it reads what a failover would read, changes nothing, and promises nothing.
"""

from replicator.failover.forecasting.gates import Forecast, Gate, GateFacts, GroupForecast, decide_gates
from replicator.failover.forecasting.plans import MovePlan, find_drift, make_plan, plan_from, require_same
from replicator.failover.forecasting.reading import forecast_failover

__all__ = [
    "Forecast",
    "Gate",
    "GateFacts",
    "GroupForecast",
    "MovePlan",
    "decide_gates",
    "find_drift",
    "forecast_failover",
    "make_plan",
    "plan_from",
    "require_same",
]
