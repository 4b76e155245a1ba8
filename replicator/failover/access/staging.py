"""Which access rules of the source the applications need on a promoted target. Values to values.

A rule concerns a flow where it is on a topic that the flow carries, or on a group that it moves. Whoever has such a
rule is an application of the flow: its rules on transactional ids, and its right to write idempotently, go with it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.journal import Observed
from replicator.model.acls import EVERYBODY, AclBinding, PatternType, Permission, ResourceType, Right, is_covered
from replicator.model.flow import Flow
from replicator.model.names import GroupName, TopicName

EVERYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The rules for the target, sorted, and those of the source that must not stand there."""

    rules: tuple[AclBinding, ...] = ()
    left_out: tuple[AclBinding, ...] = ()


def application_rules(
    flow: Flow,
    standing: Iterable[AclBinding],
    *,
    topics: Collection[TopicName],
    groups: Collection[GroupName],
    exempt: Collection[str],
    fences: Collection[AclBinding] = (),
) -> dict[str, tuple[AclBinding, ...]]:
    """Return the rules of the source that concern the flow, by principal, each principal's sorted.

    `topics` and `groups` are those known on the source; `exempt` are our own and MirrorMaker's principals; `fences`
    the rules that an operation has put there to keep applications out.
    """
    fenced, known_topics, known_groups = set(fences), sorted(topics), sorted(groups)
    by_principal: dict[str, list[AclBinding]] = {}
    for rule in standing:
        if rule.principal not in exempt and rule not in fenced:
            by_principal.setdefault(rule.principal, []).append(rule)
    found: dict[str, tuple[AclBinding, ...]] = {}
    for principal, rules in sorted(by_principal.items()):
        carried = {rule for rule in rules if _concerns(flow, rule, known_topics, known_groups)}
        if carried:
            found[principal] = tuple(sorted(carried | {rule for rule in rules if _goes_along(rule)}))
    return found


def _concerns(flow: Flow, rule: AclBinding, topics: Sequence[str], groups: Sequence[str]) -> bool:
    match rule.resource_type:
        case ResourceType.TOPIC:
            is_ours, known = flow.carries_topic(TopicName(rule.name)), topics
        case ResourceType.GROUP:
            is_ours, known = flow.moves_group(GroupName(rule.name)), groups
        case _:
            return False
    if rule.pattern is PatternType.PREFIXED:
        return is_ours or _any_begins(known, rule.name)
    return is_ours or rule.name == EVERYTHING


def _any_begins(names: Sequence[str], prefix: str) -> bool:
    """Whether one of the sorted names begins so."""
    at = bisect_left(names, prefix)
    return at < len(names) and names[at].startswith(prefix)


def _goes_along(rule: AclBinding) -> bool:
    is_transactional = rule.resource_type is ResourceType.TRANSACTIONAL_ID
    return is_transactional or (rule.resource_type is ResourceType.CLUSTER and rule.right is Right.IDEMPOTENT_WRITE)


def staged_rules(flow: Flow, observed: Observed) -> Wanted:
    """Return the rules for the target as the standby knows them."""
    staged = {principal: seen.rules for principal, seen in observed.access.items()}
    return rules_for_target(flow, staged, topics=observed.topics)


def rules_for_target(
    flow: Flow, staged: Mapping[str, Sequence[AclBinding]], *, topics: Collection[TopicName]
) -> Wanted:
    """Return the rules under which the applications may do on the target what they may do on the source.

    Names become those of the copies. A right on every topic becomes one on each copy: it must not reach what is the
    target's own. What denies everybody is left out: it can only be a fence that somebody has put up by hand.
    """
    rules = [rule for one in staged.values() for rule in one]
    left_out = {rule for rule in rules if rule.permission is Permission.DENY and rule.principal == EVERYBODY}
    wanted = {told for rule in rules if rule not in left_out for told in _on_target(flow, rule, topics)}
    return Wanted(rules=tuple(sorted(wanted)), left_out=tuple(sorted(left_out)))


def _on_target(flow: Flow, rule: AclBinding, topics: Collection[TopicName]) -> Iterator[AclBinding]:
    if rule.resource_type is not ResourceType.TOPIC:
        yield rule
    elif rule.name == EVERYTHING:
        yield from (replace(rule, name=flow.remote_topic(topic)) for topic in topics)
    else:
        yield replace(rule, name=flow.remote_topic(TopicName(rule.name)))


def missing_rules(wanted: Iterable[AclBinding], standing: Iterable[AclBinding]) -> tuple[AclBinding, ...]:
    """Return the wanted rules that nothing on the target stands for yet, what denies first: at no moment is more
    allowed than in the end."""
    exact = set(standing)
    wider: dict[tuple[str, ResourceType], list[AclBinding]] = {}
    for rule in exact:
        wider.setdefault((rule.principal, rule.resource_type), []).append(rule)
    missing = [
        rule
        for rule in sorted(set(wanted) - exact)
        if not any(is_covered(rule, wider.get((who, rule.resource_type), ())) for who in (rule.principal, EVERYBODY))
    ]
    return tuple(sorted(missing, key=lambda rule: rule.permission is Permission.ALLOW))
