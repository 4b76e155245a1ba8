"""Turning what the commands answered and what west holds into promises kept or broken."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import Any

from replicator.cli.demo.ledger import DataVerdict, GroupTrace, Ledger, judge_data, judge_group
from replicator.cli.demo.report import DemoReport, GroupLine
from replicator.cli.demo.traffic import read_all, read_numbers
from replicator.clock import Deadline
from replicator.kafka import KafkaCluster, Record
from replicator.model.forms.figures import show_count, show_seconds
from replicator.model.names import GroupName, TopicName, TopicPartition

Found = dict[TopicName, set[int]]
WINDOW_PERIODS = 2


def add_demo_flow(
    text: str, name: str, flow: Mapping[str, Any], *, store: str, supervisor: Mapping[str, Any] | None = None
) -> str:
    """Return the lab's configuration with the demo's flow as its only one, a snapshot store and the supervisor's."""
    from ruamel.yaml import YAML

    yaml = YAML()
    document = yaml.load(text)
    document["flows"] = {name: dict(flow)}
    document["snapshots"] = {"store": store}
    if supervisor:
        document["supervisor"] = dict(supervisor)
    out = io.StringIO()
    yaml.dump(document, out)
    return out.getvalue()


def describe_snapshot(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return size and speed of a snapshot as its creation told them."""
    return {
        "id": told["id"],
        "records": told["records"],
        "bytes": told["bytes"],
        "stored_bytes": told["stored_bytes"],
        "seconds": told["seconds"],
        "megabytes_per_second": round(told["bytes"] / 1e6 / told["seconds"], 1),
    }


def state_of(envelope: Mapping[str, Any], flow: str) -> str | None:
    """Return the state `status` tells of a flow."""
    items = envelope.get("items") or envelope["item"]["flows"]
    return next((str(item["state"]) for item in items if item.get("flow", item.get("name")) == flow), None)


def note_failover(report: DemoReport, verdict: Mapping[str, Any]) -> None:
    """Take over what the failover says of itself."""
    report.rto_seconds = float(verdict["rto_seconds"])
    report.verdicts = [
        {"objective": entry["objective"], "held": entry["is_held"], "evidence": entry["evidence"]}
        for entry in verdict["verdicts"]
    ]


def read_cluster(cluster: KafkaCluster, topics: Iterable[TopicName], deadline: Deadline) -> Found:
    """Return the ledger numbers of every visible record on a cluster, by topic."""
    found: Found = {}
    for topic in topics:
        by_partition = read_numbers(cluster, topic, deadline)
        found[topic] = {number for numbers in by_partition.values() for number in numbers}
    return found


def unread(trace: GroupTrace, found: Found) -> set[tuple[TopicName, int]]:
    """Return what a group was not handed before the outage and must be handed now."""
    everything = {(topic, number) for topic in trace.topics for number in found[topic]}
    return everything - trace.before.keys()


def read_topic(cluster: KafkaCluster, topic: TopicName, deadline: Deadline) -> list[Record]:
    """Return every visible record of a topic, partition by partition, in order."""
    described = cluster.topics.describe([topic], deadline)[topic]
    return [r for p in described.partitions for r in read_all(cluster, TopicPartition(topic, p.partition), deadline)]


def contents(records: Iterable[Record]) -> list[tuple[Any, ...]]:
    """Return all of each record but its offset, in order."""
    return [(r.partition.partition, r.timestamp_ms, r.key, r.value, r.headers) for r in records]


def observed_positions(verdict: Mapping[str, Any]) -> dict[str, dict[TopicPartition, int]]:
    """Return, by group, the source positions the failover knew of."""
    return {
        group["group"]: {
            TopicPartition(TopicName(t["partition"]["topic"]), t["partition"]["partition"]): t["source_offset"]
            for t in group["translations"]
        }
        for group in verdict["groups"]
    }


def judge(
    report: DemoReport,
    ledger: Ledger,
    traces: Mapping[GroupName, GroupTrace],
    found: Found,
    verdict: Mapping[str, Any],
    *,
    period: float,
    killed_at: float,
) -> None:
    """Enter the promises about data, loss and groups. `killed_at` is when the source was killed, `monotonic`."""
    _judge_groups(report, traces, found, verdict)
    _judge_loss(report, judge_data(ledger, found), verdict["loss"], period=period, killed_at=killed_at)


def _judge_groups(
    report: DemoReport, traces: Mapping[GroupName, GroupTrace], found: Found, verdict: Mapping[str, Any]
) -> None:
    observed = observed_positions(verdict)
    told = {group["group"]: group for group in verdict["groups"]}
    for name, trace in traces.items():
        cost = judge_group(trace, found, observed.get(name, {}))
        report.groups.append(
            GroupLine(
                group=name,
                grade=told[name]["grade"] if name in told else "UNAVAILABLE",
                skipped=cost.skipped,
                reread=cost.reread,
                predicted_reread_max=told[name]["reread_records_max"] if name in told else None,
                commits_after_last_observation=cost.commits_after_last_observation,
            )
        )
    skipped = sum(line.skipped for line in report.groups)
    report.promise("No skip", f"{skipped} records skipped by {len(traces)} groups", is_kept=skipped == 0)
    over = [line.group for line in report.groups if not _is_within_bound(line)]
    told_text = ", ".join(
        f"{line.group} {line.reread} of at most {line.predicted_reread_max}" for line in report.groups
    )
    report.promise("Re-reads are counted and bounded", told_text, is_kept=not over)


def _is_within_bound(line: GroupLine) -> bool:
    return line.predicted_reread_max is not None and line.reread <= line.predicted_reread_max


def _judge_loss(
    report: DemoReport, data: DataVerdict, loss: Mapping[str, Any], *, period: float, killed_at: float
) -> None:
    known, possible, window = loss["known_lost"], loss["possible_lost_max"], loss["unknown_window_seconds"]
    report.loss = {
        "true_records": data.true_lost,
        "known_lost": known,
        "possible_lost_max": possible,
        "unknown_window_seconds": window,
        "lost_seconds_max": loss["lost_seconds_max"],
    }
    is_honest = known <= data.true_lost and possible is not None and data.true_lost <= possible
    counts = [show_count(count) for count in (known, data.true_lost, possible)]
    report.promise("Honest loss", "known {} ≤ true {} ≤ possible {}".format(*counts), is_kept=is_honest)
    seconds, told = max(0.0, killed_at - (data.oldest_lost_at or killed_at)), loss["lost_seconds_max"]
    report.promise(
        "Honest about its age",
        f"the oldest lost was written {show_seconds(seconds)} before the kill, told: {show_seconds(told)} at most",
        is_kept=told is None or seconds <= told,
    )
    limit = WINDOW_PERIODS * period
    report.promise(
        "The window nobody read is short",
        f"{show_seconds(window)} of at most {show_seconds(limit)} ({WINDOW_PERIODS} observation periods)",
        is_kept=window is not None and window <= limit,
    )
    report.promise("No ghosts", f"{data.ghosts} records on west that nobody produced", is_kept=data.ghosts == 0)
    report.promise("Aborted bookings stay aborted", f"{data.aborted_seen} seen", is_kept=data.aborted_seen == 0)
