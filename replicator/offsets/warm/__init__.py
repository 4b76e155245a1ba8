"""The warm map: what was proven of the copies, kept in runs, and groups placed on it by the million. Pure."""

from replicator.offsets.warm.charts import EMPTY_CHART, Chart, ChartColumns, TopicCharts, chart_of
from replicator.offsets.warm.placed import Placed, PlacedGroup
from replicator.offsets.warm.proving import runs_from
from replicator.offsets.warm.rows import RowMaker
from replicator.offsets.warm.stretches import RUNS_MAX, ProvenRuns, WarmMap

__all__ = [
    "EMPTY_CHART",
    "RUNS_MAX",
    "Chart",
    "ChartColumns",
    "Placed",
    "PlacedGroup",
    "ProvenRuns",
    "RowMaker",
    "TopicCharts",
    "WarmMap",
    "chart_of",
    "runs_from",
]
