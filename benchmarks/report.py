"""What every benchmark reports: rows, targets, the machine; as a rich table and as JSON.

    {"machine": …, "rows": [{"case", "subject", "value", "unit", "ratio_to", "ratio"}],
     "targets": [{"name", "target", "measured", "met"}]}

A row's value is the median over its runs; `spread` holds the smallest and the largest.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich import box
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One figure. `ratio` is this value divided by that of `ratio_to`, a subject of the same case."""

    case: str
    subject: str
    value: float
    unit: str
    ratio_to: str | None = None
    ratio: float | None = None
    runs: tuple[float, ...] = ()

    @property
    def spread(self) -> str:
        """Smallest and largest run."""
        return f"{min(self.runs):.1f} - {max(self.runs):.1f}" if len(self.runs) > 1 else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What was promised and what was measured."""

    name: str
    target: float
    measured: float
    is_met: bool


@dataclass(slots=True)
class Report:
    """Collects rows and targets; `facts` are things a reader needs to believe them."""

    title: str
    is_quick: bool = False
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, case: str, subject: str, runs: Sequence[float], unit: str) -> Row:
        """Add the median of the runs."""
        row = Row(case=case, subject=subject, value=median(runs), unit=unit, runs=tuple(runs))
        self.rows.append(row)
        return row

    def compare(self, case: str, subject: str, ratio_to: str) -> float:
        """Return how many times the value of `ratio_to` the subject's is, and note it in the subject's row."""
        ratio = self.value(case, subject) / self.value(case, ratio_to)
        index = self._index(case, subject)
        self.rows[index] = replace(self.rows[index], ratio_to=ratio_to, ratio=ratio)
        return ratio

    def value(self, case: str, subject: str) -> float:
        """Return the value of a row."""
        return self.rows[self._index(case, subject)].value

    def _index(self, case: str, subject: str) -> int:
        return next(i for i, row in enumerate(self.rows) if (row.case, row.subject) == (case, subject))

    def promise(self, name: str, *, target: float, measured: float, is_at_most: bool = False) -> None:
        """Add a target; `is_at_most` for what must not be exceeded."""
        is_met = measured <= target if is_at_most else measured >= target
        self.targets.append(Target(name=name, target=target, measured=measured, is_met=is_met))

    @property
    def is_met(self) -> bool:
        """Whether every target is met."""
        return all(target.is_met for target in self.targets)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON's own types."""
        return {
            "title": self.title,
            "quick": self.is_quick,
            "machine": describe_machine(),
            "facts": self.facts,
            "rows": [asdict(row) for row in self.rows],
            "targets": [
                {"name": t.name, "target": t.target, "measured": t.measured, "met": t.is_met} for t in self.targets
            ],
        }

    def show(self, console: Console) -> None:
        """Print tables of rows and targets."""
        machine = describe_machine()
        console.print(f"\n{self.title}{' (quick: less data, take no figure from it)' if self.is_quick else ''}")
        console.print(f"{machine['cpus']} CPUs ({machine['cpu']}), {machine['memory_gib']} GiB, {machine['system']}\n")
        console.print(self._row_table())
        console.print(self._target_table())

    def _row_table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title in ("CASE", "SUBJECT", "MEDIAN", "UNIT", "SPREAD", "RUNS", "RATIO"):
            table.add_column(title, justify="right" if title in ("MEDIAN", "SPREAD", "RUNS") else "left")
        for row in self.rows:
            ratio = f"{row.ratio:.2f} × {row.ratio_to}" if row.ratio is not None else ""
            cells = (row.case, row.subject, f"{row.value:.1f}", row.unit, row.spread, str(len(row.runs)), ratio)
            table.add_row(*cells)
        return table

    def _target_table(self) -> Table:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title in ("TARGET", "WANTED", "MEASURED", "MET"):
            table.add_column(title, justify="right" if title in ("WANTED", "MEASURED") else "left")
        for target in self.targets:
            met = "yes" if target.is_met else "NO"
            table.add_row(target.name, f"{target.target:g}", f"{target.measured:.2f}", met)
        return table

    def write(self, path: Path) -> None:
        """Leave the report as JSON at `path`."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")


def describe_machine() -> dict[str, Any]:
    """Return what a figure depends on; no name of the machine."""
    return {
        "cpus": os.cpu_count(),
        "cpu": _cpu_model(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    found = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return found or platform.processor() or "unknown"
