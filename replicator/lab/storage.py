"""Formats the brokers' storage: Kafka's own tool once per lab, then copies for every node.

The bootstrap snapshot that the tool writes holds feature levels and SCRAM credentials, nothing of
a node or a cluster; those stand in `meta.properties`. So one JVM run serves every node of a lab.
Source: org.apache.kafka.metadata.bootstrap.BootstrapDirectory, MetaProperties version 1.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from replicator.clock import Deadline
from replicator.jvm import (
    Guardian,
    JvmCommand,
    JvmProfile,
    kafka_classpath,
    log4j_properties,
    render_properties,
    run_to_end,
    write_private,
)
from replicator.lab.broker import broker_properties
from replicator.lab.plan import LabFolders, LabPlan, make_uuid

_MAIN_CLASS = "kafka.tools.StorageTool"
_SNAPSHOT = "bootstrap.checkpoint"
_FORMAT_SECONDS = 60.0


def format_storage(
    plan: LabPlan, folders: LabFolders, *, scram: Sequence[str], guardian: Guardian, rng: random.Random
) -> set[str]:
    """Leave every node of the plan with formatted storage; nodes that have it keep it. Return the
    clusters that are new.

    `scram` are the tool's `--add-scram` values.

    Raises: LabFailed when Kafka's tool refuses.
    """
    wanted = [(c, n) for c in plan.clusters for n in c.nodes if not _is_formatted(folders.node(c.name, n.node_id))]
    if not wanted:
        return set()
    scratch = folders.root / "format"
    snapshot = _make_snapshot(plan, scratch, scram=scram, guardian=guardian)
    for cluster, node in wanted:
        data = data_folder(folders.node(cluster.name, node.node_id))
        data.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(snapshot, data / _SNAPSHOT)
        (data / _SNAPSHOT).chmod(0o600)
        write_private(data / "meta.properties", render_properties(_meta(cluster.cluster_id, node.node_id, rng=rng)))
    shutil.rmtree(scratch)
    return {cluster.name for cluster, _ in wanted}


def data_folder(node_folder: Path) -> Path:
    """Return where the node keeps its logs."""
    return node_folder / "data"


def _is_formatted(node_folder: Path) -> bool:
    return (data_folder(node_folder) / "meta.properties").exists()


def _meta(cluster_id: str, node_id: int, *, rng: random.Random) -> Mapping[str, str]:
    return {"version": "1", "cluster.id": cluster_id, "node.id": str(node_id), "directory.id": make_uuid(rng=rng)}


def _make_snapshot(plan: LabPlan, scratch: Path, *, scram: Sequence[str], guardian: Guardian) -> Path:
    cluster = plan.clusters[0]
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True, mode=0o700)
    properties = broker_properties(cluster, cluster.nodes[0], data_folder=scratch / "data", security={})
    write_private(scratch / "server.properties", render_properties(properties))
    (scratch / "log4j2.properties").write_text(log4j_properties("WARN"), encoding="utf-8")
    arguments = ["format", "-t", cluster.cluster_id, "-c", str(scratch / "server.properties")]
    for value in scram:
        arguments += ["--add-scram", value]
    command = JvmCommand(
        name="kafka-storage",
        main_class=_MAIN_CLASS,
        arguments=tuple(arguments),
        flags=JvmProfile(heap_mib=128, is_quick=True).flags(log4j_file=scratch / "log4j2.properties"),
        classpath=kafka_classpath(),
        log_file=scratch / "format.log",
        arguments_file=scratch / "arguments" if scram else None,
    )
    run_to_end(command, Deadline.after(_FORMAT_SECONDS), guardian=guardian)
    return scratch / "data" / _SNAPSHOT
