"""The sections `snapshots`, `failover` and `supervisor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from replicator.model.archive.keeping import KeepRule
from replicator.settings.values import (
    Address,
    Cron,
    Duration,
    FilePath,
    HostName,
    Name,
    SecretReference,
    Section,
    Store,
    TopicText,
    Url,
    Zone,
    duration_of,
)

_Count = Annotated[int, Field(ge=0, le=100_000)]


class KeepSettings(Section):
    """Which snapshots of a schedule to keep; a snapshot any rule wants is kept."""

    last: _Count = Field(default=0, description="How many of the newest.")
    hourly: _Count = Field(default=0, description="The newest of each of so many hours.")
    daily: _Count = Field(default=0, description="The newest of each of so many days.")
    weekly: _Count = Field(default=0, description="The newest of each of so many ISO weeks.")
    monthly: _Count = Field(default=0, description="The newest of each of so many months.")
    yearly: _Count = Field(default=0, description="The newest of each of so many years.")
    within: Duration | None = Field(default=None, description="All younger than this: a number with s, m, h, d or w.")
    tags: tuple[Annotated[str, StringConstraints(min_length=1, max_length=200)], ...] = Field(
        default=(), description="All that carry one of these tags, for ever."
    )
    minimum: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=1, description="So many of the newest stay, whatever the rest says."
    )

    @property
    def is_empty(self) -> bool:
        """Whether no rule keeps anything."""
        return not any(self.model_dump(exclude={"minimum"}).values())

    def to_rule(self, *, tag: str, zone: str) -> KeepRule:
        """Return the rule for the snapshots that carry `tag`, with days and hours of `zone`."""
        counts = self.model_dump(exclude={"within", "tags"})
        within = None if self.within is None else duration_of(self.within).total_seconds()
        return KeepRule(**counts, within_seconds=within, tags=frozenset(self.tags), tag=tag, zone=zone)


class ScheduleSettings(Section):
    """When to take a snapshot of a flow's standby, to prove its snapshots again, or to drill a failover of it."""

    kind: Literal["snapshot", "verify", "drill"] = Field(
        default="snapshot",
        description="snapshot: capture the flow's target and prove it; verify: prove all its snapshots again; drill: "
        "rehearse its failover on clones.",
    )

    cron: Cron = Field(description="Five fields: minute, hour, day, month, weekday.", examples=["15 2 * * *"])
    timezone: Zone = Field(
        default="UTC", description="IANA name of the zone the cron is read in; UTC knows no summer time."
    )
    misfire: Literal["once", "skip"] = Field(
        default="once",
        description="Runs that fell due while no supervisor was there. once: one run makes up for them as soon as "
        "one is; skip: the next moment of the cron is awaited.",
    )
    overlap: Literal["skip", "queue"] = Field(
        default="skip",
        description="A run that falls due while the one before goes on, or while an operation holds the flow. skip: it "
        "is missed; queue: one waits and begins as soon as it may.",
    )
    flow: Name = Field(description="The flow whose target is captured, or whose failover is rehearsed.")
    keep: KeepSettings | None = Field(
        default=None, description="Retention of its snapshots; without it everything is kept."
    )


class EncryptionSettings(Section):
    """Encrypts snapshots before they leave this machine. Either an identity with recipients, or a passphrase."""

    recipients: tuple[Annotated[str, StringConstraints(pattern=r"^(age1|ssh-)[\x20-\x7e]+$", max_length=4096)], ...] = (
        Field(
            default=(),
            description="Public age keys (age1…, ssh-…) that open the repository; one the identity's, one kept away.",
        )
    )
    identity: SecretReference | None = Field(
        default=None, description="The age identity (AGE-SECRET-KEY-1…) that opens it here, by reference."
    )
    passphrase: SecretReference | None = Field(
        default=None, description="Instead of both: a passphrase, by reference. Trying it takes a second and 128 MiB."
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        if self.passphrase is not None and (self.identity is not None or self.recipients):
            raise ValueError("a passphrase excludes recipients and identity")
        if self.passphrase is None and self.identity is None and not self.recipients:
            raise ValueError("needs an identity with recipients, or a passphrase")
        return self


class SnapshotsSettings(Section):
    """Point-in-time copies of the standby."""

    store: Store | None = Field(
        default=None,
        description="Where the repository lives: a folder (relative to this file) or s3://BUCKET/PREFIX, gs://, az://. "
        "Credentials come from the environment.",
    )
    signing_key: SecretReference | None = Field(
        default=None, description="Ed25519 private key (PEM) that signs manifests, by reference."
    )
    object_lock: Duration | None = Field(
        default=None,
        description="The bucket's default object lock, for `repo lock-report`: a number with s, m, h, d or w.",
    )
    encryption: EncryptionSettings | None = Field(
        default=None, description="Client-side encryption of record data and states; null: none."
    )
    schedules: Mapping[Name, ScheduleSettings] = Field(default={}, description="Named schedules.")


class HookSettings(Section):
    """One command to run: an argument list, no shell. It gets OP, STEP and EPOCH in its environment."""

    argv: tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")], ...] = Field(
        min_length=1, description="Program and arguments."
    )
    timeout_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="After so many seconds its process group is killed."
    )
    verify: tuple[Annotated[str, StringConstraints(pattern=r"^[^\x00]*$")], ...] | None = Field(
        default=None,
        min_length=1,
        description="Run after it, within as long: ends with 0 only where what the command is for is so. Without it "
        "the command's own 0 is believed, and a fence is no more than attested.",
    )


