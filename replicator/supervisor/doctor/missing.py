"""Which rights a flow lacks now, by name, each with the command that grants it."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.clock import Deadline
from replicator.errors import ReplicatorError
from replicator.failover import MissingRight
from replicator.kafka import KafkaCluster
from replicator.model.flow import Flow
from replicator.model.names import ClusterName
from replicator.settings import Settings
from replicator.supervisor.doctor.facts import ClusterProbe
from replicator.supervisor.doctor.findings import Severity
from replicator.supervisor.doctor.grants import rights_findings
from replicator.supervisor.doctor.rights import rights_of_settings


def find_missing_rights(
    settings: Settings, flow: Flow, clusters: Mapping[ClusterName, KafkaCluster], deadline: Deadline
) -> tuple[MissingRight, ...] | None:
    """Return what supervisor and MirrorMaker lack for the flow on these clusters; None where none lists its rules.

    Raises:
        NotFound: no such flow. ConfigInvalid: a part of it is not configured.
    """
    probes = [_probe(name, cluster, deadline) for name, cluster in clusters.items()]
    if all(probe.rules is None for probe in probes):
        return None
    found = rights_findings(rights_of_settings(settings, flow=flow.name), probes)
    return tuple(
        MissingRight(f"{one.subject}: {one.what}", one.fix) for one in found if one.severity is Severity.BLOCKED
    )


def _probe(name: ClusterName, cluster: KafkaCluster, deadline: Deadline) -> ClusterProbe:
    """Return what is needed of a cluster to compare its rules; no rules where it has none, or does not tell."""
    try:
        has_authorizer = cluster.acls.has_authorizer(deadline)
        rules = cluster.acls.list(deadline) if has_authorizer else None
    except ReplicatorError:
        has_authorizer, rules = None, None
    return ClusterProbe(
        name=name,
        protocol=cluster.access.security.protocol,
        configured_id=cluster.access.cluster_id,
        has_authorizer=has_authorizer,
        rules=rules,
    )
