"""Writes the stage's worker properties from the project's own template: `python -m compose.workers`."""

from __future__ import annotations

from pathlib import Path

from replicator.jvm import render_properties
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName
from replicator.worker import WorkerSpec, worker_properties

FOLDER = Path(__file__).parent / "config"
CLUSTERS = ("east", "west")

_HEAD = "# Written by `python -m compose.workers` from replicator/worker/template.py; a test keeps the two the same.\n"


def properties_text(cluster: str) -> str:
    """Return the properties of the worker beside a cluster of the stage."""
    spec = WorkerSpec(
        cluster=ClusterAccess(name=ClusterName(cluster), bootstrap=f"{cluster}:9092"),
        group_id=f"__replicator.connect.{cluster}",
        rest_host=f"connect-{cluster}",
        rest_port=8083,
    )
    return _HEAD + render_properties(worker_properties(spec))


def properties_file(cluster: str) -> Path:
    """Return where they stand."""
    return FOLDER / f"connect-{cluster}.properties"


if __name__ == "__main__":
    for name in CLUSTERS:
        properties_file(name).write_text(properties_text(name), encoding="utf-8")
