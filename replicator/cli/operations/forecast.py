"""`replicator forecast`: if this flow failed over now, what would it cost, and what stands in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit, make_table, text_of
from replicator.errors import PreflightBlocked
from replicator.model.forms.figures import show_count, show_moment, show_seconds
from replicator.model.forms.plain import to_plain

if TYPE_CHECKING:
    from rich.console import Group

    from replicator.failover import Forecast


RIGHTS_SECONDS = 10.0


@click.command()
@click.argument("flow_name", metavar="FLOW")
@pass_app
def forecast(app: App, flow_name: str) -> int:
    """Tell what a failover of FLOW would cost right now: loss, re-reads, time; and the fix for each red gate.

    Exits 0, or 4 when something would stop a failover. Changes nothing.
    """
    from replicator.cli.operations.doors import highest_peer_epoch, open_world
    from replicator.failover import Choices, forecast_failover
    from replicator.kafka import probe_listeners
    from replicator.model.observations import Reachability
    from replicator.supervisor.doctor.missing import find_missing_rights

    flow = app.settings.flow(flow_name)
    with open_world(app, flow, Choices()) as world:
        highest_peer_epoch(world)
        doors = {flow.target: world.target}
        if probe_listeners(world.source.access.bootstrap.split(",")) is Reachability.REACHABLE:
            doors[flow.source] = world.source
        rights = find_missing_rights(app.settings, flow, doors, app.deadline(RIGHTS_SECONDS))
        found = forecast_failover(world, missing_rights=rights)
    plain: Any = to_plain(found)
    item = {**plain, "is_ready": found.is_ready, "groups_unavailable": list(found.groups_unavailable)}
    emit("Forecast", output=app.output, item=item, view=_view(found) if app.output.is_for_people else None)
    return 0 if found.is_ready else PreflightBlocked.exit_status


def _view(found: Forecast) -> Group:
    from rich.console import Group

    from replicator.cli.operations.view import tell_loss

    sums = make_table("IF IT FAILED OVER NOW", "")
    for title, told in (
        ("records lost", tell_loss(found.loss)),
        ("seconds lost at most", show_seconds(found.lost_seconds_max)),
        (
            "expected time",
            f"{show_seconds(found.expected_rto_seconds)} (median of the last {found.rto_measured_in} moves and drills)",
        ),
        ("retention runway", show_seconds(found.retention_runway_seconds)),
        ("last drill that passed", show_moment(found.last_drill_at)),
    ):
        sums.add_row(text_of(title), text_of(told))
    groups = make_table("GROUP", "GRADE", "RE-READ AT MOST", "UNAVAILABLE", "POSITIONS READ")
    for group in found.groups:
        cells = (
            group.group,
            group.grade.value,
            show_count(group.reread_records_max),
            show_count(group.unavailable_partitions),
            show_moment(group.observed_at),
        )
        groups.add_row(*map(text_of, cells))
    gates = make_table("GATE", "STANDS", "WHY", "FIX")
    for gate in found.gates:
        is_red = gate.is_open is False
        style = None if gate.is_open else "dim" if not is_red else "bold red" if gate.is_blocking else "yellow"
        told = "open" if gate.is_open else "unknown" if not is_red else "blocked" if gate.is_blocking else "costly"
        fix = gate.fix or "" if is_red else ""
        gates.add_row(*(text_of(cell, style=style) for cell in (gate.name, told, gate.told, fix)))
    return Group(sums, groups, gates)
