"""Mutation testing: `python -m tests.mutation [--room NAME] [--sample N] [--seed S] [--module M] [--json FILE]`.

Each mutant lives in a process of its own, forked before anything of the project is imported; there the changed module
takes the place of the real one and the unit tests of its room run until one fails. A mutant that makes them fail, or
run for ever, is killed; one that they do not notice survives and is listed. With `--sample` so many are drawn.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.mutation.mutants import Mutant, find_mutants, mutate

ROOT = Path(__file__).parents[2]
OFFSETS_MODULES = ("anchors", "ground", "points", "proofs", "ranks", "rules", "scene")
OFFSETS_MODULES += tuple(f"inverse.{name}" for name in ("counting", "lineages", "rules", "spot"))
OFFSETS_MODULES += tuple(f"warm.{name}" for name in ("charts", "placed", "proving", "stretches"))
OFFSETS_TABLES = ("test_points", "test_rules", "test_proofs")
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
    "offsets": Room(dict.fromkeys(OFFSETS_MODULES, OFFSETS_TESTS), OFFSETS_TABLES),
    "failover": Room(FAILOVER_TESTS, tuple(dict.fromkeys(name for tests in FAILOVER_TESTS.values() for name in tests))),
}
OPTIONS = ("-q", "-x", "-p", "no:cacheprovider", "-k", "not planted", "--tb=no", "--hypothesis-seed=0")
SECONDS_MAX = 240
"""A mutant whose tests run longer has made a loop endless: it is killed."""
TARGET = 85.0


class MutantFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads the one module that is changed."""

    def __init__(self, room: str, mutant: Mutant, path: Path) -> None:
        self._name = f"replicator.{room}.{mutant.module}"
        self._mutant = mutant
        self._path = path

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        """Return the changed module's spec; None for every other module."""
        if name != self._name:
            return None
        return importlib.machinery.ModuleSpec(name, self, origin=str(self._path))

    def create_module(self, _spec: importlib.machinery.ModuleSpec) -> None:
        """Have Python make the module as usual."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed module."""
        tree = mutate(self._path.read_text(encoding="utf-8"), self._mutant.number)
        exec(compile(tree, str(self._path), "exec"), module.__dict__)  # noqa: S102 -- the project's own text, changed


def path_of(room: str, module: str) -> Path:
    """Return where a module of the room is."""
    return ROOT / "replicator" / room / Path(*module.split(".")).with_suffix(".py")


def outlives(room: str, mutant: Mutant | None, tests: Sequence[str]) -> bool:
    """Whether every test passes with the mutant in place; None: with the project as it is."""
    child = os.fork()
    if child == 0:
        _live_and_die(room, mutant, tests)
    _, status = os.waitpid(child, 0)
    return status == 0


def _live_and_die(room: str, mutant: Mutant | None, names: Sequence[str]) -> None:
    signal.alarm(SECONDS_MAX)
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = tempfile.mkdtemp(prefix="replicator-mutation-")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    if mutant is not None:
        sys.meta_path.insert(0, MutantFinder(room, mutant, path_of(room, mutant.module)))
    tests = [str(ROOT / "tests" / "unit" / room / f"{name}.py") for name in names]
    status: Any = 1
    try:
        status = pytest.main([*OPTIONS, *tests])
    finally:
        os._exit(0 if status == 0 else 1)


def main(argv: Sequence[str]) -> int:
    """Run the mutants; the status says whether enough were killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sample", type=int, metavar="N", help="draw so many instead of running all")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--room", choices=ROOMS, default="offsets")
    parser.add_argument("--module", action="append", help="this module alone; may be repeated")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin no new mutant after so long")
    parser.add_argument(
        "--tables", action="store_true", help="the tables alone: quicker, and a lower bound of the score"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    asked = parser.parse_args(argv)
    name, room = asked.room, ROOMS[asked.room]
    modules = asked.module or list(room.tests_of)
    if unknown := set(modules) - set(room.tests_of):
        parser.error(f"no module of {name} that is mutated: {', '.join(sorted(unknown))}")
    mutants = [m for module in modules for m in find_mutants(module, path_of(name, module).read_text("utf-8"))]
    total = len(mutants)
    if asked.sample is not None:
        mutants = random.Random(asked.seed).sample(mutants, min(asked.sample, total))
    tests_of = dict.fromkeys(modules, room.tables) if asked.tables else room.tests_of
    everything = list(dict.fromkeys(test for module in modules for test in tests_of[module]))
    if not outlives(name, None, everything):
        raise SystemExit("the tests fail without any mutant: a score would mean nothing")
    began, tried, survivors = time.monotonic(), Counter[str](), list[Mutant]()
    for mutant in mutants:
        if time.monotonic() - began > asked.seconds:
            break
        tried[mutant.module] += 1
        if outlives(name, mutant, tests_of[mutant.module]):
            survivors.append(mutant)
            print(f"survived: {mutant.told}", flush=True)
    count = sum(tried.values())
    score = 100 * (count - len(survivors)) / max(1, count)
    print(f"{count:,} of {total:,} mutants, {len(survivors)} survived: score {score:.1f} %")
    if asked.json is not None:
        told = {"mutants": total, "tried": dict(tried), "score": score, "survivors": [m.told for m in survivors]}
        asked.json.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return 0 if score >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
