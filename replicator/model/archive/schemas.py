"""What a schema registry holds, and what bringing it back takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from replicator.model.cluster import Secret
from replicator.model.names import ClusterName, SnapshotId

DEFAULT_CONTEXT = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """All a door needs to reach the registry beside one cluster."""

    cluster: ClusterName
    url: str
    username: str | None = None
    password: Secret | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaReference:
    """A schema that another one needs, under the name by which it is imported there."""

    name: str
    subject: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaVersion:
    """One version of a subject. `metadata` and `rules` are the registry's own JSON; None where it has none."""

    subject: str
    version: int
    id: int
    schema_type: str
    schema: str
    references: tuple[SchemaReference, ...] = ()
    is_deleted: bool = False
    metadata: Mapping[str, Any] | None = None
    rules: Mapping[str, Any] | None = None

    @property
    def place(self) -> tuple[str, int]:
        """Subject and version."""
        return self.subject, self.version

    @property
    def context(self) -> str:
        """The context its id counts in; a subject `:.NAME:REST` is of the context `.NAME`."""
        return context_of(self.subject)

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two versions the same schema, wherever they stand."""
        return self.schema_type, self.schema, self.references, self.metadata, self.rules


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRules:
    """What was set on one subject itself, or on the whole registry (`subject` None); None where nothing was."""

    subject: str | None
    mode: str | None = None
    config: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryContent:
    """Everything a registry told, deleted versions too that it still keeps, by subject and version."""

    versions: tuple[SchemaVersion, ...]
    rules: tuple[SubjectRules, ...]


class IdRule(StrEnum):
    """SAME: every schema has the id it had. MAP: the registry gives new ids, and the report says which."""

    SAME = "same"
    MAP = "map"


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaStep:
    """One captured version on its way. `there` is what the target has of it already, None for nothing."""

    version: SchemaVersion
    there: SchemaVersion | None = None

    @property
    def must_register(self) -> bool:
        """Whether the target lacks it, or has deleted what is to be alive."""
        return self.there is None or (self.there.is_deleted and not self.version.is_deleted)

    @property
    def must_delete(self) -> bool:
        """Whether it is to be deleted, and is not yet."""
        return self.version.is_deleted and not (self.there is not None and self.there.is_deleted)


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemasPlan:
    """What a restore of schemas would do, in this order. `refusals` empty: it may be done.

    `rules` are the captured ones of every subject that does not stand under them yet, or is worked on.
    """

    snapshot: SnapshotId
    cluster: ClusterName
    ids: IdRule
    steps: tuple[SchemaStep, ...]
    rules: tuple[SubjectRules, ...]
    refusals: tuple[str, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedId:
    """A captured id and the one that the same schema has on the target."""

    subject: str
    version: int
    captured: int
    restored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemasReport:
    """What a restore of schemas did. `moved` lists every version whose id is another one now."""

    snapshot: SnapshotId
    cluster: ClusterName
    ids: IdRule
    subjects: int
    versions: int
    registered: int
    deleted: int
    moved: tuple[MovedId, ...]
    warnings: tuple[str, ...] = ()


def context_of(subject: str) -> str:
    """Return the context a subject is in."""
    if subject.startswith(":."):
        return subject[1:].partition(":")[0]
    return DEFAULT_CONTEXT
