"""Connectors as Connect keeps them in its configs topic: readable through Kafka, with every worker dead.

A worker that is down says nothing over REST, but will run these connectors the moment it starts.
Source: org.apache.kafka.connect.storage.KafkaConfigBackingStore (keys `connector-NAME`, `target-state-NAME`;
STOPPED stands in `state.v2`, with PAUSED in `state` for workers that do not know it).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator.errors import DataCorrupt

_CONNECTOR = "connector-"
_STATE = "target-state-"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredConnector:
    """A connector and the state it is meant to be in: STARTED, PAUSED or STOPPED."""

    name: str
    config: Mapping[str, str] = field(default_factory=dict)
    target_state: str = "STARTED"

    @property
    def is_stopped(self) -> bool:
        """Whether it stays without tasks when a worker starts."""
        return self.target_state == "STOPPED"


def fold_connectors(records: Iterable[tuple[bytes | None, bytes | None]]) -> dict[str, StoredConnector]:
    """Return the connectors that keys and values of the configs topic, in order, leave behind."""
    configs: dict[str, dict[str, str]] = {}
    states: dict[str, str] = {}
    for key, value in records:
        name = (key or b"").decode(errors="replace")
        if name.startswith(_STATE):
            _put(states, name.removeprefix(_STATE), _read_state(value))
        elif name.startswith(_CONNECTOR):
            _put(configs, name.removeprefix(_CONNECTOR), _read_config(value))
    return {
        name: StoredConnector(name=name, config=config, target_state=states.get(name, "STARTED"))
        for name, config in configs.items()
    }


def _put(found: dict[str, Any], name: str, value: Any) -> None:
    if value is None:
        found.pop(name, None)
    else:
        found[name] = value


def _read_config(value: bytes | None) -> dict[str, str] | None:
    properties = _object(value).get("properties")
    return {str(key): str(entry) for key, entry in properties.items()} if isinstance(properties, dict) else None


def _read_state(value: bytes | None) -> str | None:
    found = _object(value)
    state = found.get("state.v2") or found.get("state")
    return str(state) if state else None


def _object(value: bytes | None) -> dict[str, Any]:
    if not value:
        return {}
    try:
        found = json.loads(value)
    except (ValueError, RecursionError) as exc:
        raise DataCorrupt(f"Connect's configs topic: no JSON: {value[:80]!r}") from exc
    return found if isinstance(found, dict) else {}
