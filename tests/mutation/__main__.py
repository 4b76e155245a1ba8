"""Mutation testing: `python -m tests.mutation [--room NAME] [--sample N] [--seed S] [--module M] [--json FILE]`.

Each mutant lives in a fork of one warm process, where the unit tests of its room run until one fails (see `judge`). A
mutant that makes one fail, or run for ever, is noticed; one that they do not notice survives and is listed. With
`--sample` so many are drawn, of each module its share.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.examples import EXAMPLES_MAX as ENVIRONMENT_MAX
from tests.mutation.judge import ENDLESS, NOTICED, SURVIVED, Judge, Suspect, Verdict
from tests.mutation.mutants import Mutant, find_mutants

ROOT = Path(__file__).parents[2]
OFFSETS_MODULES: tuple[str, ...] = ("anchors", "ground", "points", "proofs", "ranks", "rules", "scene")
OFFSETS_MODULES += tuple(f"inverse.{name}" for name in ("counting", "lineages", "rules", "spot"))
OFFSETS_MODULES += tuple(f"warm.{name}" for name in ("charts", "placed", "proving", "stretches"))
OFFSETS_TABLES = tuple(
    f"test_{name}" for name in ("points", "ranks", "ground", "rules", "runs", "way_home", "proofs", "kept")
)
OFFSETS_TESTS = (*OFFSETS_TABLES, "test_inverse", "test_sync_store", "test_warm", "test_worlds")
FAILOVER_TESTS = {
    "facts": ("test_plans", "test_decisions"),
    "failback.seams": ("test_seams",),
    "fences.rules": ("test_fences",),
    "forecasting.gates": ("test_gates",),
    "groups.moves": ("test_decisions",),
    "groups.upkeep": ("test_group_upkeep",),
    "loss": ("test_loss",),
}
"""The tests of each module of failover: one that another module's tests alone would notice counts as a survivor."""


@dataclass(frozen=True, slots=True)
class Room:
    """The pure modules of one room, each with the tests that must notice a mistake in it, and the quickest of all."""

    tests_of: Mapping[str, tuple[str, ...]]
    tables: tuple[str, ...]


ROOMS = {
    "offsets": Room(
        {**dict.fromkeys(OFFSETS_MODULES, OFFSETS_TESTS), "incarnations.copies": ("test_incarnations",)}, OFFSETS_TABLES
    ),
    "failover": Room(FAILOVER_TESTS, tuple(dict.fromkeys(name for tests in FAILOVER_TESTS.values() for name in tests))),
}
OPTIONS = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-k",
    "not planted",
    "--tb=short",
    "--timeout=0",
)
EXAMPLES_MAX = 20
"""How many examples a property test is given for each mutant."""
PROGRESS_EVERY = 50
TARGET = 85.0


def path_of(room: str, module: str) -> Path:
    """Return where a module of the room is."""
    return ROOT / "replicator" / room / Path(*module.split(".")).with_suffix(".py")


def drawn(mutants: Sequence[Mutant], *, count: int | None, seed: int) -> list[Mutant]:
    """Return the mutants in any order; with `count` so many of them, of each module its share."""
    rng = random.Random(seed)
    shuffled = rng.sample(mutants, len(mutants))
    if count is None or count >= len(shuffled):
        return shuffled
    places, sizes = Counter[str](), Counter(one.module for one in shuffled)
    ranked = []
    for one in shuffled:
        places[one.module] += 1
        ranked.append(((places[one.module] - 0.5) / sizes[one.module], one))
    kept = [one for _, one in sorted(ranked, key=lambda pair: pair[0])[:count]]
    return rng.sample(kept, len(kept))


