"""What people see of one snapshot, a verification, a restore's plan and its outcome; programs get the values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType

from replicator.cli.output import make_table, text_of
from replicator.model.archive.drilling import SnapshotDrill
from replicator.model.archive.restores import RestorePlan, RestoreReport
from replicator.model.archive.snapshots import Manifest, VerifyReport
from replicator.model.forms.figures import show_bytes, show_count, show_moment, show_seconds


def show_view(manifest: Manifest, signed_by: str | None, beside: Mapping[str, int | None]) -> RenderableType:
    """One snapshot: its head, its topics, its gaps, how much of what is in it beside records, and what is not."""
    consistency = manifest.consistency
    head = [
        ("snapshot", manifest.id),
        ("taken", f"{show_moment(consistency.cut_at)}, offsets read within {consistency.cut_skew_ms} ms"),
        ("cluster", f"{manifest.cluster.name} ({manifest.cluster.id})"),
        ("flow", manifest.flow),
        ("built upon", manifest.parent),
        ("consistency", f"{consistency.level}, transactions {consistency.transactions}".replace("_", " ")),
        ("records", show_count(manifest.totals.records)),
        ("size", f"{show_bytes(manifest.totals.bytes)}, {show_bytes(manifest.totals.new_bytes)} of it new"),
        ("tags", manifest.tags),
        ("signed by", signed_by),
        ("encrypted", None if manifest.encryption is None else f"under key {manifest.encryption}"),
        ("beside records", [f"{kind}: {'damaged' if n is None else show_count(n)}" for kind, n in beside.items()]),
    ]
    topics = make_table("TOPIC", "PARTITIONS", "RECORDS", "SIZE", "COMPACTED", "GAPS", numbers=_NUMBERS)
    for topic in manifest.topics:
        cells = (
            topic.name,
            len(topic.partitions),
            show_count(topic.records),
            show_bytes(topic.plain_bytes),
            topic.is_compacted,
            topic.gap_count,
        )
        topics.add_row(*map(text_of, cells))
    rows = [
        (f"{topic.name}[{partition.partition}]", gap.start, gap.stop, gap.reason)
        for topic in manifest.topics
        for partition in topic.partitions
        for gap in partition.gaps
    ]
    missing = [(topic.name, None, None, topic.reason) for topic in manifest.missing]
    return Group(_facts(head), *_promises(manifest), topics, *_lost([*rows, *missing]), _left_out(manifest))


def _promises(manifest: Manifest) -> Iterable[RenderableType]:
    """What the cut promises, each with what shows it; nothing of a manifest that is older than that."""
    if not manifest.consistency.evidence:
        return
    table = make_table("CONSISTENCY", "HELD", "EVIDENCE")
    for one in manifest.consistency.evidence:
        table.add_row(*map(text_of, (one.level.replace("_", " "), one.is_held, one.evidence)))
    yield table


def _left_out(manifest: Manifest) -> RenderableType:
    table = make_table("NOT CAPTURED", "REASON")
    for one in manifest.not_captured:
        table.add_row(*map(text_of, (one.what, one.reason)))
    return table


def _lost(rows: list[tuple[object, ...]]) -> Iterable[RenderableType]:
    if not rows:
        return
    table = make_table("MISSING", "FROM", "TO", "REASON", numbers=("FROM", "TO"))
    for row in rows:
        table.add_row(*map(text_of, row))
    yield table


def verify_view(
    report: VerifyReport, *, is_each_told: bool = False, drill: SnapshotDrill | None = None
) -> RenderableType:
    """A verification: its outcome in words, then everything that was wrong, and each chunk where that was asked."""
    speed = f", {show_bytes(report.checked_bytes / report.seconds)}/s" if report.seconds else ""
    head = [
        ("snapshot", report.snapshot),
        ("verdict", "as its manifest says" if report.is_ok else f"{len(report.findings)} findings"),
        ("level", f"{int(report.level)} ({report.level.name.lower()})"),
        ("chunks", f"{show_count(report.chunks_ok)} of {show_count(report.chunks)} in order"),
        ("sample", None if report.sample_percent is None else f"{report.sample_percent:g} % of the chunks"),
        ("shredded", report.shredded_topics or None),
        ("read", f"{show_bytes(report.checked_bytes)} in {show_seconds(report.seconds)}{speed}"),
        ("signed by", report.signed_by),
    ]
    chunks = [_checks(report)] if is_each_told else []
    if drill is not None:
        same = sum(one.is_same for one in drill.partitions)
        told = f"{same} of {len(drill.partitions)} partitions came back, {show_count(drill.records)} records"
        head += [("drill", told), ("restored in", show_seconds(drill.restore_seconds))]
    if report.is_ok:
        return Group(_facts(head), *chunks)
    table = make_table("STATUS", "WHAT", "WHERE", "PROBLEM")
    for finding in report.findings:
        table.add_row(*map(text_of, (finding.status, finding.what, finding.where, finding.problem)))
    return Group(_facts(head), table, *chunks)


def _checks(report: VerifyReport) -> RenderableType:
    table = make_table("STATUS", "PARTITION", "FROM", "TO", "PACK", numbers=("FROM", "TO"))
    for check in report.checks:
        cells = (check.status, f"{check.topic}[{check.partition}]", check.start, check.stop, check.pack[:12])
        table.add_row(*map(text_of, cells))
    return table


def plan_view(plan: RestorePlan) -> RenderableType:
    """A restore's plan: one line a topic, and why one of them may not be touched."""
    table = make_table(
        "TOPIC", "AS", "ACTION", "PARTITIONS", "RECORDS", "SIZE", "REBUILT BATCHES", "REFUSED", numbers=_NUMBERS
    )
    for topic in plan.topics:
        rebuilt = f"{show_count(topic.rebuilt_batches)} of {show_count(topic.batches)}"
        cells = (
            topic.source,
            topic.target,
            topic.action,
            topic.partitions,
            show_count(topic.records),
            show_bytes(topic.bytes),
            rebuilt,
            topic.refusal,
        )
        table.add_row(*map(text_of, cells))
    head = [("snapshot", plan.snapshot), ("to cluster", plan.cluster), ("offsets", plan.offsets)]
    return Group(_facts(head), table, *_stops(plan), *_drift(plan), *_access(plan), *_efforts(plan), *_places(plan))


