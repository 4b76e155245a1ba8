"""From the settings to the worker of ours that runs a Connect: what it is, and the secrets it is given as files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from replicator.connect import secret_text
from replicator.model.cluster import ClusterAccess
from replicator.settings import Settings
from replicator.worker import RestLogin, WorkerOrder, WorkerRuntime, make_worker


def worker_of(settings: Settings, cluster: str) -> WorkerRuntime:
    """Return the worker beside a cluster, wherever it runs; nothing is touched.

    Raises:
        NotFound: no Connect is configured there. ConfigInvalid: a secret cannot be had, or it cannot be ours.
    """
    return make_worker(settings.connect_of(cluster).runtime.value, worker_order(settings, cluster))


def worker_order(settings: Settings, cluster: str) -> WorkerOrder:
    """Return the worker that the settings ask for, its secrets fetched now.

    It logs in as MM2 does; its connectors' secrets are `CLUSTER.properties` for every cluster its flows meet.

    Raises: as `worker_of`.
    """
    access = settings.connect_of(cluster)
    ways = [settings.mirror_access(name) for name in met_clusters(settings, cluster)]
    secrets = {f"{way.name}.properties": text for way in ways if (text := secret_text(way))}
    return WorkerOrder(
        url=access.url,
        cluster=settings.mirror_access(cluster),
        group_id=access.group_id,
        folder=Path(access.folder),
        topics={
            "configs": access.configs_topic,
            "offsets": access.offsets_topic,
            "status": access.status_topic,
        },
        replication_factor=access.replication_factor,
        heap_mib=access.heap_mib,
        image=access.image,
        secrets=secrets,
        files=tuple(certificate_files(ways)),
        login=RestLogin(username=access.username, password=access.password, ca_file=access.ca_file),
    )


def met_clusters(settings: Settings, cluster: str) -> tuple[str, ...]:
    """Return the cluster and all that flows from or to it meet: a failback runs here, too, the other way."""
    flows = [flow for flow in settings.flows if cluster in (flow.source, flow.target)]
    return tuple(dict.fromkeys((cluster, *(name for flow in flows for name in (flow.source, flow.target)))))


def certificate_files(ways: Iterable[ClusterAccess]) -> list[Path]:
    """Return the certificates a worker must be able to read where they are, each once."""
    found = (way.security.ca_file for way in ways)
    return [Path(path) for path in dict.fromkeys(path for path in found if path is not None)]
