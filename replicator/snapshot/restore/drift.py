"""Where a target differs from what was captured, in settings and access rules, and what becomes of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.archive.restores import AccessDrift, DriftPolicy, SettingDrift
from replicator.model.names import GroupName, TopicName

_OPERATORS = ("leader.replication.throttled.replicas", "follower.replication.throttled.replicas")
"""Settings that a move of replicas puts there and takes away: nobody's to compare."""
_TOLD = 5
_RIGHTS = frozenset(right.value for right in Right)
_PERMISSIONS = frozenset(permission.value for permission in Permission)


def compare_settings(
    captured: Mapping[str, str], there: Mapping[str, str], *, ignored: Iterable[str] = ()
) -> tuple[SettingDrift, ...]:
    """Return each setting that only one side has of its own, or both with other values, sorted."""
    keys = (captured.keys() | there.keys()) - {*ignored, *_OPERATORS}
    return tuple(
        SettingDrift(key=key, captured=captured.get(key), there=there.get(key))
        for key in sorted(keys)
        if captured.get(key) != there.get(key)
    )


def settle_drift(
    drift: Iterable[SettingDrift], policy: DriftPolicy, final: Mapping[str, str | None], *, held: Iterable[str]
) -> dict[str, str | None]:
    """Return the changes that end a restore onto a topic that was there: `final` are those for a new one.

    KEEP gives the settings in `held`, which the restore replaces meanwhile, back as they were; a value that is not
    known any more comes from the snapshot. APPLY takes away what only the target had.
    """
    changes = dict(final)
    if policy is DriftPolicy.KEEP:
        there = {one.key: one.there for one in drift}
        return {key: there.get(key, value) for key, value in changes.items() if key in set(held)}
    changes.update({one.key: None for one in drift if one.captured is None and one.key not in changes})
    return changes


def refuse_drift(topic: TopicName, drift: tuple[SettingDrift, ...], policy: DriftPolicy) -> str | None:
    """Return why a topic is not restored to: its settings differ and that was to be refused."""
    if policy is not DriftPolicy.REFUSE or not drift:
        return None
    told = ", ".join(f"{d.key} is {_show(d.there)}, {_show(d.captured)} was captured" for d in drift[:_TOLD])
    return f"topic {topic}: {len(drift)} settings differ: {told}"


def _show(value: str | None) -> str:
    return "not set" if value is None else value


def compare_access(
    rules: Iterable[Mapping[str, Any]],
    there: Iterable[AclBinding],
    *,
    targets: Mapping[TopicName, TopicName],
    groups: Iterable[GroupName],
    policy: DriftPolicy,
) -> AccessDrift:
    """Return the captured rules on restored topics and groups that the target lacks, and those that it alone has.

    A rule on a topic's own name follows its rename; one on a prefix stands for names that are kept. Rules on `*` are
    the cluster's, not the topics'.
    """
    chosen = set(groups)
    wanted = {binding for rule in rules for binding in _carry(rule, targets, chosen)}
    names = set(targets.values())
    own = {
        binding
        for binding in there
        if binding.pattern is PatternType.LITERAL
        and (
            (binding.resource_type is ResourceType.TOPIC and binding.name in names)
            or (binding.resource_type is ResourceType.GROUP and binding.name in chosen)
        )
    }
    return AccessDrift(policy=policy, missing=tuple(sorted(wanted - set(there))), extra=tuple(sorted(own - wanted)))


def _carry(
    rule: Mapping[str, Any], targets: Mapping[TopicName, TopicName], groups: set[GroupName]
) -> Iterator[AclBinding]:
    """Yield what a captured rule becomes on the target; nothing if it is on something else."""
    name, kind = rule["resource_name"], rule["resource_type"]
    is_prefix = rule["pattern"] == PatternType.PREFIXED
    if rule["operation"] not in _RIGHTS or rule["permission"] not in _PERMISSIONS:
        return  # newer than our words
    if kind == ResourceType.TOPIC and is_prefix:
        if any(source == target and source.startswith(name) for source, target in targets.items()):
            yield _binding(rule, ResourceType.TOPIC, name)
    elif kind == ResourceType.TOPIC and name in targets:
        yield _binding(rule, ResourceType.TOPIC, targets[name])
    elif kind == ResourceType.GROUP and (
        any(group.startswith(name) for group in groups) if is_prefix else name in groups
    ):
        yield _binding(rule, ResourceType.GROUP, name)


def _binding(rule: Mapping[str, Any], kind: ResourceType, name: str) -> AclBinding:
    return AclBinding(
        principal=rule["principal"],
        resource_type=kind,
        name=name,
        pattern=PatternType(rule["pattern"]),
        right=Right(rule["operation"]),
        permission=Permission(rule["permission"]),
        host=rule["host"],
    )
