"""`replicator snapshot restore`: topics brought back, onto topics that do not exist or are empty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import emit
from replicator.errors import PreflightBlocked, UsageError
from replicator.model.forms.figures import show_bytes, show_count

if TYPE_CHECKING:
    from replicator.api.schema import RestoreOrder
    from replicator.model.archive.restores import RestorePlan
    from replicator.model.names import TopicName, TopicPartition
    from replicator.snapshot import RestoreRequest


@click.command()
@click.argument("reference", metavar="ID")
@click.option("--target", metavar="CLUSTER", required=True, help="The cluster to restore to.")
@click.option("--topics", "patterns", metavar="GLOB", multiple=True, help="Only topics like this; may be repeated.")
@click.option("--partitions", metavar="LIST", help="Only these partitions of each topic, such as 0,3-5.")
@click.option("--rename", "renames", metavar="OLD=NEW", multiple=True, help="Restore OLD as NEW; may be repeated.")
@click.option(
    "--rename-pattern",
    "rename_patterns",
    metavar="REGEX=NAME",
    multiple=True,
    help=r"Restore names that match REGEX as NAME, \1 for its groups; the first that matches counts.",
)
@click.option("--prefix", metavar="TEXT", default="", help="Put TEXT before every name that --rename does not give.")
@click.option(
    "--until",
    metavar="TIME",
    help="Only up to this record time (RFC 3339): a partition ends before its first later record.",
)
@click.option(
    "--stop",
    "stops",
    metavar="TOPIC[N]=OFFSET",
    multiple=True,
    help="End a partition before this captured offset; may be repeated.",
)
@click.option(
    "--groups", "groups", metavar="GLOB", multiple=True, help="Set groups like this where they stood; may be repeated."
)
@click.option(
    "--offsets",
    type=click.Choice(["remap", "exact"]),
    default="remap",
    show_default=True,
    help="remap: records stand back to back, groups are set anew; exact: every record has the offset it had.",
)
@click.option(
    "--exact-limit",
    "exact_seconds_max",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    default=3600.0,
    show_default=True,
    help="Refuse exact offsets that would take longer to fill.",
)
@click.option(
    "--configs",
    type=click.Choice(["apply", "keep", "refuse"]),
    default="apply",
    show_default=True,
    help="Settings of an empty topic that is there: take the captured ones, leave them, or refuse where they differ.",
)
@click.option(
    "--acls",
    type=click.Choice(["keep", "apply", "refuse"]),
    default="keep",
    show_default=True,
    help="Access rules on restored topics and groups: touch none, make those that are missing, or refuse.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and change nothing.")
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@click.option("--store", metavar="URL", help="The repository, instead of snapshots.store.")
@pass_app
def restore(
    app: App, /, reference: str, target: str, store: str | None, *, dry_run: bool, is_agreed: bool, **asked: Any
) -> None:
    """Bring topics back, onto topics that do not exist or are empty. Run again after a kill, it goes on."""
    from replicator.cli.snapshots.doors import LONG_SECONDS, open_cluster, open_repository, show_progress
    from replicator.cli.snapshots.views import plan_view, restore_view
    from replicator.snapshot import Restorer

    request = make_request(**asked)
    repository = open_repository(app, store)
    snapshot_id = repository.find(reference)
    with open_cluster(app, target) as (door, raw), show_progress(app) as report:
        restorer = Restorer(door, raw, repository, clock=app.clock, deadline=app.deadline(LONG_SECONDS), report=report)
        plan = restorer.plan(snapshot_id, request)
        if dry_run:
            emit("RestorePlan", output=app.output, item=plan, warnings=plan.warnings, view=plan_view(plan))
            _refuse(plan)
            return
        _refuse(plan)
        app.confirm_moderate(_describe(plan), is_agreed=is_agreed)
        app.hint_if_interrupted = (
            "the same command again goes on where it stopped; until then a topic may be half filled"
        )
        done = restorer.apply(plan)
        app.hint_if_interrupted = None
    emit("Restore", output=app.output, item=done, warnings=done.warnings, view=restore_view(done))


def make_request(
    *,
    patterns: tuple[str, ...],
    partitions: str | None,
    renames: tuple[str, ...],
    rename_patterns: tuple[str, ...],
    prefix: str,
    until: str | None,
    stops: tuple[str, ...],
    groups: tuple[str, ...],
    offsets: str,
    exact_seconds_max: float,
    configs: str,
    acls: str,
) -> RestoreRequest:
    """Return what the options ask for. Raises: UsageError for one that cannot be meant."""
    from replicator.model.archive.restores import DriftPolicy, OffsetRule
    from replicator.model.flow import Selection
    from replicator.snapshot import Extent, RestoreRequest

    extent = Extent(
        partitions=None if partitions is None else parse_numbers(partitions),
        stops=parse_stops(stops),
        until_ms=None if until is None else parse_time(until),
    )
    return RestoreRequest(
        topics=Selection(include=patterns or ("*",)),
        renames=parse_renames(renames),
        rename_patterns=parse_patterns(rename_patterns),
        prefix=prefix,
        extent=extent,
        groups=Selection(include=groups) if groups else None,
        offsets=OffsetRule(offsets),
        exact_seconds_max=exact_seconds_max,
        configs=DriftPolicy(configs),
        access=DriftPolicy(acls),
    )


def request_of(order: RestoreOrder) -> RestoreRequest:
    """Return what an order over the API asks for: the same as the options of the same names. Raises: UsageError."""
    return make_request(
        patterns=order.topics,
        partitions=order.partitions,
        renames=tuple(f"{old}={new}" for old, new in order.renames.items()),
        rename_patterns=order.rename_patterns,
        prefix=order.prefix,
        until=order.until,
        stops=order.stops,
        groups=order.groups,
        offsets=order.offsets.value,
        exact_seconds_max=order.exact_seconds_max,
        configs=order.configs.value,
        acls=order.acls.value,
    )


def parse_numbers(text: str) -> frozenset[int]:
    """Return the partitions of a list such as `0,3-5`. Raises: UsageError."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:-(\d{1,6}))?\s*", part, re.ASCII)
        if match is None:
            raise UsageError(f"--partitions {text!r}: {part!r} is neither a number nor two with - between")
        first = int(match[1])
        found |= set(range(first, int(match[2] or first) + 1))
        if match[2] is not None and int(match[2]) < first:
            raise UsageError(f"--partitions {text!r}: {part!r} ends before it begins")
    return frozenset(found)


