"""`replicator worker`: the Connect workers of ours: start, stop, replace; and how all of them are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.errors import ReplicatorError, UsageError

if TYPE_CHECKING:
    from replicator.worker import WorkerRuntime

START_SECONDS = 120.0
STOP_SECONDS = 60.0
_STYLES = {"running": "green", "frozen": "yellow", "gone": "red"}


@click.group()
def worker() -> None:
    """The Connect worker beside each cluster: yours (runtime external), or ours (process, docker)."""


@worker.command(name="list")
@pass_app
def list_workers(app: App) -> None:
    """List the workers: where they run, whether they live."""
    emit(
        "Worker", items=[_row(app, name) for name in app.settings.document.connect], output=app.output, columns=_COLUMNS
    )


@worker.command()
@click.argument("cluster")
@pass_app
def start(app: App, cluster: str) -> None:
    """Start the worker beside CLUSTER, and wait until it is ready; one that runs is left as it is."""
    made = _worker_of(app, cluster)
    made.start()
    made.wait_ready(app.deadline(START_SECONDS))
    _show(app, cluster)


@worker.command()
@click.argument("cluster")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@pass_app
def stop(app: App, cluster: str, *, is_agreed: bool) -> None:
    """Stop our worker beside CLUSTER; its connectors and positions stay in Kafka."""
    made = _ours(app, cluster)
    app.confirm_moderate(f"Stop the worker beside {cluster}", is_agreed=is_agreed)
    made.stop(app.deadline(STOP_SECONDS))
    _show(app, cluster)


@worker.command()
@click.argument("cluster")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@pass_app
def replace(app: App, cluster: str, *, is_agreed: bool) -> None:
    """Start our worker beside CLUSTER anew, as the configuration says now: another image, heap or password."""
    from replicator.supervisor.workers import worker_order
    from replicator.worker import DockerWorker, container_plan

    made = _ours(app, cluster)
    app.confirm_moderate(f"Replace the worker beside {cluster}", is_agreed=is_agreed)
    deadline = app.deadline(START_SECONDS + STOP_SECONDS)
    if isinstance(made, DockerWorker):
        made.replace(container_plan(worker_order(app.settings, cluster)), deadline)
    else:
        made.stop(deadline)
        made.start()
    made.wait_ready(deadline)
    _show(app, cluster)


def ensure_worker(app: App, cluster: str) -> None:
    """Return once the worker beside the cluster is ready, where it is ours to start; yours is left alone.

    Raises:
        LabFailed, DeadlineExceeded: it did not come up.
    """
    if app.settings.connect_of(cluster).runtime.value == "external":
        return
    made = _worker_of(app, cluster)
    made.start()
    made.wait_ready(app.deadline(START_SECONDS))


def _worker_of(app: App, cluster: str) -> WorkerRuntime:
    from replicator.supervisor.workers import worker_of

    return worker_of(app.settings, cluster)


def _ours(app: App, cluster: str) -> WorkerRuntime:
    """Return our worker.

    Raises:
        UsageError: it is not ours to stop.
    """
    access = app.settings.connect_of(cluster)
    if access.runtime.value == "external":
        raise UsageError(
            f"the worker beside {cluster} is yours (connect.{cluster}.runtime: external), at {access.url}",
            hint=f"stop it where it runs, or set connect.{cluster}.runtime to process or docker",
        )
    return _worker_of(app, cluster)


def _show(app: App, cluster: str) -> None:
    emit("Worker", item=_row(app, cluster), output=app.output, columns=_COLUMNS)


def _row(app: App, cluster: str) -> dict[str, Any]:
    """Return one worker as it stands; null is unknown: the engine that would know does not answer."""
    access = app.settings.connect_of(cluster)
    try:
        state: str | None = _worker_of(app, cluster).state().value
        problem = None
    except ReplicatorError as error:
        state, problem = None, error.message
    return {
        "cluster": cluster,
        "runtime": access.runtime.value,
        "url": access.url,
        "group_id": access.group_id,
        "state": state,
        "folder": None if access.runtime.value == "external" else access.folder,
        "problem": problem,
    }


_COLUMNS = (
    Column("CLUSTER", lambda row: row["cluster"]),
    Column("RUNTIME", lambda row: row["runtime"]),
    Column("STATE", lambda row: row["state"], style=lambda row: _STYLES.get(row["state"] or "")),
    Column("URL", lambda row: row["url"]),
    Column("GROUP", lambda row: row["group_id"]),
    Column("PROBLEM", lambda row: row["problem"]),
)
