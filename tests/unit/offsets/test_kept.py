"""No answer of the rules changes unnoticed: in some worlds they are kept as they are."""

from __future__ import annotations

from itertools import zip_longest

from tests.unit.offsets import kept


def test_every_answer_is_as_it_was() -> None:
    """Place, grade, bound, rule and every number told; where a change is meant, `kept` writes them anew."""
    pairs = zip_longest(kept.read_kept(), kept.answers(), fillvalue="nothing")
    changed = [f"was {was}, is {now}" for was, now in pairs if was != now]
    assert changed[:10] == []
