"""Regular expressions that can take for ever are refused; those of real configurations are not."""

from __future__ import annotations

import re
import time

import pytest

from replicator.errors import UsageError
from replicator.model.flow import Selection
from replicator.model.forms.patterns import find_cost
from replicator.settings.values import check_topic_pattern

HARMLESS = [
    r"billing[.](paid|open)", r"orders\..*", r"(orders|payments)\..*", r"[a-z]+-[0-9]+", r"(?i)shop.*", r"(.*)\.dlq",
    r"(a|b)*", r"(foo|bar)+", r"(eu-|us-)*orders", r"(ab{2})*", r"(?!tmp).*", r"x{1,5}(y{1,3}){2}", r"a*b*c*d*", "",
]  # fmt: skip
COSTLY = [
    r"(a+)+", r"(a*)*b", r"(.*)*", r"([a-z]+)*x", r"((a?)){25,}", r"(a|ab)*c", r"(foo|f.*)+", r"(.*?,){11,}p",
    r"(?:x+y?)+z", r"(?=(a+)+b).*", r".*.*.*.*.*x", r"((ab)*|c)+", r"(a+){9}b",
]  # fmt: skip


@pytest.mark.parametrize("expression", HARMLESS)
def test_what_ends_soon_is_taken(expression: str) -> None:
    """Each matches or misses the longest name there can be, at once."""
    assert find_cost(expression) is None
    assert "," in expression or check_topic_pattern(f"re:{expression}")
    assert Selection(include=(f"re:{expression}",)).matches("a" * 60 + "!") in (True, False)


@pytest.mark.security
@pytest.mark.parametrize("expression", COSTLY)
def test_what_can_take_for_ever_is_refused(expression: str) -> None:
    """In a configuration, and wherever else a pattern is matched."""
    assert find_cost(expression) is not None
    with pytest.raises(ValueError, match="no comma" if "," in expression else "for ever"):
        check_topic_pattern(f"re:{expression}")
    with pytest.raises(UsageError, match="for ever"):
        Selection(include=(f"re:{expression}",)).matches("a" * 200)


def test_the_danger_is_real() -> None:
    """One of the refused, on a name of five more letters, takes at least ten times as long."""

    def measure(letters: int) -> float:
        begun = time.perf_counter()
        assert re.fullmatch(r"(a+)+", "a" * letters + "!") is None
        return time.perf_counter() - begun

    assert min(measure(20) for _ in range(3)) > 10 * min(measure(15) for _ in range(3))


def test_what_is_no_expression_is_told() -> None:
    """On the command line too, as a mistake in what was typed."""
    with pytest.raises(UsageError, match="no regular expression"):
        Selection(include=("re:(",)).matches("a")
