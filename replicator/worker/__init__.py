"""Where Connect workers run: in a container, as a local JVM, or elsewhere behind a URL.

Owns the worker's properties and its life: start, readiness, stop. Never creates a connector and
never reads one: that is `connect/` and `flow/`. Never pulls an image.
"""

from replicator.worker.choose import WorkerOrder, container_plan, make_worker
from replicator.worker.container import DEFAULT_IMAGE, ContainerEnd, ContainerPlan, ContainerState
from replicator.worker.docker import DockerWorker
from replicator.worker.external import ExternalWorker
from replicator.worker.process import ProcessWorker
from replicator.worker.runtime import RestLogin, WorkerRuntime, is_worker_ready
from replicator.worker.template import WorkerSpec, worker_properties

__all__ = [
    "DEFAULT_IMAGE",
    "ContainerEnd",
    "ContainerPlan",
    "ContainerState",
    "DockerWorker",
    "ExternalWorker",
    "ProcessWorker",
    "RestLogin",
    "WorkerOrder",
    "WorkerRuntime",
    "WorkerSpec",
    "container_plan",
    "is_worker_ready",
    "make_worker",
    "worker_properties",
]
