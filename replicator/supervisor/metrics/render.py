"""Samples as Prometheus text: in the families' order, each series once, no more of them than a scrape bears."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from replicator.model.operations import Operation
from replicator.model.supervision.overview import Overview
from replicator.supervisor.metrics.collect import Answers, Granularity, Sample, collect
from replicator.supervisor.metrics.durations import durations_of, histogram
from replicator.supervisor.metrics.families import FAMILIES, Family

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
SERIES_MAX = 20_000

Values = dict[tuple[str, ...], float]


class _Rendered(Collector):
    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = tuple(metrics)

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def render_metrics(
    overview: Overview,
    *,
    answers: Answers = MappingProxyType({}),
    granularity: Granularity = Granularity.TOPIC,
    series_max: int = SERIES_MAX,
) -> bytes:
    """Return the overview as Prometheus text. `answers` counts the API's answers by route and HTTP status."""
    by_family = _sum_by_family(collect(overview, answers=answers, granularity=granularity))
    metrics = list(_metrics(by_family, overview.operations or (), series_max=series_max))
    return generate_latest(_Rendered(metrics))


def _sum_by_family(samples: Iterator[Sample]) -> dict[str, Values]:
    """Samples of the same labels are one series: their sum."""
    found: dict[str, Values] = {}
    for sample in samples:
        values = found.setdefault(sample.family, {})
        values[sample.labels] = values.get(sample.labels, 0.0) + float(sample.value or 0.0)
    return found


def _metrics(by_family: Mapping[str, Values], operations: Sequence[Operation], *, series_max: int) -> Iterator[Metric]:
    left, dropped = series_max, 0
    for family in FAMILIES:
        if family.kind == "histogram":
            yield histogram(family, durations_of(family, operations))
            continue
        values = by_family.get(family.name, {})
        if family.name == "replicator_series_dropped":
            yield _metric(family, {(): float(dropped)})
            continue
        kept = dict(list(values.items())[: max(0, left)])
        left -= len(kept)
        dropped += len(values) - len(kept)
        if kept:
            yield _metric(family, kept)


def _metric(family: Family, values: Values) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=family.labels)
    for labels, value in values.items():
        # To Prometheus an empty label is none: a topic's series carries no partition.
        told = {key: text for key, text in zip(family.labels, labels, strict=True) if text}
        metric.add_sample(family.name, told, value)
    return metric
