"""Rights as Kafka's authorizer knows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

CLUSTER_RESOURCE_NAME = "kafka-cluster"
"""The one name a resource of type CLUSTER has."""
EVERYBODY = "User:*"
"""The principal that is each of them."""


class ResourceType(StrEnum):
    """What a right is on."""

    TOPIC = "topic"
    GROUP = "group"
    CLUSTER = "cluster"
    TRANSACTIONAL_ID = "transactional_id"


class PatternType(StrEnum):
    """Whether a resource's name is meant whole (`*` alone means all) or as a prefix."""

    LITERAL = "literal"
    PREFIXED = "prefixed"


class Right(StrEnum):
    """An operation. READ, WRITE, DELETE and ALTER imply DESCRIBE; ALTER_CONFIGS implies DESCRIBE_CONFIGS."""

    ALL = "all"
    READ = "read"
    WRITE = "write"
    CREATE = "create"
    DELETE = "delete"
    ALTER = "alter"
    DESCRIBE = "describe"
    CLUSTER_ACTION = "cluster_action"
    DESCRIBE_CONFIGS = "describe_configs"
    ALTER_CONFIGS = "alter_configs"
    IDEMPOTENT_WRITE = "idempotent_write"


class Permission(StrEnum):
    """DENY beats ALLOW, whatever their patterns."""

    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AclBinding:
    """One rule. `principal` as `User:name`, `host` an address or `*`."""

    principal: str
    resource_type: ResourceType
    name: str
    pattern: PatternType
    right: Right
    permission: Permission = Permission.ALLOW
    host: str = "*"


def is_covered(rule: AclBinding, wider: Iterable[AclBinding]) -> bool:
    """Whether one of the others, of the same permission, says all that the rule says."""
    return any(_covers(other, rule) for other in wider)


def _covers(wide: AclBinding, narrow: AclBinding) -> bool:
    if wide.resource_type is not narrow.resource_type or wide.permission is not narrow.permission:
        return False
    if wide.principal not in (narrow.principal, EVERYBODY) or wide.host not in (narrow.host, "*"):
        return False
    return wide.right in (narrow.right, Right.ALL) and _reaches(wide, narrow)


def _reaches(wide: AclBinding, narrow: AclBinding) -> bool:
    """Whether every name of the one is a name of the other."""
    if wide.pattern is PatternType.PREFIXED:
        return narrow.name.startswith(wide.name) and narrow.name != "*"
    return wide.name == "*" or (wide.name == narrow.name and narrow.pattern is PatternType.LITERAL)
