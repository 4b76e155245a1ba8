"""A configuration file for the lab, ready for every other command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from replicator.lab.plan import ClusterPlan
from replicator.model.cluster import ClusterAccess, Security, SecurityProtocol

_HEAD = """\
# Written by `replicator lab up`, anew each time: copy it before you change it.
# Try it: replicator -c THIS_FILE config validate
"""

_FLOW = """\
flows:
  shop:
    source: east
    target: west
    topics:
      include: ["shop.*"]
    groups:
      include: ["shop.*"]
"""

_NO_FLOW = f"""\
# A flow carries topics one way. For a first one, replace the line below by these:
{"".join(f"# {line}" for line in _FLOW.splitlines(keepends=True))}flows: {{}}
"""

_Tree = Mapping[str, "str | bool | _Tree"]


@dataclass(frozen=True, slots=True)
class FirstFlow:
    """What a configuration with a flow also says: where snapshots go, and where the supervisor listens."""

    store: str
    listen: str


def render_config(
    accesses: Sequence[ClusterAccess],
    clusters: Sequence[ClusterPlan],
    *,
    group_id: Callable[[str], str],
    mirrors: Mapping[str, ClusterAccess] | None = None,
    secrets_folder: str | None = None,
    first_flow: FirstFlow | None = None,
) -> str:
    """Return the text of a `replicator.yaml` that reaches the lab's clusters and workers.

    With `first_flow` it has a flow, shop, and all that a supervisor and snapshots want; else no flow yet.

    `mirrors` are MM2's ways to the clusters where it logs in as somebody else; its passwords are in `secrets_folder`.
    """
    secrets = {} if secrets_folder is None else {"secrets_folder": secrets_folder}
    tree: _Tree = {
        "apiVersion": "replicator/v1",
        "clusters": {str(access.name): _cluster(access, (mirrors or {}).get(access.name)) for access in accesses},
        "connect": {
            cluster.name: {
                "runtime": "external",
                "url": cluster.connect_url,
                "group_id": group_id(cluster.name),
                **secrets,
            }
            for cluster in clusters
        },
    }
    if first_flow is not None:
        tree = {**tree, "snapshots": {"store": first_flow.store}, "supervisor": {"listen": first_flow.listen}}
    end = _NO_FLOW if first_flow is None else _FLOW
    return _HEAD + "".join(f"{line}\n" for line in _lines(tree, indent="")) + end


def _lines(tree: _Tree, *, indent: str) -> Iterator[str]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _lines(value, indent=indent + "  ")
        else:
            yield f"{indent}{key}: {json.dumps(value)}"  # a JSON scalar is a YAML scalar, whatever it holds


def _cluster(access: ClusterAccess, mirror: ClusterAccess | None) -> _Tree:
    identity = {} if access.cluster_id is None else {"cluster_id": access.cluster_id}
    found: _Tree = {"bootstrap": access.bootstrap, **identity, "security": _security(access.security)}
    return found if mirror is None else {**found, "mirror": _security(mirror.security)}


def _security(security: Security) -> _Tree:
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
