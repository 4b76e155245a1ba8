"""Find the configuration, read it, and hand it out as the values the rooms below take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from replicator.errors import ConfigInvalid, NotFound
from replicator.model.archive.schemas import RegistryAccess
from replicator.model.archive.unlocking import Unlock
from replicator.model.cluster import ClusterAccess, Secret, Security
from replicator.model.flow import Flow
from replicator.model.names import ClusterName
from replicator.settings.checks import find_problems
from replicator.settings.clusters import ClusterSettings, ConnectAccess, ConnectTopics, Runtime, SecuritySettings
from replicator.settings.document import Document
from replicator.settings.overrides import apply_overrides, override_variables
from replicator.settings.problems import Sources, config_invalid, nearest, problems_of, show_path
from replicator.settings.secrets import check_token, private_file, readable_file, resolve_secret
from replicator.settings.upkeep import FailoverSettings, SnapshotsSettings, SupervisorSettings
from replicator.settings.yaml_file import Node, parse_yaml, read_text

FILE_VARIABLE = "REPLICATOR_CONFIG"
SECRETS_FOLDER = "secrets"
"""In the folder of a worker of ours: the files that its connectors refer to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A bearer token of the API. `role` is viewer or operator."""

    name: str
    role: str
    secret: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiServing:
    """How the API is served. `certificate_file` and `key_file` are both there or both None: plain HTTP."""

    listen: str
    tokens: tuple[ApiToken, ...]
    hosts: frozenset[str]
    certificate_file: str | None
    key_file: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiReach:
    """How a command reaches the API."""

    url: str
    token: Secret | None
    ca_file: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """One key, what it holds, and where that came from: file:line:column, a variable, or the default."""

    key: str
    value: object
    origin: str


@dataclass(frozen=True)
class Settings:
    """A configuration that was read, checked and found to fit together. Secrets are still references."""

    document: Document
    path: Path | None
    sources: Sources = field(repr=False)
    environ: Mapping[str, str] = field(repr=False)

    @property
    def clusters(self) -> tuple[ClusterName, ...]:
        """Names of the clusters."""
        return tuple(map(ClusterName, self.document.clusters))

    @cached_property
    def flows(self) -> tuple[Flow, ...]:
        """All flows, in the file's order."""
        return tuple(settings.to_flow(name) for name, settings in self.document.flows.items())

    @property
    def snapshots(self) -> SnapshotsSettings:
        """The section `snapshots`."""
        return self.document.snapshots

    @property
    def failover(self) -> FailoverSettings:
        """The section `failover`."""
        return self.document.failover

    @property
    def supervisor(self) -> SupervisorSettings:
        """The section `supervisor`."""
        return self.document.supervisor

    @property
    def folder(self) -> Path:
        """What relative paths in the configuration are relative to."""
        return (self.path.parent if self.path else Path()).absolute()

    @property
    def store(self) -> str | None:
        """Where the repository lives: an absolute path, or a URL as it was given."""
        store = self.snapshots.store
        if store is None or "://" in store:
            return store
        return str(self.folder / Path(store).expanduser())

    def flow(self, name: str) -> Flow:
        """Return the flow of that name.

        Raises:
            NotFound: there is none; the error lists those there are.
        """
        self._expect("flow", name, self.document.flows)
        return next(flow for flow in self.flows if flow.name == name)

    def cluster_access(self, name: str) -> ClusterAccess:
        """Return all a door needs to reach the cluster, its secrets fetched now.

        Raises:
            NotFound: no such cluster. ConfigInvalid: a secret or a certificate cannot be had.
        """
        return self._access(name, self.cluster_section(name).security, "security")

    def cluster_section(self, name: str) -> ClusterSettings:
        """Return what the configuration says of a cluster.

        Raises:
            NotFound: no such cluster; the error lists those there are.
        """
        self._expect("cluster", name, self.document.clusters)
        return self.document.clusters[name]

    def _access(self, name: str, security: SecuritySettings, key: str) -> ClusterAccess:
        cluster = self.document.clusters[name]
        return ClusterAccess(
            name=ClusterName(name),
            bootstrap=cluster.bootstrap,
            cluster_id=cluster.cluster_id,
            security=self._security(security, ("clusters", name, key)),
        )

    def mirror_access(self, name: str) -> ClusterAccess:
        """Return all that MirrorMaker 2 needs to reach the cluster: its own way, or ours where it has none.

        Raises: as `cluster_access`.
        """
        mirror = self.cluster_section(name).mirror
        return self.cluster_access(name) if mirror is None else self._access(name, mirror, "mirror")

    def house_principals(self, flow: Flow) -> frozenset[str]:
        """Return the principals on the flow's clusters that are no application's: ours and MirrorMaker's."""
        ways = [read(name) for name in (flow.source, flow.target) for read in (self.cluster_access, self.mirror_access)]
        return frozenset(f"User:{way.security.username}" for way in ways if way.security.username is not None)

    def application_access(self, name: str) -> ClusterAccess | None:
        """Return how an application reaches the cluster; None where none is configured.

        Raises: as `cluster_access`.
        """
        self._expect("cluster", name, self.document.clusters)
        cluster = self.document.clusters[name]
        if cluster.application is None:
            return None
        return ClusterAccess(
            name=ClusterName(name),
            bootstrap=cluster.bootstrap,
            cluster_id=cluster.cluster_id,
            security=self._security(cluster.application, ("clusters", name, "application")),
        )

    def connect_of(self, cluster: str) -> ConnectAccess:
        """Return the Connect beside `cluster`, the one that writes to it.

        Raises:
            NotFound: none is configured. ConfigInvalid: its password cannot be had.
        """
        topics = self.connect_topics(cluster)
        connect, path = self.document.connect[cluster], ("connect", cluster)
        return ConnectAccess(
            cluster=ClusterName(cluster),
            runtime=connect.runtime,
            url=connect.url,
            group_id=topics.group_id,
            offsets_topic=topics.offsets_topic,
            configs_topic=topics.configs_topic,
            status_topic=topics.status_topic,
            replication_factor=connect.replication_factor,
            heap_mib=connect.heap_mib,
            image=connect.image,
            username=connect.username,
            password=self._secret(connect.password, (*path, "password")),
            ca_file=self._file(connect.ca_file, (*path, "ca_file")),
            folder=str(self._worker_folder(cluster)),
            secrets_folder=connect.secrets_folder
            if connect.runtime is Runtime.EXTERNAL
            else self._our_secrets(cluster),
        )

    def _worker_folder(self, cluster: str) -> Path:
        configured = self.document.connect[cluster].folder
        if configured is not None:
            return self.folder / Path(configured).expanduser()
        shared = self.environ.get("XDG_STATE_HOME") or Path(self.environ.get("HOME") or "/") / ".local" / "state"
        return Path(shared) / "replicator" / "connect" / cluster

    def _our_secrets(self, cluster: str) -> str:
        return str(self._worker_folder(cluster) / SECRETS_FOLDER)

    def connect_topics(self, cluster: str) -> ConnectTopics:
        """Return what the Connect beside `cluster` calls its group and topics; no secret is fetched.

        Raises:
            NotFound: none is configured.
        """
        self._expect("Connect of cluster", cluster, self.document.connect)
        connect = self.document.connect[cluster]
        group_id = connect.group_id or f"{self.supervisor.topic_prefix}.connect.{cluster}"
        return ConnectTopics(
            group_id=group_id,
            offsets_topic=connect.offsets_topic or f"{group_id}.offsets",
            configs_topic=connect.configs_topic or f"{group_id}.configs",
            status_topic=connect.status_topic or f"{group_id}.status",
        )

    def connect_url(self, cluster: str) -> str:
        """Return where the REST of the Connect beside `cluster` answers."""
        self._expect("Connect of cluster", cluster, self.document.connect)
        return self.document.connect[cluster].url

    def registry_access(self, cluster: str) -> RegistryAccess | None:
        """Return how the schema registry beside `cluster` is reached; None where none is configured.

        Raises:
            ConfigInvalid: a secret or a certificate cannot be had.
        """
        registry, path = self.document.registries.get(cluster), ("registries", cluster)
        if registry is None:
            return None
        return RegistryAccess(
            cluster=ClusterName(cluster),
            url=registry.url,
            username=registry.username,
            password=self._secret(registry.password, (*path, "password")),
            ca_file=self._file(registry.ca_file, (*path, "ca_file")),
            certificate_file=self._file(registry.certificate_file, (*path, "certificate_file")),
            key_file=self._private(registry.key_file, (*path, "key_file")),
        )

    def api_serving(self) -> ApiServing:
        """Return how the API is served, its tokens fetched now.

        Raises:
            ConfigInvalid: a token, the certificate or the key cannot be had, or a token can be none.
        """
        api, path = self.supervisor.api, ("supervisor", "api")
        tokens = tuple(
            ApiToken(name=name, role=token.role, secret=self._token(token.secret, (*path, "tokens", name, "secret")))
            for name, token in api.tokens.items()
        )
        return ApiServing(
            listen=self.supervisor.listen,
            tokens=tokens,
            hosts=frozenset(api.hosts),
            certificate_file=self._file(api.certificate_file, (*path, "certificate_file")),
            key_file=self._private(api.key_file, (*path, "key_file")),
        )

    def api_reach(self) -> ApiReach:
        """Return how a command on this configuration reaches the API.

        Raises:
            ConfigInvalid: the token or the authorities cannot be had.
        """
        client, path = self.supervisor.api.client, ("supervisor", "api", "client")
        scheme = "https" if self.supervisor.api.certificate_file else "http"
        return ApiReach(
            url=client.url or url_of(self.supervisor.listen, scheme=scheme),
            token=self._secret(client.token, (*path, "token")),
            ca_file=self._file(client.ca_file, (*path, "ca_file")),
        )

    def signing_key(self) -> Secret | None:
        """Return the key that signs manifests, fetched now; None where none is configured.

        Raises:
            ConfigInvalid: it cannot be had.
        """
        return self._secret(self.snapshots.signing_key, ("snapshots", "signing_key"))

    def unlock(self) -> Unlock:
        """Return what opens an encrypted repository, fetched now; nothing where encryption is not configured.

        Raises:
            ConfigInvalid: it cannot be had.
        """
        wanted = self.snapshots.encryption
        if wanted is None:
            return Unlock()
        path = ("snapshots", "encryption")
        identity = self._secret(wanted.identity, (*path, "identity"))
        passphrase = self._secret(wanted.passphrase, (*path, "passphrase"))
        return Unlock(
            recipients=wanted.recipients,
            identity=None if identity is None else identity.value,
            passphrase=None if passphrase is None else passphrase.value,
        )

    def origins(self) -> tuple[Origin, ...]:
        """Return every key with its value and where it came from."""
        plain = self.document.model_dump(mode="json", by_alias=True)
        return tuple(Origin(show_path(path), value, self._origin(path)) for path, value in _leaves(plain, ()))

    def _origin(self, path: tuple[str, ...]) -> str:
        is_given = any(path[:length] in self.sources.variables for length in range(len(path), 0, -1))
        is_written = self.sources.root is not None and self.sources.root.at(path) is not None
        return self.sources.place_of(path) if is_given or is_written else "default"

    def _security(self, security: SecuritySettings, path: tuple[str, ...]) -> Security:
        return Security(
            protocol=security.protocol,
            mechanism=security.mechanism,
            username=security.username,
            password=self._secret(security.password, (*path, "password")),
            ca_file=self._file(security.ca_file, (*path, "ca_file")),
            certificate_file=self._file(security.certificate_file, (*path, "certificate_file")),
            key_file=self._private(security.key_file, (*path, "key_file")),
            key_password=self._secret(security.key_password, (*path, "key_password")),
        )

    def _secret(self, reference: str | None, path: tuple[str, ...]) -> Secret | None:
        if reference is None:
            return None
        return self._need(reference, path)

    def _need(self, reference: str, path: tuple[str, ...]) -> Secret:
        return resolve_secret(reference, where=self._where(path), environ=self.environ, folder=self.folder)

    def _token(self, reference: str, path: tuple[str, ...]) -> Secret:
        secret = self._need(reference, path)
        check_token(secret, where=self._where(path))
        return secret

    def _private(self, path: str | None, key: tuple[str, ...]) -> str | None:
        return path and private_file(path, where=self._where(key), folder=self.folder)

    def _file(self, path: str | None, key: tuple[str, ...]) -> str | None:
        return path and readable_file(path, where=self._where(key), folder=self.folder)

    def _where(self, path: tuple[str, ...]) -> str:
        return f"{self.sources.place_of(path)}: {show_path(path)}"

    def _expect(self, kind: str, name: str, known: Mapping[str, object]) -> None:
        if name in known:
            return
        near = nearest(name, known)
        names = ", ".join(known) or "none"
        raise NotFound(
            f"there is no {kind} {name!r} in {self.sources.name}",
            hint=f"did you mean {near}? known: {names}" if near else f"known: {names}",
        )


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*path, key))
    else:
        yield path, value


