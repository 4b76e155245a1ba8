"""`replicator lab`: two embedded Kafka clusters to try things on, started and ended from here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit, make_table, text_of

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.lab import Lab

_UP_SECONDS = 120.0
_START_SECONDS = 60.0


def default_folder() -> Path:
    """Return `$XDG_STATE_HOME/replicator/lab`, or `~/.local/state/replicator/lab`."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "replicator" / "lab"


def _folder_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
        default=default_folder,
        show_default="$XDG_STATE_HOME/replicator/lab",
        help="The lab's folder.",
    )(command)


@click.group()
def lab() -> None:
    """Two embedded Kafka clusters, east and west, with a Connect worker: a stage for tries and rehearsals."""


@lab.command()
@_folder_option
@click.option("--secure", "is_secure", is_flag=True, help="SASL_SSL, SCRAM and ACLs instead of plain text.")
@click.option("--brokers", type=click.Choice(["1", "3"]), default="1", help="Brokers in each cluster.")
@click.option("--no-connect", "has_connect", is_flag=True, flag_value=False, default=True, help="Start no worker.")
@click.option("--with-flow", "has_flow", is_flag=True, help="Configure a first flow, shop, and a store for snapshots.")
@pass_app
def up(app: App, folder: Path, *, is_secure: bool, brokers: str, has_connect: bool, has_flow: bool) -> None:
    """Start the lab and leave it running; a stopped one in the same folder goes on with its data."""
    import random

    from replicator.jvm import kafka_classpath, show_download
    from replicator.lab import Lab, LabSpec

    spec = LabSpec(is_secure=is_secure, brokers=int(brokers), has_connect=has_connect, has_flow=has_flow)
    made = Lab.make(folder, spec, rng=random.Random())  # noqa: S311 - ports and ids, no secrets
    with show_download() as progress:
        kafka_classpath(progress)
    app.tell(f"starting the lab in {folder}")
    made.up(app.deadline(_UP_SECONDS))
    _show(app, made)


@lab.command()
@_folder_option
@pass_app
def status(app: App, folder: Path) -> None:
    """Show each member: running, frozen or gone, and where it answers."""
    _show(app, _open(folder))


@lab.command()
@_folder_option
@click.option("--purge", "is_purge", is_flag=True, help="Remove the folder too: data, logs, keys.")
@pass_app
def down(app: App, folder: Path, *, is_purge: bool) -> None:
    """End every process of the lab; its data stays for another `up`."""
    found = _open(folder)
    if is_purge:
        found.purge()
        app.tell(f"the lab in {folder} is gone")
    else:
        found.down()
        _show(app, found)


def _open(folder: Path) -> Lab:
    from replicator.lab import Lab

    return Lab.open(folder)


def _act(name: str, help_text: str, act: Callable[[Lab, str, App], None]) -> None:
    """Add the verb `name TARGET` to the group."""

    @lab.command(name, help=help_text)
    @click.argument("target", metavar="CLUSTER|CLUSTER/connect|CLUSTER/broker-N")
    @_folder_option
    @pass_app
    def command(app: App, target: str, folder: Path) -> None:
        found = _open(folder)
        act(found, target, app)
        _show(app, found)


_act("kill", "Leave a member dead by SIGKILL.", lambda found, target, _: found.kill(target))
_act("stop", "Leave a member stopped by SIGTERM.", lambda found, target, _: found.stop(target))
_act(
    "freeze",
    "Leave a member frozen by SIGSTOP: it accepts, it never answers.",
    lambda found, target, _: found.freeze(target),
)
_act("thaw", "Let a frozen member go on.", lambda found, target, _: found.thaw(target))
_act(
    "start",
    "Start a member that is gone, and wait until it is ready.",
    lambda found, target, app: found.start(target, wait=app.deadline(_START_SECONDS)),
)


@lab.command()
@click.argument("topic")
@_folder_option
@click.option("--cluster", default="east", show_default=True, help="Which cluster to write to.")
@click.option("--records", type=click.IntRange(1, 100_000_000), default=10_000, show_default=True, help="How many.")
@click.option("--per-second", type=click.FloatRange(0.1), help="How fast.  [default: as fast as they go]")
@click.option(
    "--partitions", type=click.IntRange(1, 1000), default=3, show_default=True, help="Of a topic not there yet."
)
@click.option("--group", metavar="GROUP", help="Then leave a consumer group's positions on the topic.")
@click.option(
    "--behind", type=click.IntRange(0), default=0, show_default=True, help="The group's lag in each partition."
)
@pass_app
def produce(
    app: App,
    topic: str,
    folder: Path,
    *,
    cluster: str,
    records: int,
    per_second: float | None,
    partitions: int,
    group: str | None,
    behind: int,
) -> None:
    """Write numbered records to a topic of the lab, so that there is something to mirror."""
    from replicator.kafka import KafkaCluster
    from replicator.lab.traffic import Traffic, leave_group
    from replicator.model.names import GroupName, TopicName

    name = TopicName(topic)
    with KafkaCluster(_open(folder).access(cluster, "admin")) as target:
        with _counting(app, records) as told:
            Traffic(name, records, partitions, per_second).send(target, told=told)
        app.tell(f"{records:,} records written to {topic} on {cluster}")
        if group is not None:
            leave_group(target, GroupName(group), name, behind=behind, deadline=app.deadline())
            app.tell(f"{group} stands {behind:,} behind in each partition, or at its start")


@contextmanager
def _counting(app: App, total: int) -> Iterator[Callable[[int], None]]:
    """Show how many records are written, where a terminal can show it."""
    from rich.progress import Progress

    with Progress(console=app.error_console(), disable=app.is_quiet, transient=True) as shown:
        task = shown.add_task("writing", total=total)
        yield lambda sent: shown.update(task, completed=sent)


def _show(app: App, found: Lab) -> None:
    emit("Lab", item=describe(found), output=app.output, columns=_COLUMNS, view=_view(found))


def describe(found: Lab) -> dict[str, Any]:
    """Return the lab as JSON shows it: addresses, configuration, members; null is unknown."""
    plan = found.plan
    return {
        "dir": str(found.folders.root),
        "config": str(found.config_path),
        "is_secure": plan.spec.is_secure,
        "clusters": {c.name: {"bootstrap": c.bootstrap, "cluster_id": c.cluster_id} for c in plan.clusters},
        "connect": {
            c.name: {"url": c.connect_url, "group_id": found.group_id(c.name)}
            for c in plan.clusters
            if any(m.member == f"{c.name}/connect" for m in found.status())
        },
        "members": [
            {
                "member": m.member,
                "state": m.state.value,
                "address": m.address,
                "pid": m.pid,
                "resident_bytes": m.resident_bytes,
                "log_file": str(m.log_file),
            }
            for m in found.status()
        ],
    }


_COLUMNS = (Column("config", lambda item: item["config"]),)


def _view(found: Lab) -> RenderableType:
    from rich.console import Group

    table = make_table("member", "state", "address", "pid", "MiB", numbers=["pid", "MiB"])
    for m in found.status():
        mib = None if m.resident_bytes is None else m.resident_bytes // (1 << 20)
        table.add_row(*(text_of(cell) for cell in (m.member, m.state.value, m.address, m.pid, mib)))
    return Group(table, text_of(""), text_of(f"config  {found.config_path}"))
