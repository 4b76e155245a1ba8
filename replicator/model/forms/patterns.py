"""Regular expressions that somebody typed: refused where matching one name can take for ever. Pure.

Python's engine tries every way in which an expression can match. With a repeat inside a repeat, or alternatives
that begin alike inside one, there are more ways than time; with several open repeats in a row, some power of the
name's length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from re import _constants as kind  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

OPEN_REPEATS_MAX = 4
"""With so many `*`, `+` or `{n,}` in a row the longest name takes seconds at worst, with more of them hours."""
FREE_MAX = 10
"""A repeat of so few, around or inside another one of so few, is no danger."""
_REPEATS = (kind.MAX_REPEAT, kind.MIN_REPEAT)


def find_cost(expression: str) -> str | None:
    """Return why matching this expression can take for ever; None where it cannot.

    Raises: re.error, RecursionError or OverflowError where it is no expression.
    """
    re.compile(expression)
    nodes = list(_walk(_parser.parse(expression)))
    repeats = [argument for operation, argument in nodes if operation in _REPEATS and argument[1] > 1]
    for _low, high, inner in repeats:
        for operation, argument in _walk(inner):
            if operation in _REPEATS and argument[0] != argument[1] and max(high, argument[1]) > FREE_MAX:
                return "a repeat inside a repeat can take for ever"
            if operation is kind.BRANCH and high > FREE_MAX and not _begin_apart(argument[1]):
                return "alternatives that begin alike inside a repeat can take for ever"
    if sum(low != high and high > FREE_MAX for low, high, _ in repeats) > OPEN_REPEATS_MAX:
        return f"more than {OPEN_REPEATS_MAX} open repeats can take for ever"
    return None


def _begin_apart(alternatives: list[Any]) -> bool:
    """Whether the first character alone decides which alternative it is."""
    firsts = [tuple(one[0]) if len(one) else None for one in alternatives]
    return all(first is not None and first[0] is kind.LITERAL for first in firsts) and len(set(firsts)) == len(firsts)


def _walk(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every operation of a parsed expression with its argument, inner ones too; what is atomic is one step."""
    for operation, argument in tree:
        yield operation, argument
        if operation in _REPEATS:
            yield from _walk(argument[2])
        elif operation is kind.SUBPATTERN:
            yield from _walk(argument[3])
        elif operation is kind.BRANCH:
            for one in argument[1]:
                yield from _walk(one)
        elif operation in (kind.ASSERT, kind.ASSERT_NOT):
            yield from _walk(argument[1])
