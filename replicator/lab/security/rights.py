"""What each principal of a secured lab may do: the least its part needs, on both clusters.

Both clusters grant both directions, since a failback turns the flow around. A lab does not know its
topics in advance, so rights on data topics are on all of them; in earnest they are on the flow's.
Source: Kafka's authorizer table of operations by API, and MirrorMaker 2's calls.
"""

from __future__ import annotations

from collections.abc import Iterable

from replicator.model.acls import CLUSTER_RESOURCE_NAME, AclBinding, PatternType, ResourceType, Right

OWN_PREFIX = "__replicator."
"""Begins every topic, group and transactional id that is ours."""

_TOPIC, _GROUP = ResourceType.TOPIC, ResourceType.GROUP
_CLUSTER, _TRANSACTION = ResourceType.CLUSTER, ResourceType.TRANSACTIONAL_ID


def lab_rights(*, connect_group: str) -> tuple[AclBinding, ...]:
    """Return every rule of one cluster; `connect_group` is the `group.id` of the worker beside it."""
    return (*app_rights(), *mm2_rights(connect_group=connect_group), *replicator_rights())


def app_rights() -> tuple[AclBinding, ...]:
    """An application team's: it owns its topics, its groups and its transactions."""
    owns = (Right.READ, Right.WRITE, Right.CREATE, Right.DELETE, Right.ALTER, Right.ALTER_CONFIGS)
    return (
        *_allow("app", _TOPIC, "*", owns),
        *_allow("app", _GROUP, "*", (Right.READ, Right.DELETE)),
        *_allow("app", _TRANSACTION, "*", (Right.WRITE,)),
    )


def mm2_rights(*, connect_group: str) -> tuple[AclBinding, ...]:
    """MirrorMaker 2's and its worker's: read and write data, keep positions, see groups; no right on the cluster."""
    copies = (Right.READ, Right.WRITE, Right.CREATE, Right.ALTER, Right.DESCRIBE_CONFIGS, Right.ALTER_CONFIGS)
    return (
        *_allow("mm2", _TOPIC, "*", copies),
        *_allow("mm2", _GROUP, connect_group, (Right.READ,), pattern=PatternType.LITERAL),
        *_allow("mm2", _GROUP, "*", (Right.DESCRIBE,)),
        *_allow("mm2", _TRANSACTION, f"connect-cluster-{connect_group}", (Right.WRITE,), pattern=PatternType.LITERAL),
        *_allow("mm2", _TRANSACTION, f"{connect_group}-", (Right.WRITE,), pattern=PatternType.PREFIXED),
    )


def replicator_rights() -> tuple[AclBinding, ...]:
    """The supervisor's, with what its operations add: prepare and configure remote topics, write heartbeats
    and restored records, commit for groups, fence. ALTER on the cluster is what fencing by rule costs."""
    everyday = (Right.READ, Right.DESCRIBE_CONFIGS)
    operation = (Right.WRITE, Right.CREATE, Right.ALTER, Right.ALTER_CONFIGS)
    return (
        *_allow("replicator", _CLUSTER, CLUSTER_RESOURCE_NAME, (Right.DESCRIBE, Right.ALTER)),
        *_allow("replicator", _TOPIC, "*", (*everyday, *operation)),
        *_allow("replicator", _TOPIC, OWN_PREFIX, (Right.DELETE,), pattern=PatternType.PREFIXED),
        # DELETE: an abort leaves no group where none was before; a drill leaves none at all.
        *_allow("replicator", _GROUP, "*", (Right.READ, Right.DELETE)),
        *_allow("replicator", _TRANSACTION, "replicator.", (Right.WRITE,), pattern=PatternType.PREFIXED),
        *_allow("replicator", _TRANSACTION, f"{OWN_PREFIX}connect.", (Right.WRITE,), pattern=PatternType.PREFIXED),
    )


def _allow(
    user: str,
    resource_type: ResourceType,
    name: str,
    rights: Iterable[Right],
    *,
    pattern: PatternType = PatternType.LITERAL,
) -> tuple[AclBinding, ...]:
    return tuple(
        AclBinding(principal=f"User:{user}", resource_type=resource_type, name=name, pattern=pattern, right=right)
        for right in rights
    )
