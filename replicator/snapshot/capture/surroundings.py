"""What a cluster keeps beside topics and groups, as far as it may be read; the rest is listed with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from replicator.clock import Deadline
from replicator.errors import AccessDenied, NotFound, OperationFailed, Unreachable
from replicator.model.archive.schemas import RegistryContent
from replicator.model.archive.snapshots import NotCaptured
from replicator.model.flow import Delivery
from replicator.model.names import ClusterName, TopicPartition
from replicator.snapshot.capture.cutting import Hold
from replicator.snapshot.schemas.states import content_to_json
from replicator.wire import RawClient
from replicator.wire.rules import read_access_rules, read_quotas, read_scram_users

NEVER_CAPTURED = (
    NotCaptured(what="broker_configs", reason="not asked for: they are the target's own business"),
    NotCaptured(what="delegation_tokens", reason="not asked for: they end by themselves"),
    NotCaptured(what="scram_secrets", reason="not told by Kafka to anybody: users, mechanisms and iterations are"),
)
NO_REGISTRY = NotCaptured(
    what="schemas", reason="not asked for: no registry is configured; its topic is captured, where it is selected"
)
ASK_SECONDS = 20.0
"""No question about rules, quotas or users takes longer: a snapshot of the data must not fail for them."""

REGISTRY_SECONDS = 60.0
"""A registry is asked for each version by itself: some thousands of them take no longer."""
ReadSchemas = Callable[[Deadline], RegistryContent]
"""Returns all that a registry holds."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """States by kind, as JSON, and what could not be captured."""

    states: Mapping[str, Mapping[str, Any]]
    not_captured: tuple[NotCaptured, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MirrorSource:
    """The connector that fills the captured topics. `read_positions` returns the next source offset to be mirrored,
    by source partition, as Connect has stored it. `hold` keeps it paused; None where that cannot be done."""

    connector: str
    source: ClusterName
    delivery: Delivery
    read_positions: Callable[[Deadline], Mapping[TopicPartition, int]]
    hold: Hold | None = None


MirroredOffsets = Mapping[TopicPartition, int]


def read_surroundings(
    raw: RawClient, brokers: Iterable[int], *, read_schemas: ReadSchemas | None = None, deadline: Deadline
) -> Surroundings:
    """Return access rules, quotas, SCRAM users and schemas as far as we may read them.

    Never raises for what the cluster refuses or does not know: that is listed. `brokers` must be known to `raw`.
    Asked after the cut, a registry tells every schema that a captured record can name.
    """
    asked = list(brokers)
    questions: tuple[tuple[str, str, Callable[..., Iterable[Any]]], ...] = (
        ("acls", "rules", read_access_rules),
        ("quotas", "quotas", read_quotas),
        ("scram_users", "users", read_scram_users),
    )
    states: dict[str, Mapping[str, Any]] = {}
    left_out: list[NotCaptured] = []
    for kind, key, ask in questions:
        soon = Deadline.after(deadline.capped(ASK_SECONDS), clock=deadline.clock)
        try:
            states[kind] = {key: [_to_json(item) for item in ask(raw, asked, deadline=soon)]}
        except (AccessDenied, NotFound, OperationFailed, Unreachable) as exc:
            left_out.append(NotCaptured(what=kind, reason=reason_of(exc)))
    if read_schemas is None:
        left_out.append(NO_REGISTRY)
    else:
        try:
            content = read_schemas(Deadline.after(deadline.capped(REGISTRY_SECONDS), clock=deadline.clock))
            states["schemas"] = content_to_json(content)
        except (AccessDenied, NotFound, OperationFailed, Unreachable) as exc:
            left_out.append(NotCaptured(what="schemas", reason=reason_of(exc)))
    return Surroundings(states, tuple(left_out))


def read_mirrored(
    mirror: MirrorSource | None, *, deadline: Deadline
) -> tuple[MirroredOffsets | None, NotCaptured | None]:
    """Return how far the mirror is, or why that is not known."""
    if mirror is None:
        return None, NotCaptured(what="mirror", reason="not asked for: taken for no flow")
    try:
        return mirror.read_positions(Deadline.after(deadline.capped(ASK_SECONDS), clock=deadline.clock)), None
    except (AccessDenied, NotFound, OperationFailed, Unreachable) as exc:
        return None, NotCaptured(what="mirror", reason=reason_of(exc))


def mirror_to_json(mirror: MirrorSource, before: MirroredOffsets, after: MirroredOffsets) -> dict[str, Any]:
    """Return the `mirror` state: between which source offsets the cut of each partition lies."""
    return {
        "connector": mirror.connector,
        "source": mirror.source,
        "delivery": mirror.delivery.value,
        "positions": [
            [tp.topic, tp.partition, before.get(tp), after.get(tp)] for tp in sorted(before.keys() | after.keys())
        ],
    }


def reason_of(error: Exception) -> str:
    """Return one line: that the right is missing, that the cluster has no such thing, or what went wrong."""
    if isinstance(error, AccessDenied):
        return f"no right: {error}"
    return f"not kept by this cluster: {error}" if isinstance(error, NotFound) else f"could not be read: {error}"


def _to_json(item: Any) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__dataclass_fields__}
