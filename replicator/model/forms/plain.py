"""Values of the house as JSON: snake_case fields, times RFC 3339 in UTC, null for what is unknown."""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any, Protocol, runtime_checkable

from replicator.clock import to_rfc3339
from replicator.model.cluster import Secret

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]


_PLAIN = frozenset({None.__class__, bool, int, str})
"""Classes that need no second look: a report holds a million of such values."""


@runtime_checkable
class _Model(Protocol):
    """A pydantic model, known by what it can do, so that the model room needs no pydantic."""

    def model_dump(self, *, by_alias: bool) -> dict[str, Any]: ...


def to_plain(value: object) -> Plain:
    """Return `value` as JSON's own types.

    Dataclasses and pydantic models become objects, sets sorted lists, durations seconds, bytes base64, keys
    their `str`, NaN and infinity null. A secret becomes its reference, never its value.

    Raises:
        TypeError: for a value whose JSON form nobody decided.
    """
    if value.__class__ in _PLAIN or (isinstance(value, bool | str | int) and not isinstance(value, Enum)):
        return value  # type: ignore[return-value]  # one of these classes
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Secret):
        return str(value)
    return _leaf_to_plain(value)


def _leaf_to_plain(value: object) -> Plain:
    match value:
        case Enum():
            return to_plain(value.value)
        case datetime():
            return to_rfc3339(value)
        case timedelta():
            return value.total_seconds()
        case PurePath():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode("ascii")
        case _:
            return _tree_to_plain(value)


def _tree_to_plain(value: object) -> Plain:
    match value:
        case Mapping():
            return {_key(key): to_plain(entry) for key, entry in value.items()}
        case set() | frozenset():
            return [to_plain(entry) for entry in sorted(value, key=str)]
        case list() | tuple():
            return [to_plain(entry) for entry in value]
        case _ if dataclasses.is_dataclass(value):
            return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        case _Model():  # last, for what it takes to find out
            return to_plain(value.model_dump(by_alias=True))
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _key(key: object) -> str:
    return str(key.value) if isinstance(key, Enum) else str(key)


def to_json(value: object, *, indent: int | None = None) -> str:
    """Return `value` as JSON text in pure printable ASCII: safe to show on any terminal."""
    return json.dumps(to_plain(value), indent=indent, ensure_ascii=True, allow_nan=False).replace("\x7f", "\\u007f")
