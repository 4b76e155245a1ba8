"""One schema registry, over REST with confluent_kafka's client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType, TracebackType
from typing import Any, Self

from replicator.clock import Deadline
from replicator.errors import AccessDenied, ConfigInvalid, NotFound, OperationFailed, Unreachable
from replicator.model.archive.schemas import (
    RegistryAccess,
    RegistryContent,
    SchemaReference,
    SchemaVersion,
    SubjectRules,
)

REQUEST_SECONDS = 10.0
"""So long one request may take; the client itself tries it again twice."""
VERSIONS_MAX = 100_000
"""More than a registry is known to hold; one that goes on telling for ever is no registry."""
EVERYWHERE = ":*:"
"""The subject prefix that means every context."""
_IMPORT = "IMPORT"
_MISSING, _REFUSED_ACCESS, _SERVER_ERRORS = 404, (401, 403), 500


class SchemaRegistry:
    """Reads and writes the registry beside one cluster. A context manager; one thread at a time."""

    def __init__(self, access: RegistryAccess) -> None:
        """Raises: ConfigInvalid without the extra `registry`, or when a certificate cannot be used."""
        self._access = access
        self._vendor = _load()
        properties: dict[str, Any] = {
            "url": access.url,
            "timeout": REQUEST_SECONDS,
            "max.retries": 2,
            "retries.wait.ms": 200,
            "retries.max.wait.ms": 1000,
            "ssl.ca.location": access.ca_file,
            "ssl.certificate.location": access.certificate_file,
            "ssl.key.location": access.key_file,
        }
        if access.username is not None:
            password = access.password.value if access.password is not None else ""
            properties["basic.auth.user.info"] = f"{access.username}:{password}"
        try:
            self._client = self._vendor.SchemaRegistryClient({k: v for k, v in properties.items() if v is not None})
        except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
            raise ConfigInvalid(f"registries.{access.cluster}: a certificate cannot be used: {exc}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def read(self, deadline: Deadline) -> RegistryContent:
        """Return all the registry holds, of every context, with the deleted versions it still keeps.

        Raises: Unreachable; AccessDenied; NotFound when what answers is no registry; OperationFailed.
        """
        versions: list[SchemaVersion] = []
        rules = [SubjectRules(subject=None, mode=self._mode(None, deadline), config=self._config(None, deadline))]
        with self._doing("list the subjects", deadline):
            subjects = sorted(self._client.get_subjects(subject_prefix=EVERYWHERE, deleted=True))
        for subject in subjects:
            versions += self._read_subject(subject, deadline)
            if len(versions) > VERSIONS_MAX:
                raise OperationFailed(f"{self._name}: tells of more than {VERSIONS_MAX} versions")
            own = SubjectRules(
                subject=subject, mode=self._mode(subject, deadline), config=self._config(subject, deadline)
            )
            if own.mode is not None or own.config is not None:
                rules.append(own)
        return RegistryContent(versions=tuple(versions), rules=tuple(rules))

    def _read_subject(self, subject: str, deadline: Deadline) -> Iterator[SchemaVersion]:
        alive = self._versions(subject, deadline, deleted=False)
        for number in self._versions(subject, deadline, deleted=True):
            with self._doing(f"read {subject} version {number}", deadline):
                found = self._client.get_version(subject, number, deleted=True)
            schema = found.schema
            references = [(r.name, r.subject, r.version) for r in schema.references or ()]
            yield SchemaVersion(
                subject=subject,
                version=number,
                id=found.schema_id,
                schema_type=schema.schema_type or "AVRO",
                schema=schema.schema_str,
                references=tuple(SchemaReference(name=n, subject=s, version=v) for n, s, v in references),
                is_deleted=number not in alive,
                metadata=_told(schema.metadata),
                rules=_told(schema.rule_set),
            )

    def _versions(self, subject: str, deadline: Deadline, *, deleted: bool) -> list[int]:
        try:
            with self._doing(f"list the versions of {subject}", deadline):
                return sorted(self._client.get_versions(subject, deleted=deleted))
        except NotFound:
            if deleted:
                raise
            return []  # all of them are deleted

    def _mode(self, subject: str | None, deadline: Deadline) -> str | None:
        try:
            with self._doing("read the mode", deadline):
                return str(self._client.get_global_mode() if subject is None else self._client.get_mode(subject))
        except NotFound:
            if subject is None:
                raise
            return None

    def _config(self, subject: str | None, deadline: Deadline) -> dict[str, Any] | None:
        try:
            with self._doing("read the compatibility", deadline):
                told: dict[str, Any] = self._client.get_config(subject).to_dict()
        except NotFound:
            if subject is None:
                raise
            return None
        if "compatibilityLevel" in told:  # what a read says is written as `compatibility`
            told["compatibility"] = told.pop("compatibilityLevel")
        return told

    def find_id(self, subject: str, id: int, deadline: Deadline) -> str | None:  # noqa: A002 - the registry's word
        """Return the text of the schema with that id in the subject's context; None where there is none.

        Raises: Unreachable; AccessDenied; OperationFailed.
        """
        try:
            with self._doing(f"look for the id {id}", deadline):
                found = self._client.get_schema(id, subject_name=subject)
        except NotFound:
            return None
        return str(found.schema_str)

    def open_for_ids(self, subject: str, deadline: Deadline, *, has_versions: bool) -> None:
        """The subject takes schemas with the ids they come with. Raises: as `read`."""
        with self._doing(f"set the mode of {subject}", deadline):
            self._client.update_mode(subject, _IMPORT, force=has_versions)

    def register(self, version: SchemaVersion, deadline: Deadline, *, keeps_id: bool) -> int:
        """The version is registered; return its id. With `keeps_id` it has the id and number it came with.

        Raises: as `read`; OperationFailed when the registry refuses the schema or gave another id.
        """
        schema = self._to_vendor(version)
        if keeps_id:
            schema = self._vendor.RegisteredSchema(
                subject=None, version=version.version, schema_id=version.id, guid=None, schema=schema
            )
        self._client.clear_caches()  # a schema that was registered once would not be sent again
        with self._doing(f"register {version.subject} version {version.version}", deadline):
            found = int(self._client.register_schema_full_response(version.subject, schema).schema_id)
        if keeps_id and found != version.id:
            raise OperationFailed(
                f"{self._name}: {version.subject} version {version.version} got the id {found}, not {version.id}"
            )
        return found

    def find_number(self, version: SchemaVersion, deadline: Deadline) -> int:
        """Return under which number the subject has this schema. Raises: as `read`."""
        self._client.clear_caches()
        with self._doing(f"look up {version.subject}", deadline):
            found = self._client.lookup_schema(version.subject, self._to_vendor(version), deleted=True)
        return int(found.version)

    def delete_version(self, subject: str, number: int, deadline: Deadline) -> None:
        """The version is deleted and kept, as registries do. Raises: as `read`."""
        with self._doing(f"delete {subject} version {number}", deadline):
            self._client.delete_version(subject, number)

    def set_rules(self, rules: SubjectRules, deadline: Deadline) -> None:
        """Mode and configuration of a subject are these; where one is None the whole registry's counts again.

        The mode goes first and comes last: a read-only subject takes no configuration.
        Raises: as `read`.
        """
        subject = rules.subject
        with suppress(NotFound), self._doing(f"clear the mode of {subject}", deadline):
            self._client.delete_mode(subject)
        if rules.config is None:
            with suppress(NotFound), self._doing(f"clear the compatibility of {subject}", deadline):
                self._client.delete_config(subject)
        else:
            with self._doing(f"set the compatibility of {subject}", deadline):
                self._client.set_config(subject, self._vendor.ServerConfig.from_dict(dict(rules.config)))
        if rules.mode is not None:
            with self._doing(f"set the mode of {subject}", deadline):
                self._client.update_mode(subject, rules.mode)

    def _to_vendor(self, version: SchemaVersion) -> Any:
        vendor = self._vendor
        references = [
            vendor.SchemaReference(name=r.name, subject=r.subject, version=r.version) for r in version.references
        ]
        return vendor.Schema(
            schema_str=version.schema,
            schema_type=version.schema_type,
            references=references,
            metadata=None if version.metadata is None else vendor.Metadata.from_dict(dict(version.metadata)),
            rule_set=None if version.rules is None else vendor.RuleSet.from_dict(dict(version.rules)),
        )

    @property
    def _name(self) -> str:
        return f"registry of {self._access.cluster} ({self._access.url})"

    @contextmanager
    def _doing(self, what: str, deadline: Deadline) -> Iterator[None]:
        """Let only our errors out. Raises: DeadlineExceeded before anything is asked too late."""
        from confluent_kafka.schema_registry.common._httpx_compat import httpx
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        deadline.check(f"{self._name}: {what}")
        try:
            yield
        except SchemaRegistryError as exc:
            raise _translate(exc, f"{self._name}: cannot {what}: {exc.error_message}") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise Unreachable(f"{self._name}: cannot {what}: {str(exc) or type(exc).__name__}") from exc
        except (TypeError, ValueError, AttributeError, KeyError) as exc:
            raise OperationFailed(f"{self._name}: cannot {what}: its answer is none of a registry") from exc


def _told(part: Any) -> dict[str, Any] | None:
    """Return a part of a schema as its registry tells it, without the empty lists that the client adds."""
    return None if part is None else {key: value for key, value in part.to_dict().items() if value}


def _translate(error: Any, message: str) -> Exception:
    status = error.http_status_code
    if status == _MISSING:
        return NotFound(message)
    if status in _REFUSED_ACCESS:
        return AccessDenied(message, hint="the registry wants another user, or the user more rights")
    return Unreachable(message) if status >= _SERVER_ERRORS else OperationFailed(message)


def _load() -> ModuleType:
    try:
        import confluent_kafka.schema_registry as vendor
    except ImportError as exc:
        raise ConfigInvalid(
            f"a schema registry needs the package {exc.name}", hint="pip install 'replicator[registry]'"
        ) from exc
    return vendor