class HooksSettings(Section):
    """Commands of yours that a runbook calls; each must be repeatable."""

    fence: tuple[HookSettings, ...] = Field(default=(), description="Make the old active refuse writes.")
    unfence: tuple[HookSettings, ...] = Field(default=(), description="Undo fence, before the point of no return.")
    promote: tuple[HookSettings, ...] = Field(default=(), description="Point clients at the new active.")


class FailoverSettings(Section):
    """How an outage is met."""

    mode: Literal["off", "advise", "auto"] = Field(
        default="advise",
        description="advise: say what is lost and which command to run; auto: run it; off: say nothing.",
    )
    fence: Literal["acl", "hook", "attested", "none"] = Field(
        default="acl", description="How the old active is kept from accepting writes while it still answers."
    )
    access_rules: Literal["activate", "leave"] = Field(
        default="activate",
        description="activate: at promote, applications get the rights on the new active that they have on the "
        "old one; leave: you see to that.",
    )
    outage_seconds: float = Field(
        default=60.0,
        ge=1,
        le=86_400,
        description="So long must every sign of an outage hold before it is taken for one.",
    )
    loss_max: int | None = Field(
        default=None,
        ge=0,
        description="auto: where more records may be lost, a human decides; by default the flow's rpo_records.",
    )
    hooks: HooksSettings = Field(default=HooksSettings(), description="Commands of yours.")


class TokenSettings(Section):
    """A bearer token of the API; its name is told in the audit, the token itself never."""

    role: Literal["viewer", "operator"] = Field(
        default="viewer", description="viewer: reads; operator: may also ask for acts."
    )
    secret: SecretReference = Field(
        description="The token, by reference: env:NAME or file:/path. At least 20 characters."
    )


class ApiClientSettings(Section):
    """How commands of this configuration reach the API; REPLICATOR_URL and REPLICATOR_TOKEN come before it."""

    url: Url | None = Field(
        default=None, description="Where the API is reached; by default what supervisor.listen says."
    )
    token: SecretReference | None = Field(default=None, description="The token commands send, by reference.")
    ca_file: FilePath | None = Field(
        default=None,
        description="PEM file of the authorities that sign the API's certificate; without it, the system's.",
    )


class ApiSettings(Section):
    """Who may ask the supervisor over HTTP. Without tokens everybody on this machine reads and nobody acts."""

    tokens: Mapping[Name, TokenSettings] = Field(
        default={}, description="Named tokens; required when supervisor.listen is seen by other machines."
    )
    certificate_file: FilePath | None = Field(
        default=None, description="PEM file of the API's certificate chain; required where other machines see it."
    )
    key_file: FilePath | None = Field(
        default=None, description="PEM file of the certificate's key; refused if others than its owner can read it."
    )
    hosts: tuple[HostName, ...] = Field(
        default=(),
        description="Names by which clients may call the API, besides addresses and localhost; others get 421.",
    )
    client: ApiClientSettings = Field(
        default=ApiClientSettings(), description="How commands of this configuration reach it."
    )


class SupervisorSettings(Section):
    """The daemon."""

    id: Name = Field(
        default="main", description="Its transactional id is replicator.ID: an old holder of it is fenced."
    )
    listen: Address = Field(
        default="127.0.0.1:9108", description="host:port of API and metrics; the default is seen by this machine alone."
    )
    api: ApiSettings = Field(default=ApiSettings(), description="Who may ask it over HTTP, and how it proves itself.")
    metrics: Literal["flow", "topic", "partition"] = Field(
        default="topic",
        description="How finely /metrics tells lag and progress. By partition a scrape grows with the clusters; beyond "
        "20,000 series the finest are left out and counted.",
    )
    topic_prefix: TopicText = Field(
        default="__replicator",
        description="First part of the names of our own topics; the double underscore keeps flows off.",
    )
    session_seconds: float = Field(
        default=10.0,
        ge=1,
        le=300,
        description="How long a process that died keeps the right to act; the brokers' group.min.session.timeout.ms "
        "(6 s by default) is the least they grant.",
    )