def judge_mutants(
    room: str,
    mutants: Sequence[Mutant],
    tests_of: Mapping[str, tuple[str, ...]],
    texts: Mapping[str, str],
    *,
    jobs: int,
    seconds: float,
) -> Judge:
    """Return the judge after it has seen the mutants; what is not noticed is printed as it is found."""
    os.environ[ENVIRONMENT_MAX] = str(EXAMPLES_MAX)
    out, progress = os.fdopen(os.dup(1), "w"), os.fdopen(os.dup(2), "w")
    os.dup2(2, 1)  # what pytest has to tell is no data

    def tell(verdict: Verdict) -> None:
        if not len(judge.verdicts) % PROGRESS_EVERY:
            print(f"{len(judge.verdicts)} of {len(mutants)}", file=progress, flush=True)
        if verdict.outcome != NOTICED:
            print(f"{verdict.outcome}: {verdict.suspect.mutant.told}", file=out, flush=True)

    suspects = [
        Suspect(one, path_of(room, one.module), texts[one.module], frozenset(tests_of[one.module])) for one in mutants
    ]
    judge = Judge(suspects, frozenset(ROOMS[room].tables), jobs=jobs, seconds=seconds, tell=tell)
    names = dict.fromkeys(test for one in mutants for test in tests_of[one.module])
    pytest.main([*OPTIONS, *(str(ROOT / "tests" / "unit" / room / f"{name}.py") for name in names)], plugins=[judge])
    os.dup2(out.fileno(), 1)
    if not judge.is_sound:
        raise SystemExit("the tests fail without any mutant: a score would mean nothing")
    return judge


def summarize(judge: Judge, *, total: int) -> dict[str, object]:
    """Return what was found, by module."""
    tried = Counter(one.suspect.mutant.module for one in judge.verdicts)
    survivors = sorted(one.suspect.mutant.told for one in judge.verdicts if one.outcome == SURVIVED)
    count = tried.total()
    return {
        "mutants": total,
        "tried": dict(tried),
        "score": 100 * (count - len(survivors)) / max(1, count),
        "endless": sorted(one.suspect.mutant.told for one in judge.verdicts if one.outcome == ENDLESS),
        "survivors": survivors,
        "noticed_by": dict(Counter(_file_of(one) for one in judge.verdicts if one.noticed_by).most_common()),
    }


def _file_of(verdict: Verdict) -> str:
    """Return the stem of the file whose test noticed a mutant."""
    return Path((verdict.noticed_by or "").split("::")[0]).stem


def main(argv: Sequence[str]) -> int:
    """Run the mutants; the status says whether enough were noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, metavar="N", help="draw so many instead of running all")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--room", choices=ROOMS, default="offsets")
    parser.add_argument("--module", action="append", help="this module alone; may be repeated")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no new mutant after so long")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="so many at once")
    parser.add_argument(
        "--tables", action="store_true", help="the tables alone: quicker, and a lower bound of the score"
    )
    parser.add_argument("--again", type=Path, metavar="FILE", help="only what survived in a result kept with --json")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    asked = parser.parse_args(argv)
    name, room = asked.room, ROOMS[asked.room]
    modules = asked.module or list(room.tests_of)
    if unknown := set(modules) - set(room.tests_of):
        parser.error(f"no module of {name} that is mutated: {', '.join(sorted(unknown))}")
    texts = {module: path_of(name, module).read_text("utf-8") for module in modules}
    every = [mutant for module, text in texts.items() for mutant in find_mutants(module, text)]
    if asked.again is not None:
        survived = set(json.loads(asked.again.read_text(encoding="utf-8"))["survivors"])
        every = [mutant for mutant in every if mutant.told in survived]
    mutants = drawn(every, count=asked.sample, seed=asked.seed)
    tests_of = dict.fromkeys(modules, room.tables) if asked.tables else room.tests_of
    found = summarize(
        judge_mutants(name, mutants, tests_of, texts, jobs=asked.jobs, seconds=asked.seconds), total=len(every)
    )
    survivors, endless, tried = found["survivors"], found["endless"], found["tried"]
    assert isinstance(survivors, list)
    score = float(str(found["score"]))
    print(f"{len(every):,} mutants, {tried}: {len(survivors)} survived, endless: {endless}: score {score:.1f} %")
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0 if score >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
