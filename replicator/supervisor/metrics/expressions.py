"""Alert expressions as values: each is rendered as PromQL, and can be asked whether it holds over one scrape.

The second way is for tests: an alert that fires on the text a live supervisor serves, without a Prometheus.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]
Values = Mapping[Labels, float]


@dataclass(frozen=True, slots=True)
class Scrape:
    """The samples of one scrape, by name and labels, and when it was made (seconds since 1970)."""

    samples: Mapping[str, Values]
    at: float

    @classmethod
    def parse(cls, text: str, *, at: float) -> Scrape:
        """Return the scrape that a served text is."""
        samples: dict[str, dict[Labels, float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
        return cls(samples, at)


class Number(Protocol):
    """What has a value for each set of labels."""

    def promql(self) -> str:
        """Return it as PromQL."""
        ...

    def values(self, scrape: Scrape) -> Values:
        """Return its values over a scrape."""
        ...

    def names(self) -> frozenset[str]:
        """Return the metrics it reads."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """A metric, narrowed by labels."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def promql(self) -> str:
        """Return the selector."""
        inside = ",".join(f'{key}="{value}"' for key, value in self.labels.items())
        return f"{self.name}{{{inside}}}" if inside else self.name

    def values(self, scrape: Scrape) -> Values:
        """Return the samples that match."""
        wanted = set(self.labels.items())
        return {labels: value for labels, value in scrape.samples.get(self.name, {}).items() if wanted <= labels}

    def names(self) -> frozenset[str]:
        """Return its name."""
        return frozenset({self.name})


@dataclass(frozen=True, slots=True)
class Age:
    """Seconds since the moment a series holds."""

    of: Series

    def promql(self) -> str:
        """Return the difference to now."""
        return f"time() - {self.of.promql()}"

    def values(self, scrape: Scrape) -> Values:
        """Return the age of each sample."""
        return {labels: scrape.at - value for labels, value in self.of.values(scrape).items()}

    def names(self) -> frozenset[str]:
        """Return what it reads."""
        return self.of.names()


@dataclass(frozen=True, slots=True)
class Times:
    """A series, so many times."""

    factor: float
    of: Series

    def promql(self) -> str:
        """Return the product."""
        return f"{self.factor:g} * {self.of.promql()}"

    def values(self, scrape: Scrape) -> Values:
        """Return each sample times the factor."""
        return {labels: self.factor * value for labels, value in self.of.values(scrape).items()}

    def names(self) -> frozenset[str]:
        """Return what it reads."""
        return self.of.names()


@dataclass(frozen=True, slots=True)
class Above:
    """Where the left side is above the right: a number, or what has the same labels."""

    left: Number
    right: Number | float

    def promql(self) -> str:
        """Return the comparison."""
        right = f"{self.right:g}" if isinstance(self.right, int | float) else self.right.promql()
        return f"{self.left.promql()} > {right}"

    def firing(self, scrape: Scrape) -> list[dict[str, str]]:
        """Return the labels for which it holds."""
        limits = None if isinstance(self.right, int | float) else self.right.values(scrape)
        found = []
        for labels, value in self.left.values(scrape).items():
            limit = float(self.right) if isinstance(self.right, int | float) else (limits or {}).get(labels)
            if limit is not None and value > limit:
                found.append(dict(labels))
        return found

    def names(self) -> frozenset[str]:
        """Return what both sides read."""
        right = frozenset[str]() if isinstance(self.right, int | float) else self.right.names()
        return self.left.names() | right


@dataclass(frozen=True, slots=True)
class Is:
    """Where a series has exactly this value."""

    series: Series
    value: float

    def promql(self) -> str:
        """Return the comparison."""
        return f"{self.series.promql()} == {self.value:g}"

    def firing(self, scrape: Scrape) -> list[dict[str, str]]:
        """Return the labels for which it holds."""
        return [dict(labels) for labels, value in self.series.values(scrape).items() if value == self.value]

    def names(self) -> frozenset[str]:
        """Return what it reads."""
        return self.series.names()


@dataclass(frozen=True, slots=True)
class Absent:
    """That there is no such series at all."""

    series: Series

    def promql(self) -> str:
        """Return the function."""
        return f"absent({self.series.promql()})"

    def firing(self, scrape: Scrape) -> list[dict[str, str]]:
        """Return one empty set of labels if nothing is there."""
        return [] if self.series.values(scrape) else [{}]

    def names(self) -> frozenset[str]:
        """Return what it reads."""
        return self.series.names()


@dataclass(frozen=True, slots=True)
class Rises:
    """That a counter rose over a window. It needs two scrapes, so that over one it never holds."""

    series: Series
    window: str

    def promql(self) -> str:
        """Return the comparison."""
        return f"increase({self.series.promql()}[{self.window}]) > 0"

    def firing(self, scrape: Scrape) -> list[dict[str, str]]:
        """Return nothing: one scrape shows no rise."""
        del scrape
        return []

    def names(self) -> frozenset[str]:
        """Return what it reads."""
        return self.series.names()


@dataclass(frozen=True, slots=True)
class Unless:
    """A condition, except for those that share a label with what is excepted."""

    condition: Above | Is
    excepted: Is
    label: str

    def promql(self) -> str:
        """Return the set operation."""
        return f"({self.condition.promql()}) unless on ({self.label}) ({self.excepted.promql()})"

    def firing(self, scrape: Scrape) -> list[dict[str, str]]:
        """Return the labels for which it holds."""
        out = {labels.get(self.label) for labels in self.excepted.firing(scrape)}
        return [labels for labels in self.condition.firing(scrape) if labels.get(self.label) not in out]

    def names(self) -> frozenset[str]:
        """Return what both read."""
        return self.condition.names() | self.excepted.names()


Condition = Above | Is | Absent | Rises | Unless
