"""Which alerts hold now, and since when: the shipped rules, asked of one overview after the other.

This is how Prometheus asks scrape after scrape.
It stands in for no Prometheus: it sends nobody anything, and what is silenced there it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from replicator.model.supervision.alerts import AlertState, AlertStatus
from replicator.model.supervision.overview import Overview
from replicator.supervisor.metrics.alerts import ALERTS, Alert
from replicator.supervisor.metrics.collect import collect
from replicator.supervisor.metrics.expressions import Above, Labels, Rises, Scrape, Values
from replicator.supervisor.metrics.families import BY_NAME

ALERTS_MAX = 500
"""So many are told of; who has more of them needs no longer list."""
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_ORDER = {"critical": 0, "warning": 1, "info": 2}
_PLACE = re.compile(r"\{\{ \$(?:labels\.)?(\w+) \}\}", re.ASCII)


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration as rules write it: a number and one letter."""
    return float(duration[:-1]) * _UNIT_SECONDS[duration[-1]]


def scrape_of(overview: Overview, *, names: frozenset[str], at: float) -> Scrape:
    """Return the samples of these families that a scrape of the overview would hold."""
    found: dict[str, dict[Labels, float]] = {}
    for sample in collect(overview):
        if sample.family in names:
            pairs = zip(BY_NAME[sample.family].labels, sample.labels, strict=True)
            labels = frozenset(pair for pair in pairs if pair[1])  # to Prometheus an empty label is none
            values = found.setdefault(sample.family, {})
            values[labels] = values.get(labels, 0.0) + float(sample.value or 0.0)
    return Scrape(found, at)


class AlertWatch:
    """Follows each alert from look to look. One thread at a time; `statuses` may be read from any."""

    def __init__(self, alerts: Sequence[Alert] = ALERTS) -> None:
        self._alerts = tuple(alerts)
        self._names = frozenset(name for alert in self._alerts for name in alert.condition.names())
        self._since: dict[tuple[str, Labels], float] = {}
        self._counted: dict[str, Values] = {}
        self._rose_at: dict[tuple[str, Labels], float] = {}
        self.statuses: tuple[AlertStatus, ...] | None = None

    def look(self, overview: Overview, *, now: datetime) -> tuple[AlertStatus, ...]:
        """Return every alert whose condition holds, the gravest and those that fire first."""
        scrape = scrape_of(overview, names=self._names, at=now.timestamp())
        holding = {(alert.name, labels): alert for alert in self._alerts for labels in self._holding(alert, scrape)}
        self._since = {key: self._since.get(key, scrape.at) for key in holding}
        found = [self._status(alert, labels, scrape) for (_name, labels), alert in holding.items()]
        self.statuses = tuple(sorted(found, key=_rank)[:ALERTS_MAX])
        return self.statuses

    def _holding(self, alert: Alert, scrape: Scrape) -> Iterator[Labels]:
        if isinstance(alert.condition, Rises):
            yield from self._rising(alert.name, alert.condition, scrape)
        else:
            yield from map(frozenset, map(dict.items, alert.fires(scrape)))

    def _rising(self, name: str, condition: Rises, scrape: Scrape) -> Iterator[Labels]:
        """A counter rises for as long as its last rise lies within the window; one that began anew has not risen."""
        before, values = self._counted.get(name), condition.series.values(scrape)
        self._counted[name] = values
        for labels, value in values.items():
            if before is not None and labels in before and value > before[labels]:
                self._rose_at[(name, labels)] = scrape.at
        kept = {key: at for key, at in self._rose_at.items() if key[0] != name or key[1] in values}
        self._rose_at = kept
        window = seconds_of(condition.window)
        yield from (key[1] for key, at in kept.items() if key[0] == name and scrape.at - at <= window)

    def _status(self, alert: Alert, labels: Labels, scrape: Scrape) -> AlertStatus:
        since = self._since[(alert.name, labels)]
        is_firing = scrape.at - since >= seconds_of(alert.lasting)
        words = dict(labels) | {"value": _value(alert, labels, scrape)}
        return AlertStatus(
            name=alert.name,
            severity=alert.severity,
            state=AlertState.FIRING if is_firing else AlertState.PENDING,
            labels=tuple(sorted(labels)),
            since=datetime.fromtimestamp(since, tz=UTC),
            summary=_filled(alert.summary, words),
            description=_filled(alert.description, words),
        )


def _rank(status: AlertStatus) -> tuple[bool, int, datetime]:
    return (status.state is not AlertState.FIRING, _ORDER.get(status.severity, len(_ORDER)), status.since)


def _value(alert: Alert, labels: Labels, scrape: Scrape) -> str:
    condition = alert.condition
    value = condition.left.values(scrape).get(labels) if isinstance(condition, Above) else None
    return "some" if value is None else f"{value:g}"


def _filled(template: str, words: Mapping[str, str]) -> str:
    """Return the text with each `{{ $labels.flow }}` replaced by what it stands for."""
    return _PLACE.sub(lambda found: words.get(found[1], found[1]), template)
