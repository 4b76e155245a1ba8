"""Dataclasses of the model from JSON's own types: the way back from `to_plain`, by type annotation alone.

Times keep milliseconds; a mapping's key is a `NewType` of str, an int, or a partition as `topic[n]`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union

from replicator.clock import from_rfc3339
from replicator.errors import DataCorrupt
from replicator.model.names import TopicName, TopicPartition

T = TypeVar("T")


def from_plain(kind: type[T], plain: object) -> T:
    """Return the dataclass whose `to_plain` form is given; fields it does not know are left out.

    Raises:
        DataCorrupt: a field is missing or of another type.
    """
    try:
        value = _read(kind, plain)
    except (KeyError, TypeError, ValueError) as exc:
        raise DataCorrupt(f"{kind.__name__}: does not fit: {exc}") from exc
    return typing.cast("T", value)


def _read(kind: Any, plain: Any) -> Any:
    if isinstance(kind, typing.NewType):
        return _read(kind.__supertype__, plain)
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return _read_union(typing.get_args(kind), plain)
    if origin is tuple:
        return tuple(_read(typing.get_args(kind)[0], entry) for entry in _expect(plain, list))
    if origin is Mapping:
        key, value = typing.get_args(kind)
        return {_read_key(key, name): _read(value, entry) for name, entry in _expect(plain, dict).items()}
    return _read_plain_type(kind, plain)


def _read_union(kinds: tuple[Any, ...], plain: Any) -> Any:
    """Read `X | None`, and unions of JSON's own types by what they are."""
    if plain is None and type(None) in kinds:
        return None
    meant = [kind for kind in kinds if kind is not type(None)]
    if len(meant) == 1:
        return _read(meant[0], plain)
    if type(plain) in meant:
        return plain
    raise TypeError(f"{type(plain).__name__} is none of {meant}")


def _read_plain_type(kind: Any, plain: Any) -> Any:
    if kind is datetime:
        return from_rfc3339(_expect(plain, str))
    if dataclasses.is_dataclass(kind):
        return _read_dataclass(kind, plain)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(plain)
    if kind is float:
        return float(_expect(plain, (int, float)))
    return _expect(plain, kind)


def _read_dataclass(kind: Any, plain: Any) -> Any:
    told = _expect(plain, dict)
    hints = _hints(kind)
    return kind(**{name: _read(hint, told[name]) for name, hint in hints.items() if name in told})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    known = typing.get_type_hints(kind)
    return {field.name: known[field.name] for field in dataclasses.fields(kind)}


def _read_key(kind: Any, name: str) -> Any:
    if kind is TopicPartition:
        return read_partition(name)
    return int(name) if kind is int else name


def read_partition(text: str) -> TopicPartition:
    """Return the partition that prints as `topic[n]`.

    Raises:
        ValueError: the text has another form.
    """
    topic, bracket, number = text.rpartition("[")
    if not bracket or not number.endswith("]"):
        raise ValueError(f"{text!r} is no partition")
    return TopicPartition(TopicName(topic), int(number[:-1]))


def _expect(plain: Any, kind: Any) -> Any:
    is_odd_bool = isinstance(plain, bool) and kind is not bool
    if is_odd_bool or not isinstance(plain, kind):
        raise TypeError(f"{type(plain).__name__} where {kind} is meant")
    return plain
