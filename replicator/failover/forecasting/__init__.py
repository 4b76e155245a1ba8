"""What a failover would cost if it were ordered now, and every gate that it would have to pass, with its fix.

Owns the gates and the figures; it reads what a failover would read, changes nothing, and promises nothing.
"""

from replicator.failover.forecasting.forecast import Forecast, GroupForecast, expected_rto, last_drill
from replicator.failover.forecasting.gates import GateFacts, MissingRight, Sides, decide_gates
from replicator.failover.forecasting.plans import MovePlan, find_drift, make_plan, plan_from, require_same
from replicator.failover.forecasting.reading import forecast_failover
from replicator.failover.forecasting.sides import Asking, ask_sides
from replicator.model.supervision.forecasts import Gate

__all__ = [
    "Asking",
    "Forecast",
    "Gate",
    "GateFacts",
    "GroupForecast",
    "MissingRight",
    "MovePlan",
    "Sides",
    "ask_sides",
    "decide_gates",
    "expected_rto",
    "find_drift",
    "forecast_failover",
    "last_drill",
    "make_plan",
    "plan_from",
    "require_same",
]
