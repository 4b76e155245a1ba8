"""A configuration file for the lab, ready for every other command."""

from __future__ import annotations

import json
from typing import Any

from replicator.lab.plan import ClusterPlan
from replicator.model.cluster import ClusterAccess, Security, SecurityProtocol

_HEAD = """\
# Written by `replicator lab up`, which writes it anew each time; copy it before you change it.
# (JSON is YAML too.) Try it: replicator -c THIS_FILE config validate
"""


def render_config(accesses: list[ClusterAccess], clusters: list[ClusterPlan], *, group_ids: dict[str, str]) -> str:
    """Return the text of a `replicator.yaml` that reaches the lab's clusters and workers; it has no flows yet."""
    document: dict[str, Any] = {
        "apiVersion": "replicator/v1",
        "clusters": {
            str(access.name): {
                "bootstrap": access.bootstrap,
                "cluster_id": access.cluster_id,
                "security": _security(access.security),
            }
            for access in accesses
        },
        "connect": {
            cluster.name: {
                "runtime": "external",
                "url": cluster.connect_url,
                "group_id": group_ids[cluster.name],
            }
            for cluster in clusters
        },
        "flows": {},
    }
    return _HEAD + json.dumps(document, indent=2) + "\n"


def _security(security: Security) -> dict[str, Any]:
    if security.protocol is SecurityProtocol.PLAINTEXT:
        return {"protocol": "PLAINTEXT", "insecure": True}
    found = {
        "protocol": security.protocol.value,
        "mechanism": security.mechanism,
        "username": security.username,
        "password": security.password.reference if security.password else None,
        "ca_file": security.ca_file,
    }
    return {key: value for key, value in found.items() if value is not None}
