"""One warm process judges every mutant: tests are imported and collected once, each mutant lives in a fork of it.

A mutant is put in place by giving the functions of its module other code, so that nothing is imported again. Of the
tests only those run that call the changed function, those first that have noticed a change of it before, then tables,
the quickest first; the first that fails ends the mutant. What a test may use is CPU time of its own, many times what
it needs without a mutant: a busy machine makes no mutant look endless.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import pytest

from tests.examples import examples
from tests.mutation.mutants import Mutant, mutate

CPU_SECONDS_MIN = 10.0
CPU_FACTOR = 30.0
"""A test that uses so many times the CPU time it needs without a mutant, and at least so much, is in an endless
loop."""
MEMORY_MAX_BYTES = 4 << 30
SURVIVED, NOTICED, ENDLESS = "survived", "noticed", "endless"
UNPLANTED = 3
"""The exit status of a fork that could not put its mutant in place."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A mutant, its module's path and text, and the test files that are to notice it."""

    mutant: Mutant
    path: Path
    text: str = field(repr=False)
    tests: frozenset[str]


@dataclass(slots=True)
class Known:
    """What a run without mutants tells of one test: its CPU time, and the functions it calls as (file, first line)."""

    cpu_seconds: float
    calls: frozenset[tuple[str, int]]


@dataclass(slots=True)
class Verdict:
    """What became of a mutant, and which test noticed it."""

    suspect: Suspect
    outcome: str
    noticed_by: str | None = None


