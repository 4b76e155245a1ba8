"""The way home in a disturbed world: one fault at every place in turn, what was found there, and planted faults."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.simulation.homeward_plants import HOMEWARD_PLANTS
from tests.simulation.play import Played, play, sweep
from tests.simulation.stage import HOMEWARD_EVERY, is_homeward
from tests.simulation.wires import Fault

KINDS = (
    Fault.LOST_REQUEST,
    Fault.LOST_REPLY,
    Fault.LATE,
    Fault.TWICE,
    Fault.KILL_BEFORE,
    Fault.KILL_AFTER,
    Fault.PAUSE,
)
HOMEWARD_SEEDS = range(HOMEWARD_EVERY - 1, 1900, HOMEWARD_EVERY)
FIRST = {"an_abort_leaves_the_way_home": 199, "an_abort_leaves_the_new_active_fenced": 1335}
"""Where the search begins for faults that seldom show."""
SWEPT_FOR = {"orphans_are_kept_again": Fault.LOST_REPLY}
"""Faults of the product that one fault of the world shows, at one call of it."""
SWEPT = ((3, 1), (7, 5), (11, 9))
STRIDE = 31
"""No divisor of the number of kinds: each kind meets other calls in each world."""


def told(call: int, kind: Fault, played: Played) -> str:
    """Return where a promise was broken."""
    return f"seed {played.seed}, {kind.value} at call {call}: {played.violation}"


@pytest.mark.parametrize(("seed", "first"), SWEPT)
def test_one_fault_anywhere_changes_nothing_of_the_way_home(seed: int, first: int) -> None:
    """Wherever it strikes, the same command again ends as if it had not."""
    played = list(sweep(seed, KINDS, first=first, stride=STRIDE))
    assert len(played) > 15
    assert not [told(*one) for one in played if one[2].violation]


@pytest.mark.parametrize("name", HOMEWARD_PLANTS)
def test_a_fault_planted_in_the_way_home_is_found(name: str) -> None:
    """A failback that is wrong in one way breaks a promise within a bounded number of seeds."""
    first = FIRST.get(name, 0)
    with HOMEWARD_PLANTS[name]():
        if name in SWEPT_FOR:
            found = any(played.violation for _, _, played in sweep(3, [SWEPT_FOR[name]], first=1, stride=1))
        else:
            found = any(play(seed).violation for seed in HOMEWARD_SEEDS if seed >= first)
    assert found, f"{name} lived through all of it"


@pytest.mark.parametrize("seed", [419, 1475])
def test_a_frozen_failback_tells_connect_nothing_once_another_has_gone_on(seed: int) -> None:
    """Found by these seeds: a connector was looked for with the lease, and stopped or resumed after it was lost."""
    assert is_homeward(seed)
    assert play(seed).violation is None


def test_groups_go_home_although_one_answer_from_there_was_lost() -> None:
    """Found by an answer lost while home was opened to be read: groups stood nowhere, and it promoted."""
    lost = [
        (call, played)
        for call, _, played in islice(sweep(7, [Fault.LOST_REPLY], first=312, stride=1), 22)
        if "east: describe topics" in played.trail[0] or "east: list offsets" in played.trail[0]
    ]
    assert lost
    assert not [told(call, Fault.LOST_REPLY, played) for call, played in lost if played.violation]