def parse_stops(texts: Sequence[str]) -> dict[TopicPartition, int]:
    """Return the offset of each `TOPIC[N]=OFFSET`. Raises: UsageError, also for a partition given twice."""
    from replicator.model.names import TopicName, TopicPartition

    stops: dict[TopicPartition, int] = {}
    for text in texts:
        match = re.fullmatch(r"([a-zA-Z0-9._-]+)\[(\d{1,6})\]=(\d{1,19})", text, re.ASCII)
        if match is None:
            raise UsageError(f"--stop {text!r} is not TOPIC[N]=OFFSET")
        tp = TopicPartition(TopicName(match[1]), int(match[2]))
        if tp in stops:
            raise UsageError(f"--stop {tp}: given twice")
        stops[tp] = int(match[3])
    return stops


def parse_time(text: str) -> int:
    """Return milliseconds since 1970 of an RFC 3339 time with its zone. Raises: UsageError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise UsageError(f"--until {text!r} is no time such as 2026-11-20T08:00:00Z") from exc
    if moment.tzinfo is None:
        raise UsageError(f"--until {text!r}: which zone? add Z or an offset such as +01:00")
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def parse_patterns(texts: Sequence[str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return pattern and replacement of `REGEX=NAME` texts, split at the last `=`. Raises: UsageError."""
    from replicator.model.flow import check_expression

    found = []
    for text in texts:
        pattern, separator, name = text.rpartition("=")
        if not (pattern and separator and name):
            raise UsageError(f"--rename-pattern {text!r} is not REGEX=NAME")
        check_expression(pattern, told=f"--rename-pattern {text}")
        found.append((re.compile(pattern), name))
    return tuple(found)


def parse_renames(texts: Sequence[str]) -> dict[TopicName, TopicName]:
    """Return old → new of `OLD=NEW` texts. Raises: UsageError for anything else, or for OLD given twice."""
    from replicator.model.names import TopicName

    renames: dict[TopicName, TopicName] = {}
    for text in texts:
        old, separator, new = text.partition("=")
        if not (old and separator and new):
            raise UsageError(f"--rename {text!r} is not OLD=NEW")
        if old in renames:
            raise UsageError(f"--rename {old}: given twice")
        renames[TopicName(old)] = TopicName(new)
    return renames


def _refuse(plan: RestorePlan) -> None:
    if plan.refusals:
        raise PreflightBlocked(
            f"cluster {plan.cluster}: {plan.refusals[0]}",
            detail="\n".join(plan.refusals),
            hint=_hint(plan),
        )


def _hint(plan: RestorePlan) -> str:
    """Return what to do about the first refusal."""
    if any(topic.refusal for topic in plan.topics):
        return "restore under another name with --rename OLD=NEW, or delete the topic first"
    if any(group.refusal for group in plan.groups):
        return "stop the group's consumers there, or leave it out of --groups"
    return "--acls apply makes the missing rules, --acls keep touches none"


def _describe(plan: RestorePlan) -> str:
    names = ", ".join(f"{t.source} as {t.target}" if t.source != t.target else t.target for t in plan.topics[:5])
    more = f" and {len(plan.topics) - 5} more" if len(plan.topics) > 5 else ""
    return (
        f"Restore {names}{more} to cluster {plan.cluster}: {show_count(plan.records)} records, {show_bytes(plan.bytes)}"
    )
