"""States, checked before anybody builds on them: whoever can write to the store may have made them up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from replicator.errors import DataCorrupt

_Topic = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
_Number = Annotated[str, Field(pattern=r"^-?[0-9]{1,19}$")]
_Settings = dict[Annotated[str, Field(max_length=255)], str]
NUMERIC_SETTINGS = ("retention.ms", "min.insync.replicas", "max.message.bytes", "delete.retention.ms")
"""Those a restore computes with."""


class _Open(BaseModel):
    """What later versions of a kind add is theirs."""

    model_config = ConfigDict(extra="allow", frozen=True)


class _Configs(_Open):
    topics: dict[_Topic, _Settings]


class _Group(_Open):
    group: Annotated[str, Field(max_length=32767)]
    offsets: tuple[tuple[_Topic, Annotated[int, Field(ge=0, lt=1 << 31)], Annotated[int, Field(ge=0, lt=1 << 63)]], ...]


class _Groups(_Open):
    groups: tuple[_Group, ...]


_SHAPES: Mapping[str, type[_Open]] = MappingProxyType({"configs": _Configs, "groups": _Groups})
_NUMBER: TypeAdapter[str] = TypeAdapter(_Number)


def read_state_json(kind: str, text: bytes | bytearray, *, where: str) -> dict[str, Any]:
    """Return the content of a state of that kind, as far as it is known what such a one looks like.

    Raises: DataCorrupt naming `where`.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise DataCorrupt(f"{where}: is no JSON") from exc
    if not isinstance(content, dict) or content.get("format") != f"replicator.state.{kind}/1":
        told = content.get("format") if isinstance(content, dict) else None
        raise DataCorrupt(f"{where}: is of format {told!r}")
    shape = _SHAPES.get(kind)
    if shape is None:
        return content
    try:
        checked = shape.model_validate(content)
        if isinstance(checked, _Configs):
            _check_numbers(checked)
    except ValidationError as exc:
        raise DataCorrupt(f"{where}: is not what a state of {kind} looks like", detail=str(exc)[:2000]) from exc
    return content


def _check_numbers(configs: _Configs) -> None:
    for settings in configs.topics.values():
        for name in NUMERIC_SETTINGS:
            if name in settings:
                _NUMBER.validate_python(settings[name])
