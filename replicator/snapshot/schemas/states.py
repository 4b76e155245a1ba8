"""The state `schemas` (FORMAT.md), written and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replicator.errors import DataCorrupt
from replicator.model.archive.schemas import RegistryContent, SchemaReference, SchemaVersion, SubjectRules

_Number = Annotated[int, Field(ge=1, lt=1 << 31)]
_Id = Annotated[int, Field(ge=0, lt=1 << 31)]
_Subject = Annotated[str, Field(min_length=1, max_length=4096)]


class _Open(BaseModel):
    """What later versions add is theirs."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Reference(_Open):
    name: str
    subject: _Subject
    version: _Number


class _Version(_Open):
    subject: _Subject
    version: _Number
    id: _Id
    schema_type: str
    text: str = Field(alias="schema")
    references: tuple[_Reference, ...]
    is_deleted: bool
    metadata: dict[str, Any] | None
    rules: dict[str, Any] | None


class _Rules(_Open):
    subject: _Subject | None
    mode: str | None
    config: dict[str, Any] | None


class _Schemas(_Open):
    versions: tuple[_Version, ...]
    rules: tuple[_Rules, ...]


def content_to_json(content: RegistryContent) -> dict[str, Any]:
    """Return the content of a state `schemas`, less its format."""
    return {
        "versions": [
            {
                "subject": one.subject,
                "version": one.version,
                "id": one.id,
                "schema_type": one.schema_type,
                "schema": one.schema,
                "references": [{"name": r.name, "subject": r.subject, "version": r.version} for r in one.references],
                "is_deleted": one.is_deleted,
                "metadata": one.metadata,
                "rules": one.rules,
            }
            for one in content.versions
        ],
        "rules": [{"subject": one.subject, "mode": one.mode, "config": one.config} for one in content.rules],
    }


def content_from_json(state: Mapping[str, Any], *, where: str) -> RegistryContent:
    """Return what a state `schemas` holds. Raises: DataCorrupt naming `where` when it is none, or names one twice."""
    try:
        found = _Schemas.model_validate(state)
    except ValidationError as exc:
        raise DataCorrupt(f"{where}: is not what a state of schemas looks like", detail=str(exc)[:2000]) from exc
    content = RegistryContent(
        versions=tuple(_to_version(one) for one in found.versions),
        rules=tuple(SubjectRules(subject=one.subject, mode=one.mode, config=one.config) for one in found.rules),
    )
    if len({one.place for one in content.versions}) < len(content.versions):
        raise DataCorrupt(f"{where}: names a version twice")
    return content


def _to_version(one: _Version) -> SchemaVersion:
    return SchemaVersion(
        subject=one.subject,
        version=one.version,
        id=one.id,
        schema_type=one.schema_type,
        schema=one.text,
        references=tuple(SchemaReference(name=r.name, subject=r.subject, version=r.version) for r in one.references),
        is_deleted=one.is_deleted,
        metadata=one.metadata,
        rules=one.rules,
    )
