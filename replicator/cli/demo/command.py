"""`replicator demo`."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.demo.watched import require_terminal
from replicator.errors import OperationFailed

if TYPE_CHECKING:
    from rich.console import Console

    from replicator.cli.demo.report import DemoReport
    from replicator.cli.demo.story import Scene, Stage

LAB_SECONDS = 120.0
PICTURE_COLUMNS = 132


@click.command()
@click.option(
    "--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write the report to a file."
)
@click.option("--picture", type=click.Path(dir_okay=False, path_type=Path), help="Draw the report into an SVG file.")
@click.option("--keep", is_flag=True, help="Keep the folder with logs, journal and repository.")
@click.option("--secure", "is_secure", is_flag=True, help="On clusters with TLS, SCRAM and ACLs, with least rights.")
@click.option("--tui", "is_watched", is_flag=True, help="Watch outage and failover in the dashboard.")
@pass_app
def demo(
    app: App, json_path: Path | None, picture: Path | None, *, keep: bool, is_watched: bool, is_secure: bool
) -> None:
    """The whole story on embedded clusters: stream, outage, failover, restore; judged by a ledger."""
    play = _play_behind_dashboard if is_watched else _play_all
    if is_watched:
        require_terminal()
    folder = Path(tempfile.mkdtemp(prefix="replicator-demo-"))
    try:
        report = _tell_story(app, folder, play, is_secure=is_secure)
    finally:
        if keep:
            app.tell(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if json_path is not None:
        json_path.write_text(json.dumps(report.to_plain(), indent=2) + "\n", encoding="utf-8")
    if picture is not None:
        _draw(report, picture)
    _show(app, report)


def _draw(report: DemoReport, path: Path) -> None:
    """Write the report as an SVG that asks no other host for fonts."""
    from rich.console import Console

    from replicator.cli.demo.report import render

    console = Console(record=True, width=PICTURE_COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(render(report))
    drawn = console.export_svg(title="replicator demo")
    path.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")


def _tell_story(app: App, folder: Path, play: Callable[[App, Console, Stage], None], *, is_secure: bool) -> DemoReport:
    console = app.error_console()
    started = app.clock.monotonic()
    with _open_stage(app, folder, console, is_secure=is_secure) as stage:
        play(app, console, stage)
        stage.report.seconds = round(app.clock.monotonic() - started, 1)
        return stage.report


def _play_all(app: App, console: Console, stage: Stage) -> None:
    for scene in _scenes_of(stage):
        _play(app, console, stage, scene)


def _scenes_of(stage: Stage) -> tuple[Scene, ...]:
    from replicator.cli.demo.home import HOMEWARD
    from replicator.cli.demo.secured import secured_scenes
    from replicator.cli.demo.story import SCENES

    return secured_scenes() if stage.lab.plan.spec.is_secure else (*SCENES, *HOMEWARD)


def _play_behind_dashboard(app: App, console: Console, stage: Stage) -> None:
    """Play until the supervisor runs as ever, and what follows behind the dashboard."""
    from replicator.api.client import ApiClient
    from replicator.cli.demo.watched import play_watched
    from replicator.cli.supervision.tui import load_dashboard

    run_dashboard = load_dashboard()
    scenes = list(_scenes_of(stage))
    while stage.supervisor is None:
        _play(app, console, stage, scenes.pop(0))
    reach = stage.shell.settings().api_reach()
    client = ApiClient(reach.url, token=reach.token, ca_file=reach.ca_file)
    play_watched(stage, scenes, console=console, client=client, run_dashboard=run_dashboard)


@contextmanager
def _open_stage(app: App, folder: Path, console: Console, *, is_secure: bool) -> Iterator[Stage]:
    """Give a stage on a lab that dies with this process."""
    from replicator.cli.demo.secured import supervisor_section
    from replicator.cli.demo.shell import Shell
    from replicator.cli.demo.story import Stage
    from replicator.clock import Deadline
    from replicator.jvm import Guardian, kafka_classpath, show_download
    from replicator.kafka import KafkaCluster
    from replicator.lab import Lab, LabSpec

    with show_download() as progress:
        kafka_classpath(progress)
    guardian = Guardian()
    spec = LabSpec(is_secure=is_secure, connect_heap_mib=768)
    lab = Lab.make(folder / "lab", spec, guardian=guardian, rng=random.Random())  # noqa: S311 - ids
    try:
        with console.status("starting two clusters and a Connect worker"):
            lab.up(Deadline.after(LAB_SECONDS, clock=app.clock))
        with lab, KafkaCluster(lab.access("east", "app")) as east, KafkaCluster(lab.access("west", "app")) as west:
            shell = Shell(config=folder / "demo.yaml", folder=folder)
            stage = Stage(lab=lab, folder=folder, shell=shell, east=east, west=west, clock=app.clock)
            if is_secure:
                stage.supervisor_section = supervisor_section(stage)
            try:
                yield stage
            finally:
                stage.close()
    finally:
        guardian.close()


def _play(app: App, console: Console, stage: Stage, scene: Scene) -> None:
    """Play one scene behind a spinner and leave one line of it."""
    from rich.text import Text

    from replicator.model.forms.text import safe_text

    started = app.clock.monotonic()
    with console.status(Text(scene.says)) as status:
        stage.tell = lambda line: status.update(Text(f"{scene.says}: {safe_text(line)}"))
        told = scene.play(stage)
    seconds = app.clock.monotonic() - started
    console.print(Text.assemble(("✓ ", "green"), (scene.says, "bold"), f" ({seconds:.1f} s)  {safe_text(told)}"))


def _show(app: App, report: DemoReport) -> None:
    from replicator.cli.demo.report import render
    from replicator.cli.output import emit

    emit("Demo", item=report.to_plain(), output=app.output, view=render(report))
    if not report.ok:
        broken = ", ".join(promise.name for promise in report.promises if not promise.ok)
        raise OperationFailed(
            f"the demo broke a promise: {broken}", hint="replicator demo --keep, then read the logs it names"
        )
