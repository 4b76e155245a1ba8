"""How long a trouble must last before its alert fires: each rule of the file over a synthetic series of scrapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from replicator.supervisor.metrics.alerts import ALERTS
from replicator.supervisor.metrics.export import RULES_FILE
from replicator.supervisor.metrics.expressions import Above, Absent, Age, Condition, Is, Rises, Series, Times, Unless
from tests.promql import Scraped, Vector, firing_moments, seconds_of

CONFIGS = Path(__file__).parents[3] / "configs"
RULES: list[dict[str, str]] = YAML(typ="safe").load((CONFIGS / RULES_FILE).read_text())["groups"][0]["rules"]
CONDITIONS: Mapping[str, Condition] = {alert.name: alert.condition for alert in ALERTS}
STEP_SECONDS = 30.0
CALM_STEPS = 10
START = 1_800_000_000.0
IDS = [rule["alert"] for rule in RULES]


def sample(series: Series, value: float) -> dict[str, Vector]:
    """Return one sample of a series, for the flow `orders`."""
    return {series.name: {frozenset({"flow": "orders", **series.labels}.items()): value}}


def samples(condition: Condition, at: float, *, is_holding: bool) -> dict[str, Vector]:
    """Return what is scraped while the condition holds, just so, or while it just does not."""
    past = 1.0 if is_holding else -1.0
    match condition:
        case Absent(series):
            return {} if is_holding else sample(series, 1.0)
        case Is(series, value):
            return sample(series, value if is_holding else value + 1)
        case Rises(series, _):
            return sample(series, at if is_holding else START)
        case Unless(inner, _, _):
            return samples(inner, at, is_holding=is_holding)
        case Above(left, right):
            limit, beside = limit_of(right)
            series = left.of if isinstance(left, Age | Times) else left
            assert isinstance(series, Series)
            return beside | sample(series, at - limit - past if isinstance(left, Age) else limit + past)


def limit_of(right: Any) -> tuple[float, dict[str, Vector]]:
    """Return what the left side is held against, and the samples that make it so."""
    if isinstance(right, Times):
        return right.factor * 2.0, sample(right.of, 2.0)
    return (10.0, sample(right, 10.0)) if isinstance(right, Series) else (float(right), {})


def scrapes(condition: Condition, troubles: list[bool]) -> list[Scraped]:
    """Return a scrape every step: in trouble, or not."""
    moments = [START + number * STEP_SECONDS for number in range(len(troubles))]
    return [Scraped(at, samples(condition, at, is_holding=bad)) for at, bad in zip(moments, troubles, strict=True)]


def steps_of(rule: Mapping[str, str]) -> int:
    """Return how many steps the rule's `for` is."""
    return int(seconds_of(rule["for"]) / STEP_SECONDS)


def step_numbers(moments: list[float]) -> Iterator[int]:
    """Return the steps of moments."""
    return (round((at - START) / STEP_SECONDS) for at in moments)


@pytest.mark.parametrize("rule", RULES, ids=IDS)
def test_an_alert_fires_when_its_trouble_has_lasted_and_not_before(rule: dict[str, str]) -> None:
    """While all is well and while it is pending nothing fires; from `for` on it fires as long as the trouble lasts."""
    wait, lasts = steps_of(rule), steps_of(rule) + 5
    told = firing_moments(rule, scrapes(CONDITIONS[rule["alert"]], [False] * CALM_STEPS + [True] * lasts))
    assert list(step_numbers(told)) == list(range(CALM_STEPS + wait, CALM_STEPS + lasts))


@pytest.mark.parametrize("rule", [rule for rule in RULES if steps_of(rule) > 0], ids=lambda rule: str(rule["alert"]))
def test_a_trouble_that_ends_in_time_fires_nothing(rule: dict[str, str]) -> None:
    """A trouble a step short of `for` is forgotten, and the next one waits the whole time again.

    A rise is remembered for its window: it may come back within that, and must then have gone on for `for`.
    """
    condition, short = CONDITIONS[rule["alert"]], [True] * steps_of(rule)
    if isinstance(condition, Rises):
        once = [False] * CALM_STEPS + [True] + [False] * steps_of(rule)
        still = [
            Scraped(one.at, sample(condition.series, START + any(once[: n + 1])))
            for n, one in enumerate(scrapes(condition, once))
        ]
        assert firing_moments(rule, still) == []
        return
    assert firing_moments(rule, scrapes(condition, [False] * CALM_STEPS + short + [False] + short + [False])) == []


def test_every_rule_of_the_file_is_ours() -> None:
    """No rule of the file is left out above, and none waits less than one step without meaning at once."""
    assert list(CONDITIONS) == IDS
    assert all(seconds_of(rule["for"]) % STEP_SECONDS == 0 for rule in RULES)
