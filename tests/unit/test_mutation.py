"""The tool that plants mistakes: what it changes, and that a mistake lives in the functions there are."""

from __future__ import annotations

import ast
from pathlib import Path
from types import FunctionType

import pytest

from tests.mutation.__main__ import drawn
from tests.mutation.judge import Suspect, put_in_place
from tests.mutation.mutants import find_mutants, mutate

TEXT = '''
def outer(a, b=3):
    """No place: 7."""

    def inner(c):
        return c + 1

    return inner(min(a, b)) if a < b else not a


class Thing:
    @property
    def size(self):
        return 5
'''


def test_every_place_is_found_once_with_the_functions_around_it() -> None:
    """Operators, comparisons, constants, calls, choices; a nested function's places count once, a default's never."""
    found = [one.told.split(": ")[1].split(" in ")[0] for one in find_mutants("m", TEXT)]
    assert sorted(found) == [
        "1 to 2",
        "5 to 6",
        "Add to Sub",
        "Lt to LtE",
        "choice turned round",
        "min to max",
        "not dropped",
    ]
    around = {one.told.split(": ")[1].split(" in ")[0]: one.functions for one in find_mutants("m", TEXT)}
    assert around["Add to Sub"] == {2, 5}
    assert around["5 to 6"] == {12}


def test_each_mutant_differs_from_the_text() -> None:
    """A mutant that changes nothing would count as one that nobody notices."""
    whole = ast.dump(ast.parse(TEXT))
    assert all(ast.dump(mutate(TEXT, one.number)) != whole for one in find_mutants("m", TEXT))


def test_a_mistake_is_put_into_living_functions(tmp_path: Path) -> None:
    """Whoever imported a function before has the changed one; a function that is not there is an error."""
    path = tmp_path / "m.py"
    path.write_text(TEXT, encoding="utf-8")
    module: dict[str, object] = {}
    exec(compile(TEXT, str(path), "exec"), module)  # noqa: S102 -- the text above
    outer = module["outer"]
    assert isinstance(outer, FunctionType)
    assert outer(1) == 2
    mutant = next(one for one in find_mutants("m", TEXT) if "Add to Sub" in one.told)
    suspect = Suspect(mutant, path, TEXT, frozenset())
    put_in_place(suspect, {(str(path), "outer", 2): [outer]})
    assert outer(1) == 0
    with pytest.raises(LookupError):
        put_in_place(suspect, {})


def test_a_sample_has_of_each_module_its_share() -> None:
    """A draw of a third has a third of each module, the same for the same seed."""
    every = [one for name, copies in (("a", 1), ("b", 2), ("c", 6)) for one in find_mutants(name, TEXT) * copies]
    found = drawn(every, count=21, seed=4)
    assert [sum(one.module == name for one in found) for name in "abc"] == [2, 5, 14]
    assert drawn(every, count=21, seed=4) == found
    assert len(drawn(every, count=None, seed=1)) == len(every)