def _drift(plan: RestorePlan) -> Iterable[RenderableType]:
    """Settings in which topics that are there differ; nothing where none does."""
    rows = [(topic.target, one.key, one.there, one.captured) for topic in plan.topics for one in topic.drift]
    if not rows:
        return
    table = make_table("SETTINGS OF", "KEY", "THERE", "CAPTURED")
    for row in rows:
        table.add_row(*map(text_of, row))
    yield table


def _access(plan: RestorePlan) -> Iterable[RenderableType]:
    """Access rules that only one side has; nothing where both have the same, or none was captured."""
    access = plan.access
    if access is None or not (access.missing or access.extra or access.unknown):
        return
    table = make_table("ACCESS RULES", "PRINCIPAL", "HOST", "PERMISSION", "RIGHT", "ON", "NAME")
    if access.unknown is not None:
        table.add_row(*map(text_of, ("not known", access.unknown, None, None, None, None, None)))
    for told, rules in (("missing", access.missing), ("there alone", access.extra)):
        for rule in rules:
            on = f"{rule.resource_type} {rule.pattern}"
            cells = (told, rule.principal, rule.host, rule.permission, rule.right, on, rule.name)
            table.add_row(*map(text_of, cells))
    yield table


def _stops(plan: RestorePlan) -> Iterable[RenderableType]:
    """Partitions that do not go to their end; nothing where all do."""
    rows = [(topic.source, n, stop) for topic in plan.topics for n, stop in topic.stops.items()]
    if not rows:
        return
    table = make_table("IN PART", "PARTITION", "STOPS BEFORE OFFSET", numbers=("PARTITION", "STOPS BEFORE OFFSET"))
    for name, number, stop in rows:
        table.add_row(*map(text_of, (name, number, "left out" if stop < 0 else stop)))
    yield table


def _efforts(plan: RestorePlan) -> Iterable[RenderableType]:
    """What exact offsets take, topic by topic; nothing where they are not asked for."""
    found = [(topic.target, topic.exact) for topic in plan.topics if topic.exact is not None]
    if not found:
        return
    table = make_table("EXACT OFFSETS OF", "HOLES", "OFFSETS IN THEM", "BELOW LOG START", "ABOUT", numbers=_NUMBERS)
    for name, effort in found:
        counts = map(show_count, (effort.holes, effort.hole_offsets, effort.burned_offsets))
        table.add_row(*map(text_of, (name, *counts, show_seconds(effort.seconds))))
    yield table


def _places(plan: RestorePlan) -> Iterable[RenderableType]:
    if not plan.groups:
        return
    table = make_table("GROUP", "TOPIC", "PARTITION", "NEXT OFFSET", "REFUSED", numbers=("PARTITION", "NEXT OFFSET"))
    for group in plan.groups:
        for topic, offsets in group.offsets.items():
            for partition, offset in offsets.items():
                table.add_row(*map(text_of, (group.group, topic, partition, offset, group.refusal)))
    yield table


def restore_view(report: RestoreReport) -> RenderableType:
    """A restore's outcome: one line a topic."""
    table = make_table("TOPIC", "AS", "ACTION", "RECORDS", "WERE THERE", "REBUILT BATCHES", numbers=_NUMBERS)
    for topic in report.topics:
        counts = (topic.records, topic.found_records, topic.rebuilt_batches)
        table.add_row(*map(text_of, (topic.source, topic.target, topic.action, *map(show_count, counts))))
    written = f"{show_count(report.written_records)} records, {show_bytes(report.written_bytes)}"
    head = [
        ("snapshot", report.snapshot),
        ("to cluster", report.cluster),
        ("written", f"{written} in {show_seconds(report.seconds)}"),
        ("offsets", report.offsets),
        ("offsets filled", show_count(report.filled_offsets) if report.filled_offsets else None),
        ("groups set", report.groups or None),
        ("rules made", show_count(report.granted_rules) if report.granted_rules else None),
    ]
    return Group(_facts(head), table)


_NUMBERS = (
    "PARTITIONS", "RECORDS", "SIZE", "GAPS", "WERE THERE", "REBUILT BATCHES", "HOLES", "OFFSETS IN THEM",
    "BELOW LOG START", "ABOUT",
)  # fmt: skip


def _facts(rows: Iterable[tuple[str, object]]) -> RenderableType:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in rows:
        table.add_row(text_of(name, style="dim"), text_of(value))
    return table
