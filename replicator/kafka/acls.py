"""Rules of the authorizer: list, create, delete. What they should be is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import KafkaError
from confluent_kafka.admin import (
    AclBinding as VendorBinding,
)
from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
)
from confluent_kafka.admin import (
    ResourceType as VendorType,
)

from replicator.clock import Deadline
from replicator.errors import AccessDenied, OperationFailed
from replicator.kafka.connection import Connection, request_seconds
from replicator.kafka.translate import kafka_error_of
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right

_TYPES = {
    ResourceType.TOPIC: VendorType.TOPIC,
    ResourceType.GROUP: VendorType.GROUP,
    ResourceType.CLUSTER: VendorType.BROKER,  # librdkafka's name for the cluster resource
    ResourceType.TRANSACTIONAL_ID: VendorType.TRANSACTIONAL_ID,
}
_TYPES_BACK = {vendor: ours for ours, vendor in _TYPES.items()}

_NOBODYS = AclBinding(
    principal="User:replicator-nobody",
    resource_type=ResourceType.GROUP,
    name="replicator-nobody",
    pattern=PatternType.LITERAL,
    right=Right.READ,
)


class Acls:
    """The rules of one cluster."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def has_authorizer(self, deadline: Deadline) -> bool:
        """Return whether the cluster checks rights at all; needs no right.

        Asked by deleting a rule that nobody has: refused or not, an authorizer answered.
        """
        try:
            self.delete([_NOBODYS], deadline)
        except AccessDenied:
            return True
        except OperationFailed as exc:
            if is_unsecured(exc):
                return False
            raise
        return True

    def list(self, deadline: Deadline, *, principal: str | None = None) -> tuple[AclBinding, ...]:
        """Return the rules, sorted; those of `principal` alone if one is named. Rules on resources we
        have no word for (delegation tokens, users) are left out.

        Raises:
            AccessDenied: we may not list them (DESCRIBE on the cluster).
        """
        any_: Any = None  # the vendor's types forbid what its documentation asks for: None means any
        wanted = AclBindingFilter(
            VendorType.ANY,
            any_,
            ResourcePatternType.ANY,
            principal or any_,
            any_,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        with self._connection.translated("list ACLs"):
            future = self._connection.admin.describe_acls(wanted, request_timeout=request_seconds(deadline))
        found = self._connection.wait(future, doing="list ACLs", deadline=deadline)
        if not found:
            self._check_may_list(deadline)
        return tuple(sorted(_from_vendor(binding) for binding in found if _has_words(binding)))

    def _check_may_list(self, deadline: Deadline) -> None:
        """Return only if an empty list is the truth: librdkafka tells a refused listing as one.

        Whoever may list by a rule sees that rule at least. Who sees none has the right otherwise (a super user, or
        everybody may do everything) or not at all; and then it may delete, too, or not: asked with nobody's rule.
        Neither DescribeCluster nor DescribeUserScramCredentials can be asked instead: librdkafka 2.16 ends the
        process on an answer without brokers, and on a refusal.
        """
        try:
            self.delete([_NOBODYS], deadline)
        except AccessDenied as exc:
            access = self._connection.access
            raise AccessDenied(
                f"cluster {access.name} ({access.bootstrap}): list ACLs: DESCRIBE on the cluster is not ours",
                hint=f"replicator doctor --cluster {access.name}",
            ) from exc
        except OperationFailed as exc:
            if not is_unsecured(exc):
                raise

    def create(self, bindings: Iterable[AclBinding], deadline: Deadline) -> None:
        """Leave every rule in place; those that stand already are fine."""
        vendor = [_to_vendor(binding) for binding in bindings]
        if not vendor:
            return
        with self._connection.translated("create ACLs"):
            futures = self._connection.admin.create_acls(vendor, request_timeout=request_seconds(deadline))
        for future in futures.values():
            self._connection.wait(future, doing="create an ACL", deadline=deadline)

    def delete(self, bindings: Iterable[AclBinding], deadline: Deadline) -> set[AclBinding]:
        """Leave none of the rules in place; return those that stood before."""
        filters = [_to_filter(binding) for binding in bindings]
        if not filters:
            return set()
        with self._connection.translated("delete ACLs"):
            futures = self._connection.admin.delete_acls(filters, request_timeout=request_seconds(deadline))
        deleted: set[AclBinding] = set()
        for future in futures.values():
            found = self._connection.wait(future, doing="delete an ACL", deadline=deadline)
            deleted |= {_from_vendor(binding) for binding in found if _has_words(binding)}
        return deleted


def is_unsecured(exc: OperationFailed) -> bool:
    """Whether the cluster said that it has no authorizer."""
    error = kafka_error_of(exc.__cause__) if exc.__cause__ else None
    return error is not None and error.code() == KafkaError.SECURITY_DISABLED


def _to_vendor(binding: AclBinding) -> VendorBinding:
    return VendorBinding(*_vendor_fields(binding))


def _to_filter(binding: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(*_vendor_fields(binding))


def _vendor_fields(
    binding: AclBinding,
) -> tuple[VendorType, str, ResourcePatternType, str, str, AclOperation, AclPermissionType]:
    return (
        _TYPES[binding.resource_type],
        binding.name,
        ResourcePatternType[binding.pattern.name],
        binding.principal,
        binding.host,
        AclOperation[binding.right.name],
        AclPermissionType[binding.permission.name],
    )


def _has_words(binding: Any) -> bool:
    return binding.restype in _TYPES_BACK and binding.operation.name in Right.__members__


def _from_vendor(binding: Any) -> AclBinding:
    return AclBinding(
        principal=binding.principal,
        resource_type=_TYPES_BACK[binding.restype],
        name=binding.name,
        pattern=PatternType[binding.resource_pattern_type.name],
        right=Right[binding.operation.name],
        permission=Permission[binding.permission_type.name],
        host=binding.host,
    )
