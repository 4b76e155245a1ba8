"""Where Connect workers run: as a local JVM, or elsewhere behind a URL; Docker has its place here.

Owns the worker's properties and its life: start, readiness, stop. Never creates a connector and
never reads one: that is `connect/` and `flow/`.
"""

from replicator.worker.external import ExternalWorker
from replicator.worker.process import ProcessWorker
from replicator.worker.runtime import WorkerRuntime, is_worker_ready
from replicator.worker.template import WorkerSpec, worker_properties

__all__ = [
    "ExternalWorker",
    "ProcessWorker",
    "WorkerRuntime",
    "WorkerSpec",
    "is_worker_ready",
    "worker_properties",
]
