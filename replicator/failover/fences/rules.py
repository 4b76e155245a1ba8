"""Which rules of the authorizer fence a source, and which fences stand, by the journals. Values to values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replicator.model.acls import EVERYBODY, AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.names import ClusterName, GroupName, TopicName
from replicator.model.operations import JournalRecord, StepPhase

FENCE_STEP = "fence_source"
RULES_ITEM = "rules"
LIFTED_ITEM = "lifted"
_WRITES = (Right.WRITE, Right.ALL)
_READS = (Right.READ, Right.ALL)


def fence_rules(
    standing: Iterable[AclBinding],
    *,
    topics: Iterable[TopicName],
    groups: Iterable[GroupName],
    exempt: frozenset[str],
) -> tuple[AclBinding, ...]:
    """Return the rules that keep every application from writing the topics and from committing as the groups.

    Denied is who may: each principal that some rule allows to, `exempt` ones left out; everybody, where a rule
    allows everybody, or none allows anybody (then it is not rules that let writers in).
    """
    allowed = [rule for rule in standing if rule.permission is Permission.ALLOW]
    rules = [
        _deny(principal, ResourceType.TOPIC, topic, Right.WRITE)
        for topic in sorted(set(topics))
        for principal in _principals(allowed, ResourceType.TOPIC, topic, _WRITES, exempt)
    ]
    rules += [
        _deny(principal, ResourceType.GROUP, group, Right.READ)
        for group in sorted(set(groups))
        for principal in _principals(allowed, ResourceType.GROUP, group, _READS, exempt)
    ]
    return tuple(rules)


def _principals(
    allowed: Sequence[AclBinding], kind: ResourceType, name: str, rights: Sequence[Right], exempt: frozenset[str]
) -> list[str]:
    found = {r.principal for r in allowed if r.resource_type is kind and r.right in rights and _is_on(r, name)}
    if EVERYBODY in found or not found:
        return [EVERYBODY]
    return sorted(found - exempt)


def _is_on(rule: AclBinding, name: str) -> bool:
    if rule.pattern is PatternType.PREFIXED:
        return name.startswith(rule.name)
    return rule.name in ("*", name)


def _deny(principal: str, kind: ResourceType, name: str, right: Right) -> AclBinding:
    return AclBinding(
        principal=principal,
        resource_type=kind,
        name=name,
        pattern=PatternType.LITERAL,
        right=right,
        permission=Permission.DENY,
    )


def rule_to_row(rule: AclBinding) -> list[str]:
    """Return a DENY rule as the journal keeps it."""
    return [rule.principal, rule.resource_type.value, rule.name, rule.right.value]


def rule_from_row(row: Sequence[str]) -> AclBinding:
    """Return the DENY rule that the journal keeps."""
    principal, kind, name, right = row
    return _deny(principal, ResourceType(kind), name, Right(right))


def rules_of(fact: Mapping[str, Any] | None) -> tuple[AclBinding, ...]:
    """Return the rules of a journaled fact; none where there is no fact."""
    return () if fact is None else tuple(rule_from_row(row) for row in fact["rows"])


def standing_fences(records: Iterable[JournalRecord], cluster: ClusterName) -> tuple[AclBinding, ...]:
    """Return the rules that operations have put on a cluster and none has lifted; records in the order written."""
    by_operation: dict[str, set[AclBinding]] = {}
    for record in records:
        if record.step == FENCE_STEP and record.phase == StepPhase.UNDONE:
            by_operation.pop(record.operation_id, None)
        elif record.phase != StepPhase.FACT or record.body.get("cluster") != cluster:
            continue
        elif record.step == FENCE_STEP and record.item == RULES_ITEM:
            by_operation[record.operation_id] = set(rules_of(record.body))
        elif record.item == LIFTED_ITEM:
            lifted = set(rules_of(record.body))
            by_operation = {id_: rules - lifted for id_, rules in by_operation.items()}
    return tuple(sorted({rule for rules in by_operation.values() for rule in rules}))
