"""The whole configuration file as one value, and its JSON Schema."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal

from pydantic import BaseModel, Field

from replicator.settings.clusters import ClusterSettings, ConnectSettings, RegistrySettings
from replicator.settings.flows import FlowSettings
from replicator.settings.upkeep import FailoverSettings, SnapshotsSettings, SupervisorSettings
from replicator.settings.values import Name, Section

API_VERSION = "replicator/v1"
SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"

Path = tuple[str | int, ...]


class Document(Section):
    """A replicator configuration."""

    api_version: Literal["replicator/v1"] = Field(
        alias="apiVersion", description="The version of this format; within v1 keys are only added."
    )
    clusters: Mapping[Name, ClusterSettings] = Field(default={}, description="Kafka clusters by name.")
    connect: Mapping[Name, ConnectSettings] = Field(
        default={}, description="The Kafka Connect beside each cluster, by its name."
    )
    registries: Mapping[Name, RegistrySettings] = Field(
        default={}, description="The schema registry beside each cluster, by its name."
    )
    flows: Mapping[Name, FlowSettings] = Field(default={}, description="Replications by name.")
    snapshots: SnapshotsSettings = Field(
        default=SnapshotsSettings(), description="Point-in-time copies of the standby."
    )
    failover: FailoverSettings = Field(default=FailoverSettings(), description="How an outage is met.")
    supervisor: SupervisorSettings = Field(default=SupervisorSettings(), description="The daemon.")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration file."""
    schema = Document.model_json_schema(by_alias=True)
    return {"$schema": SCHEMA_DIALECT, **schema, "title": "replicator configuration"}


def known_keys(path: Path) -> tuple[str, ...]:
    """Return the keys the section at `path` knows; none where any name may stand, or where no section is."""
    section = _type_at(path)
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        return ()
    return tuple(field.alias or name for name, field in section.model_fields.items())


def known_values(path: Path) -> tuple[str, ...]:
    """Return the words that may stand at `path`; none where they cannot be listed."""
    kind = _type_at(path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return tuple(str(member.value) for member in kind)
    return tuple(map(str, typing.get_args(kind))) if typing.get_origin(kind) is Literal else ()


def _type_at(path: Path) -> Any:
    kind: Any = Document
    for part in path:
        kind = _step(kind, part)
    return kind


def _step(kind: Any, part: str | int) -> Any:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        return _bare(fields[part].annotation) if part in fields else None
    if _is_mapping(kind) or (typing.get_origin(kind) is tuple and isinstance(part, int)):
        arguments = typing.get_args(kind)
        return _bare(arguments[1] if _is_mapping(kind) else arguments[0])
    return None


def _bare(annotation: Any) -> Any:
    """Return the annotation without Annotated and without None."""
    if hasattr(annotation, "__metadata__"):
        return _bare(annotation.__origin__)
    choices = [choice for choice in typing.get_args(annotation) if choice is not type(None)]
    is_optional = type(None) in typing.get_args(annotation) and len(choices) == 1
    return _bare(choices[0]) if is_optional else annotation


def _is_mapping(kind: Any) -> bool:
    origin = typing.get_origin(kind)
    return isinstance(origin, type) and issubclass(origin, Mapping) and not issubclass(origin, Sequence)
