"""The calls for rules, quotas and users, and their answers in our own types (kafka-python's codec, as `wire.messages`).

Numbers become Kafka's own words; one that is newer than this list becomes `unknown-N`, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from kafka.protocol.admin.acl import DescribeAclsRequest, DescribeAclsResponse
from kafka.protocol.admin.client_quotas import DescribeClientQuotasRequest, DescribeClientQuotasResponse
from kafka.protocol.admin.users import DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse

from replicator.wire.messages import Call

Item = TypeVar("Item")

_ANY = 1
_RESOURCES = (
    "unknown", "any", "topic", "group", "cluster", "transactional_id", "delegation_token", "user",
)  # fmt: skip
_PATTERNS = ("unknown", "any", "match", "literal", "prefixed")
_OPERATIONS = (
    "unknown", "any", "all", "read", "write", "create", "delete", "alter", "describe", "cluster_action",
    "describe_configs", "alter_configs", "idempotent_write", "create_tokens", "describe_tokens", "two_phase_commit",
)  # fmt: skip
_PERMISSIONS = ("unknown", "any", "deny", "allow")
_MECHANISMS = ("unknown", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True, order=True)
class AccessRule:
    """One rule of the authorizer, in Kafka's words in lower case."""

    principal: str
    host: str
    resource_type: str
    resource_name: str
    pattern: str
    operation: str
    permission: str


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of one entity: (kind, name) pairs such as ("user", "app"); a null name is the default of its kind."""

    entity: tuple[tuple[str, str | None], ...]
    limits: Mapping[str, float]


@dataclass(frozen=True, slots=True, order=True)
class ScramUser:
    """A user who may log in with SCRAM: (mechanism, iterations) of each credential. Secrets are never told."""

    name: str
    credentials: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class RulesAnswer(Generic[Item]):
    """What one broker told, or why it did not."""

    error_code: int
    items: tuple[Item, ...]


def call_describe_acls() -> Call[RulesAnswer[AccessRule]]:
    """Ask for every rule, on whatever resource, of whomever."""
    return Call(
        "DescribeAcls", DescribeAclsRequest.API_KEY, 1, 3,
        lambda version: DescribeAclsRequest(
            version=version, resource_type_filter=_ANY, resource_name_filter=None, pattern_type_filter=_ANY,
            principal_filter=None, host_filter=None, operation=_ANY, permission_type=_ANY),
        DescribeAclsResponse,
        lambda answer: RulesAnswer(answer.error_code, tuple(
            AccessRule(
                rule.principal, rule.host, _word(_RESOURCES, resource.resource_type), resource.resource_name,
                _word(_PATTERNS, resource.pattern_type), _word(_OPERATIONS, rule.operation),
                _word(_PERMISSIONS, rule.permission_type))
            for resource in answer.resources or () for rule in resource.acls
        )),
    )  # fmt: skip


def call_describe_quotas() -> Call[RulesAnswer[Quota]]:
    """Ask for the limits of every user, client id and address (KIP-546)."""
    return Call(
        "DescribeClientQuotas", DescribeClientQuotasRequest.API_KEY, 0, 1,
        lambda version: DescribeClientQuotasRequest(version=version, components=[], strict=False),
        DescribeClientQuotasResponse,
        lambda answer: RulesAnswer(answer.error_code, tuple(
            Quota(
                tuple(sorted(((e.entity_type, e.entity_name) for e in entry.entity), key=lambda pair: pair[0])),
                {value.key: value.value for value in entry.values})
            for entry in answer.entries or ()
        )),
    )  # fmt: skip


def call_describe_scram_users() -> Call[RulesAnswer[ScramUser]]:
    """Ask for every user that has a SCRAM credential (KIP-554).

    By an empty list: asked by a null one and without the right, a 4.3 broker fails on its own answer and sends none.
    """
    return Call(
        "DescribeUserScramCredentials", DescribeUserScramCredentialsRequest.API_KEY, 0, 0,
        lambda version: DescribeUserScramCredentialsRequest(version=version, users=[]),
        DescribeUserScramCredentialsResponse,
        _read_scram_users,
    )  # fmt: skip


def _read_scram_users(answer: Any) -> RulesAnswer[ScramUser]:
    users = answer.results or ()
    codes = [answer.error_code, *(user.error_code for user in users)]
    return RulesAnswer(
        next((code for code in codes if code), 0),
        tuple(
            ScramUser(
                user.user,
                tuple(sorted((_word(_MECHANISMS, info.mechanism), info.iterations) for info in user.credential_infos)),
            )
            for user in users
        ),
    )


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number] if 0 < number < len(words) else f"unknown-{number}"
