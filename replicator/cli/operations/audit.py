"""`replicator audit`: the audit trail is the journal: prove it, or print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.errors import DataCorrupt, ReplicatorError, Unreachable
from replicator.model.forms.figures import show_count, show_moment, show_seconds
from replicator.model.names import ClusterName

if TYPE_CHECKING:
    from replicator.journal import KeptHead
    from replicator.journal.chain import Stored

READ_SECONDS = 30.0
ACCEPT_SECONDS = 120.0


@click.group()
def audit() -> None:
    """The audit trail: prove it, export it."""


@audit.command()
@pass_app
def verify(app: App) -> None:
    """Prove every journal that answers: each link of its chain, and the heads that other clusters and the store keep.

    Exits 1 when a byte was changed, records are missing, the tail was cut or the chain was written anew.
    """
    from replicator.journal import prove_journals

    stored, warnings = _read_all(app)
    proofs = prove_journals(stored, kept_elsewhere=_read_heads(app, warnings))
    warnings += [
        f"nobody else keeps a head of {one.cluster}'s journal: that its tail is whole cannot be told"
        for one in proofs
        if one.records and not one.witnesses
    ]
    warnings += [f"{one.cluster}: {told}" for one in proofs for told in one.accepted]
    emit(
        "JournalProof",
        output=app.output,
        items=proofs,
        columns=(
            Column("CLUSTER", lambda one: one.cluster),
            Column("RECORDS", lambda one: show_count(one.records), is_number=True),
            Column("WITNESSES", lambda one: show_count(one.witnesses), is_number=True),
            Column("FINDING", lambda one: "; ".join(one.findings) or "whole"),
            Column("ACCEPTED", lambda one: "; ".join(one.accepted) or "nothing"),
        ),
        warnings=warnings,
    )
    broken = [f"{one.cluster}: {finding}" for one in proofs for finding in one.findings]
    ways = [f"`{one.next_command}` goes on behind the break" for one in proofs if one.next_command is not None]
    if broken:
        raise DataCorrupt(
            f"the audit trail is not whole: {broken[0]}",
            detail="\n".join(broken),
            hint="; ".join(["`replicator audit export` prints what is left", *ways]),
        )


@audit.command()
@click.argument("cluster_name", metavar="CLUSTER")
@click.option("--offset", "offsets", type=click.IntRange(min=0), multiple=True, required=True, help="Where; repeat it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why what is left holds: it stays in the journal.")
@click.option("--confirm", metavar="CLUSTER", help="Type the cluster's name: what stood at the break is gone for good.")
@pass_app
def accept(app: App, cluster_name: str, *, offsets: tuple[int, ...], reason: str, confirm: str | None) -> None:
    """Go on behind a break of a cluster's journal, as `audit verify` names it: operations can run again.

    What the changed or missing records said is lost. The break is told by every audit from then on.
    """
    from replicator.cli.operations.doors import actor
    from replicator.cli.operations.op import open_cluster
    from replicator.journal import accept_breaks

    supervisor = app.settings.supervisor
    app.confirm_severe(
        f"accepting {len(offsets)} breaks of the journal on {cluster_name}", name=cluster_name, given=confirm
    )
    with open_cluster(app, ClusterName(cluster_name)) as cluster:
        records = accept_breaks(
            cluster,
            offsets,
            topic_prefix=supervisor.topic_prefix,
            supervisor_id=supervisor.id,
            session_seconds=supervisor.session_seconds,
            actor=actor(),
            reason=reason,
            command=f"replicator audit accept {cluster_name} --reason TEXT",
            deadline=app.deadline(ACCEPT_SECONDS),
        )
    emit(
        "JournalRecord",
        output=app.output,
        items=records,
        columns=(
            Column("OFFSET", lambda r: show_count(r.offset), is_number=True),
            Column("ACCEPTED", lambda r: show_count(r.body["offset"]), is_number=True),
            Column("WHAT", lambda r: r.body["what"]),
            Column("BY", lambda r: r.actor),
        ),
    )
    app.tell("operations go on; see that each flow is active where the journal says: `replicator flow show FLOW`")


@audit.command()
@click.argument("operation_id", metavar="OPERATION")
@pass_app
def report(app: App, operation_id: str) -> None:
    """Prove the kept report of an operation (every drill leaves one in the store): seal and signature; print it."""
    from replicator.supervisor.reports import read_report

    document, signed_by = read_report(app.settings, operation_id)
    warnings = [] if signed_by else ["it is not signed: snapshots.signing_key was not set when it was kept"]
    told = document["report"]
    emit(
        "OperationReport",
        output=app.output,
        item={**document, "signed_by": signed_by},
        columns=(
            Column("operation", lambda _: told["operation_id"]),
            Column("kind", lambda _: told["kind"]),
            Column("passed", lambda row: row["is_passed"]),
            Column("recovery time", lambda _: show_seconds(told["rto_seconds"])),
            Column("signed by", lambda row: row["signed_by"] or "nobody"),
            Column("exceptions", lambda _: "; ".join(told["exceptions"]) or "none"),
        ),
        warnings=warnings,
    )


@audit.command()
@pass_app
def export(app: App) -> None:
    """Print every record of every journal that answers, in the order written.

    Of a journal that is broken, what is proven before the break: a warning names the place.
    """
    from replicator.journal import merge_records, prove_prefix, tell_strays

    stored, warnings = _read_all(app)
    chains = {}
    for name, values in stored.items():
        chains[name], broken = prove_prefix(values)
        if broken is not None:
            warnings.append(f"{name}: {broken.message}; what is printed of it ends before that")
        warnings += [f"{name}: {told}" for told in tell_strays(chains[name])]
    records = merge_records(chain.records for chain in chains.values())
    emit(
        "JournalRecord",
        output=app.output,
        items=records,
        columns=(
            Column("WRITTEN", lambda r: show_moment(r.written_at)),
            Column("OPERATION", lambda r: r.operation_id),
            Column("STEP", lambda r: r.step),
            Column("PHASE", lambda r: r.phase),
            Column("ITEM", lambda r: r.item),
            Column("BY", lambda r: r.actor),
        ),
        warnings=warnings,
    )


def _read_heads(app: App, warnings: list[str]) -> tuple[KeptHead, ...]:
    """Return the heads that the configured store keeps; that it cannot be read is a warning, a changed one an error.

    Raises:
        DataCorrupt: a kept head was changed.
    """
    from replicator.supervisor.witnesses import read_heads

    if app.settings.store is None:
        return ()
    try:
        return read_heads(app.settings)
    except DataCorrupt:
        raise
    except ReplicatorError as error:
        warnings.append(f"the heads in the store were left out: {error.message}")
        return ()


def _read_all(app: App) -> tuple[dict[ClusterName, list[Stored]], list[str]]:
    """Return the raw journals of the clusters that answer, and a warning for each that does not.

    Raises:
        Unreachable: none answers.
    """
    from replicator.cli.operations.op import open_cluster
    from replicator.journal import Journal

    prefix = app.settings.supervisor.topic_prefix
    found: dict[ClusterName, list[Stored]] = {}
    failures: list[ReplicatorError] = []
    for name in app.settings.clusters:
        try:
            with open_cluster(app, name) as cluster:
                found[name] = Journal(cluster, prefix, clock=app.clock).read_stored(app.deadline(READ_SECONDS))
        except ReplicatorError as error:
            failures.append(error)
    if failures and not found:
        raise Unreachable(f"no cluster's journal can be read: {failures[0].message}", hint=failures[0].hint)
    return found, [f"a journal was left out: {error.message}" for error in failures]
