"""Opens what the snapshot verbs need: the repository, and a cluster with its raw client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replicator.cli.context import App
from replicator.errors import ConfigInvalid, UsageError
from replicator.model.flow import Selection
from replicator.model.forms.figures import show_bytes, show_count
from replicator.model.names import FlowName

if TYPE_CHECKING:
    from replicator.kafka import KafkaCluster
    from replicator.snapshot import Keys, Report, Repository
    from replicator.snapshot.progress import Progress
    from replicator.wire import RawClient

LIFE_SECONDS = 10.0
"""Without a terminal a line says so often that something is going on."""
LONG_SECONDS = 24 * 3600.0
"""Copying takes as long as it takes; `--timeout` sets another bound."""


def store_url(app: App, store: str | None) -> str:
    """Return the store that was named, else the configured one. Raises: ConfigInvalid when there is neither."""
    if store is not None:
        return store
    configured = app.settings.store
    if configured is None:
        raise ConfigInvalid(
            "no store: snapshots.store is not configured", hint="set it, or name a folder or URL with --store"
        )
    return configured


def load_configured_keys(app: App, store: str | None) -> Keys:
    """Return the configured keys, to sign and to decrypt; none where a store was named without a configuration."""
    from replicator.settings import find_config
    from replicator.snapshot import Keys, load_keys

    if store is not None and find_config(app.config, app.environ) is None:
        return Keys()
    secret = app.settings.signing_key()
    return load_keys(None if secret is None else secret.value, unlock=app.settings.unlock())


def open_repository(app: App, store: str | None) -> Repository:
    """Return the repository that is meant. Raises: NotFound when the store holds none; the store's errors."""
    from replicator.snapshot import Repository

    return Repository.open(store_url(app, store), keys=load_configured_keys(app, store))


@contextmanager
def open_cluster(app: App, name: str) -> Iterator[tuple[KafkaCluster, RawClient]]:
    """Yield both ways into a cluster: the control plane and the raw one."""
    from replicator.kafka import KafkaCluster
    from replicator.wire import RawClient

    access = app.settings.cluster_access(name)
    with KafkaCluster(access) as cluster, RawClient(access) as raw:
        yield cluster, raw


def choose_cluster(app: App, flow: str | None, cluster: str | None) -> tuple[str, FlowName | None, Selection]:
    """Return the cluster to capture, the flow it is for, and the topics and groups that flow carries.

    Raises: UsageError when neither or both are named and more than one could be meant; NotFound.
    """
    if flow is not None and cluster is not None:
        raise UsageError("--flow and --cluster exclude each other: a flow's snapshot is taken of its target")
    if cluster is not None:
        return cluster, None, Selection()
    known = app.settings.flows
    if flow is None and len(known) != 1:
        raise UsageError("which cluster? name a flow with --flow or a cluster with --cluster")
    chosen = app.settings.flow(flow) if flow is not None else known[0]
    return chosen.target, chosen.name, chosen.topics


@contextmanager
def tell_lines(app: App, *, every_seconds: float = LIFE_SECONDS) -> Iterator[Report]:
    """Yield a report of which a line is told on stderr from time to time, also while nothing is reported."""
    from replicator.snapshot import Progress, Stage

    newest = [Progress(stage=Stage.SURVEY)]
    ended = threading.Event()
    begun = app.clock.monotonic()

    def tell() -> None:
        while not ended.wait(every_seconds):
            app.tell(describe_progress(newest[0], seconds=app.clock.monotonic() - begun))

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield lambda progress: newest.__setitem__(0, progress)
    finally:
        ended.set()
        teller.join(every_seconds)


def describe_progress(progress: Progress, *, seconds: float) -> str:
    """Return one line: what is going on, how much of how much, and for how long."""
    total = "" if progress.total is None else f" of {show_count(progress.total)}"
    counted = f" {show_count(progress.done)}{total}" if progress.done or total else ""
    moved = f", {show_bytes(progress.done_bytes)}" if progress.done_bytes else ""
    return f"{progress.stage.value}{counted}{moved}, {seconds:.0f} s so far"


@contextmanager
def show_progress(app: App) -> Iterator[Report]:
    """Yield a report that draws a bar on stderr, without a terminal a line now and then, with `-q` nothing."""
    from replicator.snapshot import say_nothing

    console = app.error_console()
    if app.is_quiet:
        yield say_nothing
        return
    if not console.is_terminal:
        with tell_lines(app) as report:
            yield report
        return
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[speed]}", markup=False),
        TimeRemainingColumn(),
    )
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("survey", total=None, speed="")
        begun = app.clock.monotonic()

        def draw(progress: Progress) -> None:
            seconds = max(0.001, app.clock.monotonic() - begun)
            speed = f"{progress.done_bytes / 1e6 / seconds:,.0f} MB/s" if progress.done_bytes else ""
            bar.update(
                task, description=progress.stage.value, completed=progress.done, total=progress.total, speed=speed
            )

        yield draw
