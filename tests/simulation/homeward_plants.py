"""Faults of a failback, planted on purpose. The move before it is as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from replicator.connect import ConnectClient
from replicator.failover import launch
from replicator.failover.engine.runbook import Runbook, Step
from replicator.failover.failback import home, homeward, orphans, reconcile, reverse
from replicator.failover.failback.seams import Seam, read_seams
from replicator.failover.runbooks import runbook_of
from replicator.failover.world import World
from replicator.model.names import TopicPartition
from replicator.model.operations import Done, Finding, OperationKind, Ready

Plant = Callable[[], Any]
HOMEWARD_PLANTS: dict[str, Plant] = {}


def plant(make: Callable[[], Iterator[None]]) -> Plant:
    """Keep a planted fault under its name."""
    HOMEWARD_PLANTS[make.__name__] = context = contextmanager(make)
    return context


@contextmanager
def failback_with(name: str, **changes: Any) -> Iterator[None]:
    """Let one step of a failback be another; every other runbook stays."""

    def change(step: Step[World]) -> Step[World]:
        return replace(step, **changes) if step.name == name else step

    def changed(kind: Any) -> Runbook[World]:
        runbook = runbook_of(kind)
        if kind is not OperationKind.FAILBACK:
            return runbook
        return replace(runbook, steps=tuple(change(step) for step in runbook.steps))

    with mock.patch.object(launch, "runbook_of", changed):
        yield


def _always_done(_world: World) -> Finding:
    return Done({})


@plant
def the_way_home_begins_at_zero() -> Iterator[None]:
    """Everything is brought home, not the difference alone."""

    def zero(seams: Any, _stored: Any) -> dict[TopicPartition, int]:
        return {seam.partition: 0 for seam in seams}

    with mock.patch.object(reverse, "seeds_of", zero):
        yield


@plant
def the_way_home_begins_one_too_late() -> Iterator[None]:
    """The stored offset is taken for the next one: a record of each partition stays behind."""
    seeds_of = reverse.seeds_of

    def late(seams: Any, stored: Any) -> dict[TopicPartition, int]:
        return {tp: at + 1 for tp, at in seeds_of(seams, stored).items()}

    with mock.patch.object(reverse, "seeds_of", late):
        yield


@plant
def a_second_try_brings_all_of_it_again() -> Iterator[None]:
    """What an earlier try has brought home is not known to the next one."""

    def anew(seams: tuple[Seam, ...], _stored: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        return {seam.partition: seam.seed for seam in seams}

    with mock.patch.object(reverse, "seeds_of", anew):
        yield


@plant
def orphans_are_not_exported() -> Iterator[None]:
    """What only the old active has is kept nowhere else."""
    with failback_with("export_orphans", check=_always_done):
        yield


@plant
def orphans_are_kept_again() -> Iterator[None]:
    """A process that goes on begins the export anew, behind what stands there."""
    with mock.patch.object(orphans, "_kept_count", return_value=0):
        yield


@plant
def orphans_behind_a_dead_transaction_are_overlooked() -> Iterator[None]:
    """Nobody waits until the old active has ended what died there."""
    with mock.patch.object(reconcile, "await_settled"):
        yield


@plant
def what_came_home_counts_as_orphans() -> Iterator[None]:
    """A second try takes the difference that the first has brought for records that only the old active has."""
    with mock.patch.object(reconcile, "earlier_orphan_ends", return_value={}):
        yield


@plant
def the_configured_flow_is_left_running() -> Iterator[None]:
    """The flow that came back with the old active goes on mirroring from it."""
    with mock.patch.object(reconcile, "running_forward", return_value=[]):
        yield


@plant
def both_directions_are_started() -> Iterator[None]:
    """The configured flow is resumed along with the one that runs home."""

    def start(world: World) -> None:
        reverse.do_start(world)
        forward = reconcile.forward_of(world)
        home.connect_of(forward).resume(forward.flow.source_connector, world.deadline(30))

    with failback_with("start_reverse", do=start):
        yield


@plant
def the_new_active_is_not_fenced() -> Iterator[None]:
    """Clients write there while their groups are moved."""
    with failback_with("fence_source", check=_always_done):
        yield


@plant
def the_fence_is_not_proven() -> Iterator[None]:
    """Rules are taken for a fence as soon as they were asked for once, whether they stand or not."""

    def believed(world: World) -> Finding:
        fenced = world.log is not None and world.log.fact("fence_source", "fenced") is not None
        return Done({}) if fenced else Ready("to be fenced")

    def said(world: World) -> None:
        body = {"grade": world.fencing.grade.value, "cluster": world.flow.source, "actor": "x"}
        world.logbook.add_fact("fence_source", "fenced", body)

    with failback_with("fence_source", check=believed, do=said):
        yield


@plant
def the_difference_is_not_drained() -> Iterator[None]:
    """The flow home is ended wherever it is, and what is left keeps nobody from promoting."""
    with (
        failback_with("drain", check=_always_done),
        mock.patch("replicator.failover.steps.cut.find_breach", return_value=None),
        mock.patch("replicator.failover.steps.promote.find_breach", return_value=None),
    ):
        yield


@plant
def the_epoch_is_not_raised() -> Iterator[None]:
    """The old active's journal goes on counting where it was, below the epochs of the new one."""
    take = launch.take_lease

    def low(*args: Any, epoch_elsewhere: int, **named: Any) -> Any:
        del epoch_elsewhere
        return take(*args, epoch_elsewhere=0, **named)

    with mock.patch.object(launch, "take_lease", low):
        yield


@plant
def groups_go_home_as_if_all_had_come_with_them() -> Iterator[None]:
    """Where the flow home began is forgotten: a position below it is taken for one of its own map."""
    with mock.patch.object(homeward, "first_bases", return_value={}):
        yield


@plant
def orphans_travel() -> Iterator[None]:
    """The configured flow reads on where it had stopped, and hands the orphan tail to the new standby."""
    with mock.patch.object(home, "home_positions", return_value={}):
        yield


@plant
def the_difference_travels_back() -> Iterator[None]:
    """The configured flow begins where the old active ended when it came back."""

    def early(world: World) -> dict[TopicPartition, int]:
        return {seam.partition: seam.orphans_end for seam in read_seams(world.logbook) or ()}

    with mock.patch.object(home, "home_positions", early):
        yield


@plant
def the_configured_flow_is_not_started() -> Iterator[None]:
    """Clients are home, and nothing makes the other cluster their standby."""
    with failback_with("start_forward", check=_always_done):
        yield


@plant
def the_way_home_is_left() -> Iterator[None]:
    """The connectors that brought the difference home stay, to be started by whoever finds them."""
    with mock.patch.object(ConnectClient, "delete"):
        yield


@plant
def an_abort_leaves_the_way_home() -> Iterator[None]:
    """The connectors of the flow home outlive the operation that was taken back."""
    with failback_with("seed_reverse", undo=None):
        yield


@plant
def an_abort_leaves_the_new_active_fenced() -> Iterator[None]:
    """Nobody can write anywhere after the way home was given up."""
    with failback_with("fence_source", undo=None):
        yield
