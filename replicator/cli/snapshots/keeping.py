"""`replicator snapshot keep|unkeep|prune`: what stays in the repository, and what goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit, make_table, text_of
from replicator.errors import PreflightBlocked, UsageError
from replicator.model.forms.figures import show_bytes, show_count, show_moment

if TYPE_CHECKING:
    from rich.console import RenderableType

    from replicator.model.archive.keeping import KeepRule, PrunePlan

_COUNT = click.IntRange(min=0)


@click.command()
@click.argument("reference", metavar="ID")
@click.option("--reason", default="", help="Why; shown wherever the snapshot is listed.")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def keep(app: App, reference: str, reason: str, store: str | None) -> None:
    """Protect a snapshot from every retention, until `unkeep`."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import hold_snapshot

    repository = open_repository(app, store)
    snapshot_id = repository.find(reference)
    is_new = hold_snapshot(repository, snapshot_id, reason=reason, now=app.clock.now())
    app.tell(f"snapshot {snapshot_id} is held{'' if is_new else ' already'}")
    emit("SnapshotHold", output=app.output, item={"id": snapshot_id, "is_held": True, "is_new": is_new})


@click.command()
@click.argument("reference", metavar="ID")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def unkeep(app: App, reference: str, store: str | None, *, is_agreed: bool) -> None:
    """Let retention decide about a snapshot again."""
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import release_snapshot

    repository = open_repository(app, store)
    snapshot_id = repository.find(reference)
    app.confirm_moderate(f"Let retention take snapshot {snapshot_id}", is_agreed=is_agreed)
    release_snapshot(repository, snapshot_id)
    emit("SnapshotHold", output=app.output, item={"id": snapshot_id, "is_held": False, "is_new": True})


@click.command()
@click.option("--keep-last", type=_COUNT, default=0, metavar="N", help="The newest N.")
@click.option("--keep-hourly", type=_COUNT, default=0, metavar="N", help="The newest of each of N hours.")
@click.option("--keep-daily", type=_COUNT, default=0, metavar="N", help="The newest of each of N days.")
@click.option("--keep-weekly", type=_COUNT, default=0, metavar="N", help="The newest of each of N ISO weeks.")
@click.option("--keep-monthly", type=_COUNT, default=0, metavar="N", help="The newest of each of N months.")
@click.option("--keep-yearly", type=_COUNT, default=0, metavar="N", help="The newest of each of N years.")
@click.option("--keep-within", metavar="DURATION", help="All younger than this: a number with s, m, h, d or w.")
@click.option("--keep-tag", "keep_tags", metavar="TAG", multiple=True, help="All with this tag; may be repeated.")
@click.option("--tag", metavar="TAG", help="Decide only about snapshots with this tag; others stay.")
@click.option("--min-redundancy", type=click.IntRange(min=1), default=1, metavar="N", help="So many stay at least (1).")
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def prune(app: App, /, store: str | None, *, dry_run: bool, is_agreed: bool, **asked: Any) -> None:
    """Apply retention and clear out what no snapshot needs; shows the plan and asks.

    Without --keep options the rules of the configured schedules count. Snapshots that no rule is about stay, and
    so do held ones, the newest verified one, and those that cannot be read.
    """
    from replicator.cli.snapshots.doors import open_repository
    from replicator.snapshot import apply_prune, plan_prune

    repository = open_repository(app, store)
    rules = rules_of(asked) or _configured_rules(app)
    plan = plan_prune(repository, rules, now=app.clock.now())
    is_done = not dry_run and not plan.refusals
    if is_done:
        app.confirm_moderate(_describe(plan), is_agreed=is_agreed)
        plan = apply_prune(repository, rules, clock=app.clock, expected=plan)
    emit("SnapshotPrune", output=app.output, item=_plain(plan, is_done=is_done), view=prune_view(plan, is_done=is_done))
    if plan.refusals:
        raise PreflightBlocked(
            f"{repository.url}: {plan.refusals[0]}", detail="\n".join(plan.refusals), hint="replicator repo check"
        )


def rules_of(asked: dict[str, Any]) -> list[KeepRule]:
    """Return the rule that the options state; none without any. Raises: UsageError for a bad duration."""
    from replicator.model.archive.keeping import KeepRule
    from replicator.settings.values import duration_of

    within = asked["keep_within"]
    try:
        within_seconds = None if within is None else duration_of(within).total_seconds()
    except ValueError as exc:
        raise UsageError(f"--keep-within {within!r}: {exc}") from exc
    periods = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
    rule = KeepRule(
        **{name: asked[f"keep_{name}"] for name in periods},
        within_seconds=within_seconds,
        tags=frozenset(asked["keep_tags"]),
        tag=asked["tag"],
        minimum=asked["min_redundancy"],
    )
    if rule.is_empty and rule.tag is not None:
        raise UsageError(f"--tag {rule.tag} says what to decide about, and no --keep option says what stays")
    return [] if rule.is_empty else [rule]


def _configured_rules(app: App) -> list[KeepRule]:
    from replicator.settings import find_config
    from replicator.supervisor.schedules import keep_rules

    if find_config(app.config, app.environ) is None:
        return []
    return keep_rules(app.settings)


def _describe(plan: PrunePlan) -> str:
    kept = len(plan.decisions) - len(plan.forgotten)
    return (
        f"Delete {len(plan.forgotten)} of {len(plan.decisions)} snapshots and {show_bytes(plan.freed_bytes)} that the "
        f"other {kept} do not need"
    )


def _plain(plan: PrunePlan, *, is_done: bool) -> dict[str, object]:
    young = [one for one in plan.garbage if one.is_young]
    return {
        "is_done": is_done,
        "forgotten": plan.forgotten,
        "decisions": plan.decisions,
        "freed_bytes": plan.freed_bytes,
        "freed_objects": len(plan.garbage) - len(young),
        "young_objects": len(young),
        "dead_bytes": plan.dead_bytes,
        "refusals": plan.refusals,
    }


def prune_view(plan: PrunePlan, *, is_done: bool) -> RenderableType:
    """A prune: one line a snapshot, with every reason it stays for; then what that frees."""
    from rich.console import Group
    from rich.text import Text

    table = make_table("SNAPSHOT", "TAKEN", "STAYS", "WHY")
    for one in plan.decisions:
        cells = (one.id, show_moment(one.cut_at), one.is_kept, ", ".join(one.reasons) or "no rule wants it")
        table.add_row(*map(text_of, cells))
    young = sum(one.is_young for one in plan.garbage)
    lines = [
        f"{'freed' if is_done else 'would free'} {show_bytes(plan.freed_bytes)} in {len(plan.garbage) - young} objects",
        f"{show_bytes(plan.dead_bytes)} stay in packs that hold other chunks too",
    ]
    if young:
        lines.append(f"{show_count(young)} objects that nothing names are younger than a day and stay")
    return Group(table, *map(Text, lines))