def url_of(listen: str, *, scheme: str) -> str:
    """Return where a server that listens there is reached from this machine."""
    host, _, port = listen.rpartition(":")
    everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - recognised here, not bound
    return f"{scheme}://{everywhere.get(host, host)}:{port}"


def candidate_paths(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where a configuration is looked for without `--config`, the first that exists wins."""
    home = Path(environ.get("HOME") or "/")
    shared = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return (Path("replicator.yaml"), shared / "replicator" / "config.yaml", Path("/etc/replicator/config.yaml"))


def find_config(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    """Return the file to read: `path`, else REPLICATOR_CONFIG, else the first that exists; None without any."""
    if path is not None:
        return path
    if named := environ.get(FILE_VARIABLE):
        return Path(named)
    return next((candidate for candidate in candidate_paths(environ) if candidate.is_file()), None)


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the configuration: environment over file over defaults, every key checked.

    Raises:
        ConfigInvalid: there is none, or it cannot be used; the message names file, line, column and key.
    """
    place = find_config(path, environ)
    if place is None and not override_variables(environ):
        looked = ", ".join(map(str, candidate_paths(environ)))
        raise ConfigInvalid(
            f"there is no configuration: looked for {looked}",
            hint="name one with --config FILE; configs/example.yaml is a start, `replicator lab up` writes one to try",
        )
    root = None if place is None else parse_yaml(read_text(place), name=str(place))
    return settings_of(root, path=place, environ=environ)


def settings_of(root: Node | None, *, path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings a parsed file and the environment make together.

    Raises:
        ConfigInvalid: they cannot be used.
    """
    tree = {"apiVersion": "replicator/v1"} if root is None else root.plain()
    if not isinstance(tree, dict):
        raise ConfigInvalid(f"{path}:1:1: a configuration is a section: keys and values")
    sources = Sources(str(path) if path else "the environment", root, apply_overrides(tree, environ))
    try:
        document = Document.model_validate(tree)
    except ValidationError as error:
        raise config_invalid(problems_of(error), sources) from None
    if problems := find_problems(document):
        raise config_invalid(problems, sources)
    return Settings(document, path, sources, environ)
