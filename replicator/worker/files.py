"""The files a worker reads at its start."""

from __future__ import annotations

from pathlib import Path

from replicator.jvm import log4j_properties, render_properties, write_private
from replicator.worker.template import WorkerSpec, worker_properties

PROPERTIES_FILE = "worker.properties"
LOG4J_FILE = "log4j2.properties"


def write_worker_files(folder: Path, spec: WorkerSpec) -> None:
    """Leave the worker's properties, its way of logging and the secrets of its connectors on disk, for us alone."""
    folder.mkdir(parents=True, exist_ok=True)
    write_private(folder / PROPERTIES_FILE, render_properties(worker_properties(spec)))
    (folder / LOG4J_FILE).write_text(log4j_properties(), encoding="utf-8")
    if spec.secrets_folder is not None:
        spec.secrets_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in spec.secrets.items():
            write_private(spec.secrets_folder / name, text)