@dataclass(slots=True)
class Judge:
    """A plugin of pytest that judges mutants where the tests would run."""

    suspects: Sequence[Suspect]
    tables: frozenset[str]
    jobs: int
    seconds: float
    tell: Callable[[Verdict], None]
    verdicts: list[Verdict] = field(default_factory=list)
    is_sound: bool = False
    """Whether every test passes without a mutant."""
    _has_failed: bool = False
    _noticed: Counter[tuple[Path, frozenset[int], str]] = field(default_factory=Counter)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self) -> None:
        """Have property tests try the same examples every time, and make none of those that fail smaller."""
        from hypothesis import Phase, settings  # once pytest has begun: it rewrites what imports it

        phases = (Phase.explicit, Phase.generate)
        settings.register_profile(
            "mutants", max_examples=examples(100), phases=phases, derandomize=True, database=None, deadline=None
        )
        settings.load_profile("mutants")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a test that fails."""
        self._has_failed = self._has_failed or report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Judge every mutant in place of running the tests once."""
        files = {str(suspect.path) for suspect in self.suspects}
        known = self._learn(session.items, files)
        self.is_sound = known is not None
        if known is not None:
            functions = _functions_of(files)
            began = time.monotonic()
            running: dict[int, tuple[Suspect, int]] = {}
            for suspect in self.suspects:
                if time.monotonic() - began > self.seconds:
                    break
                if len(running) >= self.jobs:
                    self._reap(running)
                self._begin(suspect, self._ordered(suspect, session.items, known), functions, running)
            while running:
                self._reap(running)
        return True

    def _learn(self, items: Sequence[pytest.Item], files: set[str]) -> dict[str, Known] | None:
        """Return what each test uses, from a run without a mutant; None when one of them fails."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            with os.fdopen(writing, "w") as out:
                for item in items:
                    known = _observed(partial(_run, item), files)
                    calls = sorted(known.calls)
                    print(json.dumps([item.nodeid, known.cpu_seconds, calls, self._has_failed]), file=out, flush=True)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as lines:
            rows = [json.loads(line) for line in lines]
        os.waitpid(child, 0)
        if len(rows) < len(items) or any(failed for *_, failed in rows):
            return None
        return {name: Known(cpu, frozenset((path, line) for path, line in calls)) for name, cpu, calls, _ in rows}

    def _ordered(
        self, suspect: Suspect, items: Sequence[pytest.Item], known: dict[str, Known]
    ) -> list[tuple[pytest.Item, float]]:
        """Return the tests that call the changed function, the likeliest to notice first, each with its CPU limit."""
        places = {(str(suspect.path), line) for line in suspect.mutant.functions}
        where = suspect.path, suspect.mutant.functions
        calling = [item for item in items if item.path.stem in suspect.tests and places & known[item.nodeid].calls]

        def unlikeliness(item: pytest.Item) -> tuple[int, bool, float]:
            noticed = self._noticed[*where, item.nodeid]
            return -noticed, item.path.stem not in self.tables, known[item.nodeid].cpu_seconds

        calling.sort(key=unlikeliness)
        return [(item, max(CPU_SECONDS_MIN, CPU_FACTOR * known[item.nodeid].cpu_seconds)) for item in calling]

    def _begin(
        self,
        suspect: Suspect,
        tests: Sequence[tuple[pytest.Item, float]],
        functions: dict[tuple[str, str, int], list[FunctionType]],
        running: dict[int, tuple[Suspect, int]],
    ) -> None:
        reading, writing = os.pipe()
        child = os.fork()
        if child:
            os.close(writing)
            running[child] = suspect, reading
            return
        os.close(reading)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        try:
            put_in_place(suspect, functions)
        except LookupError:
            os._exit(UNPLANTED)
        try:
            for item, cpu_seconds in tests:
                os.write(writing, item.nodeid.encode() + b"\n")
                signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
                _run(item)
                if self._has_failed:
                    os._exit(1)
        except BaseException:  # noqa: BLE001 -- what ends the tests altogether was noticed too
            os._exit(1)
        os._exit(0)

    def _reap(self, running: dict[int, tuple[Suspect, int]]) -> None:
        """Wait for one mutant to end and take down what became of it."""
        child, status = os.wait()
        suspect, reading = running.pop(child)
        with os.fdopen(reading) as lines:
            tried = lines.read().splitlines()
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == UNPLANTED:
            raise RuntimeError(f"{suspect.path} is not what was imported: {suspect.mutant.told}")
        outcome = SURVIVED if status == 0 else NOTICED if os.WIFEXITED(status) else ENDLESS
        verdict = Verdict(suspect, outcome, tried[-1] if tried and status else None)
        if verdict.noticed_by is not None:
            self._noticed[suspect.path, suspect.mutant.functions, verdict.noticed_by] += 1
        self.verdicts.append(verdict)
        self.tell(verdict)


def _run(item: pytest.Item) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def _observed(act: Callable[[], None], files: set[str]) -> Known:
    """Return the CPU time of an act, and which functions of the files it called."""
    calls: set[tuple[str, int]] = set()

    def note(frame: FrameType, _event: str, _arg: object) -> None:
        code = frame.f_code
        if code.co_filename in files:
            calls.add((code.co_filename, code.co_firstlineno))

    began = time.process_time()
    sys.settrace(note)
    try:
        act()
    finally:
        sys.settrace(None)
    return Known(time.process_time() - began, frozenset(calls))


def _functions_of(files: set[str]) -> dict[tuple[str, str, int], list[FunctionType]]:
    """Return every living function of the files by file, qualified name and first line."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for one in gc.get_objects():
        if isinstance(one, FunctionType) and one.__code__.co_filename in files:
            code = one.__code__
            found.setdefault((code.co_filename, code.co_qualname, code.co_firstlineno), []).append(one)
    return found


def put_in_place(suspect: Suspect, functions: dict[tuple[str, str, int], list[FunctionType]]) -> None:
    """Give the living functions of the mutant's module its code.

    Raises:
        LookupError: none of them is changed by it: what was imported is not that text.
    """
    path = str(suspect.path)
    module = compile(mutate(suspect.text, suspect.mutant.number), path, "exec")
    changed = 0
    for code in _codes_in(module):
        for function in functions.get((path, code.co_qualname, code.co_firstlineno), []):
            changed += function.__code__ != code
            function.__code__ = code
    if not changed:
        raise LookupError(suspect.mutant.told)


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes_in(one)
