"""Histograms of what the journal tells: how long operations took, and each of their steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import HistogramMetricFamily, Metric

from replicator.model.operations import Operation, StepPhase
from replicator.supervisor.metrics.families import Family

BUCKETS_SECONDS = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)

Durations = Mapping[tuple[str, ...], Sequence[float]]
"""Seconds, by the labels of a family."""


def durations_of(family: Family, operations: Iterable[Operation]) -> Durations:
    """Return the durations of a family: by kind of operation, or by kind and step."""
    found: dict[tuple[str, ...], list[float]] = {}
    take = step_durations if "step" in family.labels else _whole_durations
    for operation in operations:
        for labels, seconds in take(operation):
            found.setdefault(labels, []).append(seconds)
    return found


def _whole_durations(operation: Operation) -> Iterator[tuple[tuple[str, ...], float]]:
    if operation.ended_at is not None:
        yield (operation.kind.value,), (operation.ended_at - operation.started_at).total_seconds()


def step_durations(operation: Operation) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield how long each step took from its last intent until it was done or undone; one found done took none."""
    begun = {}
    for record in operation.records:
        if record.phase == StepPhase.INTENT:
            begun[record.step] = record.written_at
        elif record.phase in (StepPhase.DONE, StepPhase.UNDONE) and record.step in begun:
            seconds = (record.written_at - begun.pop(record.step)).total_seconds()
            yield (operation.kind.value, record.step), max(0.0, seconds)


def histogram(family: Family, durations: Durations) -> Metric:
    """Return the durations as a histogram."""
    metric = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    for labels, values in durations.items():
        buckets = [(str(top), float(sum(value <= top for value in values))) for top in BUCKETS_SECONDS]
        metric.add_metric(labels, [*buckets, ("+Inf", float(len(values)))], sum(values))
    return metric
