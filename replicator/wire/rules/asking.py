"""One broker after another is asked until one tells: each of them knows all rules of a KRaft cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from replicator.clock import Deadline
from replicator.errors import AccessDenied, NotFound, OperationFailed, Unreachable
from replicator.wire.answers import Fault
from replicator.wire.client import RawClient
from replicator.wire.messages import Call, classify, name_error
from replicator.wire.rules.messages import (
    AccessRule,
    Quota,
    RulesAnswer,
    ScramUser,
    call_describe_acls,
    call_describe_quotas,
    call_describe_scram_users,
)

Item = TypeVar("Item")

_SECURITY_DISABLED = 54


def read_access_rules(client: RawClient, brokers: Iterable[int], *, deadline: Deadline) -> tuple[AccessRule, ...]:
    """Return every rule of the authorizer, sorted. `brokers` are ids that the client's metadata knows.

    Raises: AccessDenied without DESCRIBE on the cluster; NotFound where there is no authorizer; Unreachable.
    """
    return tuple(sorted(_ask(client, brokers, call_describe_acls(), deadline)))


def read_quotas(client: RawClient, brokers: Iterable[int], *, deadline: Deadline) -> tuple[Quota, ...]:
    """Return the quotas of all entities, sorted. Raises: AccessDenied without DESCRIBE_CONFIGS on the cluster;
    Unreachable."""
    found = _ask(client, brokers, call_describe_quotas(), deadline)
    return tuple(sorted(found, key=lambda quota: [(kind, name or "") for kind, name in quota.entity]))


def read_scram_users(client: RawClient, brokers: Iterable[int], *, deadline: Deadline) -> tuple[ScramUser, ...]:
    """Return the users that have SCRAM credentials, sorted. Raises: AccessDenied without DESCRIBE on the cluster;
    Unreachable."""
    return tuple(sorted(_ask(client, brokers, call_describe_scram_users(), deadline)))


def _ask(
    client: RawClient, brokers: Iterable[int], call: Call[RulesAnswer[Item]], deadline: Deadline
) -> tuple[Item, ...]:
    error: Unreachable | None = None
    for broker in brokers:
        try:
            return _ask_one(client, broker, call, deadline)
        except Unreachable as exc:
            error = exc
    raise error or Unreachable(f"cluster {client.access.name}: no broker to ask {call.name}")


def _ask_one(client: RawClient, broker: int, call: Call[RulesAnswer[Item]], deadline: Deadline) -> tuple[Item, ...]:
    connection = client.open_connection(broker, deadline=deadline)
    try:
        found: RulesAnswer[Item] = connection.ask(call, deadline=deadline)
    finally:
        connection.close()
    doing = f"cluster {client.access.name}: {call.name}"
    if found.error_code == _SECURITY_DISABLED:
        raise NotFound(f"{doing}: the cluster has no authorizer")
    fault = classify(found.error_code)
    if fault is None:
        return found.items
    reason = f"{doing}: broker {broker} answers {name_error(found.error_code)}"
    if fault is Fault.DENIED:
        raise AccessDenied(reason, hint="grant DESCRIBE and DESCRIBE_CONFIGS on the cluster")
    raise Unreachable(reason) if fault is Fault.RETRY else OperationFailed(reason)
