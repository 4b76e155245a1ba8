"""The demo's last words."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from replicator.cli.demo.report import DemoReport, render


@pytest.mark.parametrize(
    ("kept", "verdict"),
    [((True, True), "all 2 promises kept"), ((True, False), "1 of 2 promises BROKEN"), ((), "nothing was proven")],
)
def test_the_report_ends_in_a_verdict_and_what_comes_next(kept: tuple[bool, ...], verdict: str) -> None:
    """One line says how it went, the next how to go on; figures have separators and one kind of unit."""
    report = DemoReport(loss={"known_lost": 3322, "true_records": 3730, "possible_lost_max": None})
    report.snapshot = {"bytes": 3 * 1024 * 1024, "records": 1000, "seconds": 1.0, "megabytes_per_second": 3.1}
    for number, is_kept in enumerate(kept):
        report.promise(f"p{number}", "seen", is_kept=is_kept)
    stream = io.StringIO()
    Console(file=stream, width=80).print(render(report))
    shown = stream.getvalue()
    assert verdict in shown
    assert "replicator lab up" in shown
    assert "3,322 known ≤ 3,730 true ≤ — possible" in shown
    assert "3.0 MiB" in shown
