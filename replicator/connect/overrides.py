"""Which raw connector overrides are accepted, and why the others are not.

A refused key would break a promise, or belongs to another key of the configuration. An unknown key is
refused too: MM2 ignores it in silence, and a typing error would go unseen.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from replicator.errors import ConfigInvalid


@dataclass(frozen=True, slots=True)
class RefusedOverride:
    """One override that is not taken: which key, and why."""

    key: str
    why: str


_BYTES = "records must arrive byte for byte"
_SELECTED = "the flow's topics{} and groups{} say what travels"
_CLUSTERS = "clusters{} says how a cluster is reached"
_DELIVERY = "the flow's delivery decides it"
_NAMING = "the flow's naming decides it"
_PLAN = "the plan manages topics, their settings and ACLs; MM2 would undo what the standby needs"
_SKIPS = "records would be skipped in silence"
_MAP = "the offset map that a failover needs would be lost"

_REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "name": "the flow's name decides it",
        "connector.class": "a flow is MirrorMaker 2",
        "enabled": "use `replicator flow stop`",
        "errors.tolerance": "records that cannot be written would be dropped in silence",
        "transforms": "a transformed copy is no copy, and offsets could not be translated",
        "predicates": "a transformed copy is no copy, and offsets could not be translated",
        "topics": _SELECTED,
        "topics.exclude": _SELECTED,
        "groups": _SELECTED,
        "groups.exclude": _SELECTED,
        "topic.filter.class": _SELECTED,
        "group.filter.class": _SELECTED,
        "source.cluster.alias": _CLUSTERS,
        "target.cluster.alias": _CLUSTERS,
        "replication.policy.class": _NAMING,
        "replication.policy.separator": _NAMING,
        "replication.policy.internal.topic.separator.enabled": _NAMING,
        "exactly.once.support": _DELIVERY,
        "consumer.isolation.level": _DELIVERY,
        "source.consumer.isolation.level": "aborted records would become data",
        "producer.override.enable.idempotence": "retries would duplicate and reorder records",
        "producer.override.acks": "an acknowledged record must be on every in-sync replica",
        "producer.override.transactional.id": "a failover fences MM2 by its own transactional ids",
        "producer.override.retries": _SKIPS,
        "producer.override.delivery.timeout.ms": _SKIPS,
        "sync.group.offsets.enabled": "it can rewind a live group; `replicator group sync` commits instead",
        "sync.topic.acls.enabled": _PLAN,
        "sync.topic.configs.enabled": _PLAN,
        "refresh.topics.enabled": "new topics would never be mirrored",
        "emit.checkpoints.enabled": "without it the checkpoint connector has no task",
        "emit.offset-syncs.enabled": _MAP,
        "offset-syncs.topic.location": "syncs on the source are lost together with it",
        "offsets.storage.topic": "mirrored positions are read from the worker's own offsets topic",
        "heartbeats.replication.enabled": "our heartbeats prove that the flow moves",
        "consumer.auto.offset.reset": _SKIPS,
        "source.consumer.auto.offset.reset": _SKIPS,
        "consumer.allow.auto.create.topics": "a deleted source topic would come back empty",
        "source.consumer.allow.auto.create.topics": "a deleted source topic would come back empty",
        "task.assigned.partitions": "MM2 computes it",
        "task.assigned.groups": "MM2 computes it",
    }
)

_REFUSED_PREFIXES: Mapping[str, str] = MappingProxyType(
    {
        "key.converter": _BYTES,
        "value.converter": _BYTES,
        "header.converter": _BYTES,
        "transforms.": "a transformed copy is no copy, and offsets could not be translated",
        "predicates.": "a transformed copy is no copy, and offsets could not be translated",
        "source.cluster.": _CLUSTERS,
        "target.cluster.": _CLUSTERS,
        "topic.creation.": "remote topics are made with the source's partitions",
        "replicator.": "these keys are ours",
    }
)

_SECURITY = re.compile(r"(^|\.)(bootstrap\.servers$|sasl\.|ssl\.|security\.)")

_CHECKPOINT_KEYS = frozenset(
    {
        "checkpoints.topic.replication.factor",
        "emit.checkpoints.interval.seconds",
        "refresh.groups.enabled",
        "refresh.groups.interval.seconds",
        "sync.group.offsets.interval.seconds",
    }
)
_SHARED_KEYS = frozenset({"admin.timeout.ms", "forwarding.admin.class", "metric.names.formats", "metric.reporters"})
_SOURCE_KEYS = frozenset(
    {
        "config.properties.exclude",
        "config.property.filter.class",
        "consumer.poll.timeout.ms",
        "errors.log.enable",
        "errors.log.include.messages",
        "errors.retry.delay.max.ms",
        "errors.retry.timeout",
        "offset-syncs.topic.replication.factor",
        "offset.lag.max",
        "refresh.topics.interval.seconds",
        "replication.factor",
        "sync.topic.acls.interval.seconds",
        "sync.topic.configs.interval.seconds",
        "tasks.max",
        "tasks.max.enforce",
        "transaction.boundary",
        "transaction.boundary.interval.ms",
        "use.defaults.from",
    }
)
_CLIENT_PREFIXES = ("producer.override.", "source.consumer.", "consumer.", "source.producer.", "target.producer.")
_SHARED_PREFIXES = ("admin.", "source.admin.", "target.admin.")


def lint_overrides(overrides: Mapping[str, str]) -> tuple[RefusedOverride, ...]:
    """Return the overrides that a flow must not have, in the order of their keys."""
    found = [(key, _refusal(key, value)) for key, value in sorted(overrides.items())]
    return tuple(RefusedOverride(key, why) for key, why in found if why is not None)


def require_sound_overrides(flow: str, overrides: Mapping[str, str]) -> None:
    """Return only if every override is accepted.

    Raises:
        ConfigInvalid: the message names the first refused key and why, the detail lists all of them.
    """
    refused = lint_overrides(overrides)
    if refused:
        raise ConfigInvalid(
            f"flows.{flow}.connector.{refused[0].key}: refused: {refused[0].why}",
            detail="\n".join(f"flows.{flow}.connector.{entry.key}: {entry.why}" for entry in refused),
            hint="take the key out, then `replicator plan`",
        )


def is_for_source(key: str) -> bool:
    """Whether an override belongs to the MirrorSourceConnector."""
    return _is_shared(key) or not is_for_checkpoints(key)


def is_for_checkpoints(key: str) -> bool:
    """Whether an override belongs to the MirrorCheckpointConnector."""
    return _is_shared(key) or key in _CHECKPOINT_KEYS or key.startswith("target.consumer.")


def _is_shared(key: str) -> bool:
    return key in _SHARED_KEYS or key.startswith(_SHARED_PREFIXES)


def _refusal(key: str, value: str) -> str | None:
    if key in _REFUSED:
        return _REFUSED[key]
    why = next((why for prefix, why in _REFUSED_PREFIXES.items() if key.startswith(prefix)), None)
    if why is not None:
        return why
    if _SECURITY.search(key):
        return _CLUSTERS
    return _refused_value(key, value) or _unknown(key)


def _refused_value(key: str, value: str) -> str | None:
    if any(ord(char) < 0x20 for char in value):
        return "its value holds a control character"
    if key.endswith("max.in.flight.requests.per.connection") and not value.isdigit():
        return "it is a number from 1 to 5"
    if key.endswith("max.in.flight.requests.per.connection") and not 1 <= int(value) <= 5:
        return "beyond 5 requests in flight the order of records is lost"
    return None


def _unknown(key: str) -> str | None:
    known = _CHECKPOINT_KEYS | _SHARED_KEYS | _SOURCE_KEYS
    if key in known or key.startswith((*_CLIENT_PREFIXES, *_SHARED_PREFIXES, "target.consumer.")):
        return None
    near = difflib.get_close_matches(key, known, n=1)
    return "MirrorMaker 2 does not know this key" + (f"; did you mean {near[0]}?" if near else "")
