"""Metrics, the alerts over them and the dashboard that shows them.

Owns the names, types and labels of every series, rendered from the last `Overview` and nothing else. Never asks
a cluster, keeps no counter of its own, and leaves a series out when its value is unknown.
"""

from replicator.supervisor.metrics.collect import Answers, Granularity
from replicator.supervisor.metrics.render import CONTENT_TYPE, SERIES_MAX, render_metrics

__all__ = ["CONTENT_TYPE", "SERIES_MAX", "Answers", "Granularity", "render_metrics"]
