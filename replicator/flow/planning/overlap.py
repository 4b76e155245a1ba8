"""Can two sets of patterns mean the same topic, even one that does not exist yet? Decided, not guessed.

Globs are tiny automata; two selections overlap when some name is accepted by an include of each and by
no exclude of either. A search over the joint automaton finds the shortest such name or proves that there
is none. Regular expressions (`re:`) are not taken apart: for them only names that exist can be checked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.model.flow import ALWAYS_EXCLUDED_TOPICS, Flow, Naming, Selection

STATES_MAX = 20_000
"""Joint states visited before giving up: far beyond any real configuration."""

_LEGAL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_Places = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Overlap:
    """`witness` is a name both mean; None with `is_decided` proves that there is none."""

    witness: str | None
    is_decided: bool = True


def data_selection(flow: Flow) -> Selection:
    """Return everything the flow reads on its source, as one selection."""
    cycles = (f"{flow.target}.*",) if flow.naming is Naming.PREFIX else ()
    return Selection(flow.topics.include, (*flow.topics.exclude, *ALWAYS_EXCLUDED_TOPICS, *cycles))


def remote_selection(flow: Flow) -> Selection:
    """Return everything the flow writes on its target, as one selection; `re:` patterns get the prefix too."""
    read = data_selection(flow)
    if flow.naming is Naming.IDENTITY:
        return read
    return Selection(_prefixed(flow.source, read.include), _prefixed(flow.source, read.exclude))


def _prefixed(cluster: str, patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        rf"re:{cluster}\.(?:{pattern.removeprefix('re:')})" if pattern.startswith("re:") else f"{cluster}.{pattern}"
        for pattern in patterns
    )


def find_overlap(one: Selection, other: Selection) -> Overlap:
    """Return a name that both selections mean, or the proof that there is none."""
    has_expressions = any(p.startswith("re:") for s in (one, other) for p in (*s.include, *s.exclude))
    machine = _Machine(one, other)
    witness, is_whole = machine.search()
    if witness is not None and not (one.matches(witness) and other.matches(witness)):
        return Overlap(None, is_decided=False)
    return Overlap(witness, is_decided=witness is not None or (is_whole and not has_expressions))


class _Machine:
    """Runs the four groups of globs (include and exclude of both) side by side."""

    def __init__(self, one: Selection, other: Selection) -> None:
        groups = (one.include, one.exclude, other.include, other.exclude)
        self._groups = [[p for p in group if not p.startswith("re:")] for group in groups]
        literal = {char for group in self._groups for pattern in group for char in pattern} & _LEGAL
        unused = sorted(_LEGAL - literal)
        # All characters that no pattern names behave alike: one of them stands for the rest.
        self._alphabet = [*unused[:1], *sorted(literal)]

    def search(self) -> tuple[str | None, bool]:
        """Return the shortest name accepted, and whether the search was complete."""
        start = tuple(self._closed(group, ((k, 0) for k in range(len(group)))) for group in self._groups)
        # The start is not marked as seen: `*` leads back to it, then with a name that is not empty.
        queue, seen = deque([(start, "")]), set[tuple[_Places, ...]]()
        while queue:
            state, name = queue.popleft()
            if name and self._accepts(state):
                return name, True
            if len(seen) > STATES_MAX:
                return None, False
            for char in self._alphabet:
                following = tuple(
                    self._step(group, places, char) for group, places in zip(self._groups, state, strict=True)
                )
                if following[0] and following[2] and following not in seen:
                    seen.add(following)
                    queue.append((following, name + char))
        return None, True

    def _accepts(self, state: tuple[_Places, ...]) -> bool:
        is_met = [
            any(at == len(group[k]) for k, at in places) for group, places in zip(self._groups, state, strict=True)
        ]
        return is_met[0] and is_met[2] and not is_met[1] and not is_met[3]

    def _step(self, group: list[str], places: _Places, char: str) -> _Places:
        return self._closed(group, _moves(group, places, char))

    @staticmethod
    def _closed(group: list[str], places: Iterable[tuple[int, int]]) -> _Places:
        """Add what a `*` that matches nothing more leads to."""
        found = set()
        for k, start in places:
            at = start
            found.add((k, at))
            while at < len(group[k]) and group[k][at] == "*":
                at += 1
                found.add((k, at))
        return frozenset(found)


def _moves(group: list[str], places: _Places, char: str) -> Iterable[tuple[int, int]]:
    for k, at in places:
        symbol = group[k][at] if at < len(group[k]) else ""
        if symbol == "*":
            yield k, at
        elif symbol == "?" or (symbol and symbol == char):
            yield k, at + 1
