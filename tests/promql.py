"""The part of PromQL that our rules and panels use, read and evaluated over real scrapes.

It stands in for promtool and a Prometheus: an expression outside of the grammar below is refused, so that a rule this
file cannot judge fails its test. `increase` is last − first with resets, without Prometheus' extrapolation.

    expr       := set
    set        := comparison ("unless" "on" "(" labels ")" comparison)*
    comparison := sum ((">" | "==") sum)*
    sum        := product ("-" product)*
    product    := atom ("*" atom)*
    atom       := NUMBER | "time" "(" ")" | ("absent" | "increase") "(" expr ")" | "topk" "(" NUMBER "," expr ")"
                | "(" expr ")" | selector
    selector   := NAME ("{" LABEL ("=" | "=~") STRING ("," …)* "}")? ("[" DURATION "]")?
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from replicator.supervisor.metrics.export import RULES_FILE

CONFIGS = Path(__file__).parents[1] / "configs"
Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Ranges = dict[Labels, list[float]]
Value = float | Vector | Ranges

_TOKENS = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<duration>\d+[smhd])|(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)'
    r"|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<sign>=~|==|[-*>(){}\[\],=]))"
)
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


@dataclass(frozen=True)
class Scraped:
    """One scrape: when (seconds since 1970), and its samples by name and labels."""

    at: float
    samples: Mapping[str, Vector]


def parse_scrape(text: str, *, at: float) -> Scraped:
    """Return the scrape that a served text is."""
    samples: dict[str, Vector] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Scraped(at, samples)


class Refused(ValueError):
    """The expression is none of this grammar."""


class _Reader:
    """Reads an expression into a function of scrapes, and notes the metrics and labels it names."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokenize(text)
        self._place = 0
        self.metrics: set[str] = set()
        self.labels: set[tuple[str, str]] = set()

    def read(self) -> Callable[[Sequence[Scraped]], Value]:
        """Return the whole expression."""
        found = self._set()
        if self._place != len(self._tokens):
            raise Refused(f"{self._tokens[self._place]!r} stands after the end")
        return found

    def _peek(self) -> str:
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._place += 1
        return token

    def _take(self, *wanted: str) -> None:
        for token in wanted:
            if (found := self._next()) != token:
                raise Refused(f"{found!r} stands where {token!r} should")

    def _set(self) -> Callable[[Sequence[Scraped]], Value]:
        left = self._comparison()
        while self._peek() == "unless":
            self._take("unless", "on", "(")
            on = {self._next()}
            while self._peek() == ",":
                self._next()
                on.add(self._next())
            self._take(")")
            left = _unless(left, self._comparison(), on)
        return left

    def _comparison(self) -> Callable[[Sequence[Scraped]], Value]:
        left = self._sum()
        while (sign := self._peek()) in (">", "=="):
            self._next()
            left = _compare(left, self._sum(), sign)
        return left

    def _sum(self) -> Callable[[Sequence[Scraped]], Value]:
        left = self._product()
        while self._peek() == "-":
            self._next()
            left = _arithmetic(left, self._product(), lambda a, b: a - b)
        return left

    def _product(self) -> Callable[[Sequence[Scraped]], Value]:
        left = self._atom()
        while self._peek() == "*":
            self._next()
            left = _arithmetic(left, self._atom(), lambda a, b: a * b)
        return left

    def _atom(self) -> Callable[[Sequence[Scraped]], Value]:
        token = self._next()
        if re.fullmatch(r"\d.*", token):
            return lambda _scrapes: float(token)
        if token == "(":
            inside = self._set()
            self._take(")")
            return inside
        if token == "time":
            self._take("(", ")")
            return lambda scrapes: scrapes[-1].at
        if token in ("absent", "increase", "topk"):
            return self._function(token)
        return self._selector(token)

    def _function(self, name: str) -> Callable[[Sequence[Scraped]], Value]:
        self._take("(")
        if name == "topk":
            int(self._next())
            self._take(",")
        inside = self._set()
        self._take(")")
        if name == "absent":
            return lambda scrapes: {} if inside(scrapes) else {frozenset(): 1.0}
        if name == "increase":
            return lambda scrapes: {labels: _rise(found) for labels, found in _ranges(inside(scrapes)).items()}
        return inside

    def _selector(self, name: str) -> Callable[[Sequence[Scraped]], Value]:
        if not re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*", name):
            raise Refused(f"{name!r} is no metric")
        self.metrics.add(name)
        matchers = self._matchers(name)
        if self._peek() != "[":
            return lambda scrapes: _select(scrapes[-1], name, matchers)
        self._take("[")
        window = self._next()
        self._take("]")
        seconds = seconds_of(window)
        return lambda scrapes: _select_range(scrapes, name, matchers, seconds)

    def _matchers(self, name: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        if self._peek() != "{":
            return found
        self._take("{")
        while self._peek() != "}":
            label, sign, value = self._next(), self._next(), self._next()
            if sign not in ("=", "=~") or not value.startswith('"'):
                raise Refused(f"{label}{sign}{value} is no matcher")
            self.labels.add((name, label))
            found.append((label, value[1:-1] if sign == "=~" else re.escape(value[1:-1])))
            if self._peek() == ",":
                self._next()
        self._take("}")
        return found


def _tokenize(text: str) -> list[str]:
    tokens, place = [], 0
    while place < len(text.rstrip()):
        match = _TOKENS.match(text, place)
        if match is None:
            raise Refused(f"{text[place:]!r} is no PromQL of ours")
        tokens.append(match.group().strip())
        place = match.end()
    return tokens


def _select(scraped: Scraped, name: str, matchers: Sequence[tuple[str, str]]) -> Vector:
    return {
        labels: value
        for labels, value in scraped.samples.get(name, {}).items()
        if all(re.fullmatch(pattern, dict(labels).get(label, "")) for label, pattern in matchers)
    }


def _select_range(scrapes: Sequence[Scraped], name: str, matchers: Sequence[tuple[str, str]], seconds: float) -> Ranges:
    found: Ranges = {}
    for scraped in scrapes:
        if scraped.at >= scrapes[-1].at - seconds:
            for labels, value in _select(scraped, name, matchers).items():
                found.setdefault(labels, []).append(value)
    return {labels: values for labels, values in found.items() if len(values) > 1}


def _rise(values: Sequence[float]) -> float:
    pairs = itertools.pairwise(values)
    return sum(later - earlier if later >= earlier else later for earlier, later in pairs)


def _ranges(value: Value) -> Ranges:
    if not isinstance(value, dict) or not all(isinstance(one, list) for one in value.values()):
        raise Refused("increase wants a range")
    return value  # type: ignore[return-value]  # just checked


def _vector(value: Value) -> Vector:
    if not isinstance(value, dict) or not all(isinstance(one, float | int) for one in value.values()):
        raise Refused("a vector is wanted")
    return value  # type: ignore[return-value]  # just checked


def _arithmetic(
    left: Callable[[Sequence[Scraped]], Value],
    right: Callable[[Sequence[Scraped]], Value],
    act: Callable[[float, float], float],
) -> Callable[[Sequence[Scraped]], Value]:
    def compute(scrapes: Sequence[Scraped]) -> Value:
        one, two = left(scrapes), right(scrapes)
        if isinstance(one, float) and isinstance(two, float):
            return act(one, two)
        if isinstance(one, float):
            return {labels: act(one, value) for labels, value in _vector(two).items()}
        if isinstance(two, float):
            return {labels: act(value, two) for labels, value in _vector(one).items()}
        others = _vector(two)
        return {labels: act(value, others[labels]) for labels, value in _vector(one).items() if labels in others}

    return compute


def _compare(
    left: Callable[[Sequence[Scraped]], Value], right: Callable[[Sequence[Scraped]], Value], sign: str
) -> Callable[[Sequence[Scraped]], Value]:
    def holds(value: float, limit: float | None) -> bool:
        return limit is not None and (value > limit if sign == ">" else value == limit)

    def compute(scrapes: Sequence[Scraped]) -> Value:
        one, two = _vector(left(scrapes)), right(scrapes)
        limits = dict.fromkeys(one, two) if isinstance(two, float) else _vector(two)
        return {labels: value for labels, value in one.items() if holds(value, limits.get(labels))}

    return compute


def _unless(
    left: Callable[[Sequence[Scraped]], Value], right: Callable[[Sequence[Scraped]], Value], on: set[str]
) -> Callable[[Sequence[Scraped]], Value]:
    def key(labels: Labels) -> Labels:
        return frozenset((name, value) for name, value in labels if name in on)

    def compute(scrapes: Sequence[Scraped]) -> Value:
        out = {key(labels) for labels in _vector(right(scrapes))}
        return {labels: value for labels, value in _vector(left(scrapes)).items() if key(labels) not in out}

    return compute


def shipped_rules() -> dict[str, str]:
    """Return the expression of each alert of the rule file we ship."""
    rules = YAML(typ="safe").load((CONFIGS / RULES_FILE).read_text())["groups"][0]["rules"]
    return {rule["alert"]: rule["expr"] for rule in rules}


def names_in(text: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the metrics an expression reads, and each (metric, label) it narrows by. Raises Refused."""
    reader = _Reader(text)
    reader.read()
    return reader.metrics, reader.labels


def evaluate(text: str, scrapes: Sequence[Scraped]) -> list[dict[str, str]]:
    """Return the labels for which an alert's expression holds at the last of the scrapes. Raises Refused."""
    return [dict(labels) for labels in _vector(_Reader(text).read()(scrapes))]


def seconds_of(duration: str) -> int:
    """Return the seconds of a duration as Prometheus writes it: `90s`, `2m`, `1h`, `7d`."""
    return int(duration[:-1]) * _UNIT_SECONDS[duration[-1]]


def firing_moments(rule: Mapping[str, str], scrapes: Sequence[Scraped]) -> list[float]:
    """Return the moments at which the alert fires, as Prometheus decides when it evaluates the rule at each scrape.

    Labels for which the expression holds are pending from the first evaluation of an unbroken run of them, and fire
    once that is `for` ago. Source: Prometheus' documentation, alerting rules.
    """
    lasting, pending, fired = seconds_of(rule["for"]), dict[Labels, float](), []
    for count, scraped in enumerate(scrapes, start=1):
        holding = {frozenset(labels.items()) for labels in evaluate(rule["expr"], scrapes[:count])}
        pending = {labels: pending.get(labels, scraped.at) for labels in holding}
        if any(scraped.at - since >= lasting for since in pending.values()):
            fired.append(scraped.at)
    return fired
