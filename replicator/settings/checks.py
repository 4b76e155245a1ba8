"""What no single key can know: whether the sections of a configuration fit together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations

from replicator.model.flow import Flow, Naming
from replicator.model.names import TopicName
from replicator.settings.clusters import ClusterSettings, ConnectSettings, RegistrySettings, Runtime, SecuritySettings
from replicator.settings.document import Document
from replicator.settings.problems import Problem, nearest
from replicator.settings.upkeep import ScheduleSettings
from replicator.settings.values import host_of, is_literal, is_loopback

_SECRET_OVERRIDE = re.compile(r"(?i)password|secret|jaas|(^|\.)(sasl|ssl)\.|credential|token")


def find_problems(document: Document) -> list[Problem]:
    """Return everything that does not fit together."""
    return [
        *_all_clusters(document),
        *_all_connects(document),
        *_all_registries(document),
        *_all_flows(document),
        *_flow_pairs(document),
        *_all_schedules(document),
        *_automat(document),
        *_hooks(document),
        *_api(document),
    ]


def _all_clusters(document: Document) -> Iterator[Problem]:
    for name, cluster in document.clusters.items():
        for section in ("security", "mirror", "application"):
            security: SecuritySettings | None = getattr(cluster, section)
            for key, why in security_problems(security) if security is not None else ():
                yield Problem(("clusters", name, section, *([key] if key else [])), why)
    for (name, one), (other_name, other) in combinations(document.clusters.items(), 2):
        if shared := _same_cluster(one, other):
            yield Problem(
                ("clusters", other_name, shared), f"the same {shared} as cluster {name}: one cluster, one name"
            )


def _same_cluster(one: ClusterSettings, other: ClusterSettings) -> str | None:
    if one.cluster_id is not None and one.cluster_id == other.cluster_id:
        return "cluster_id"
    addresses = set(one.bootstrap.lower().split(","))
    return None if addresses.isdisjoint(other.bootstrap.lower().split(",")) else "bootstrap"


def security_problems(security: SecuritySettings) -> Iterator[tuple[str | None, str]]:
    """Yield each key (None: the section) and what is wrong with it."""
    if not security.is_encrypted and not security.insecure:
        yield None, f"{security.protocol} is not encrypted: set protocol to SSL or SASL_SSL, or say `insecure: true`"
    if security.is_encrypted and security.insecure:
        yield "insecure", f"{security.protocol} is encrypted and certificates are always checked: leave it out"
    yield from _login_problems(security)
    yield from _certificate_problems(security)


def _login_problems(security: SecuritySettings) -> Iterator[tuple[str, str]]:
    for key in ("mechanism", "username", "password"):
        value = getattr(security, key)
        if security.is_sasl and value is None:
            yield key, f"is required by {security.protocol}"
        if not security.is_sasl and value is not None:
            yield key, f"{security.protocol} has no login: use SASL_SSL, or leave it out"


def _certificate_problems(security: SecuritySettings) -> Iterator[tuple[str, str]]:
    for key in ("ca_file", "certificate_file", "key_file", "key_password"):
        if not security.is_encrypted and getattr(security, key) is not None:
            yield key, f"{security.protocol} uses no certificates: leave it out"
    if (security.certificate_file is None) != (security.key_file is None):
        key, other = ("key_file", "certificate_file")[:: 1 if security.key_file is None else -1]
        yield key, f"is required together with {other}"
    if security.key_password is not None and security.key_file is None:
        yield "key_password", "there is no key_file it could open"


def _all_connects(document: Document) -> Iterator[Problem]:
    for name, connect in document.connect.items():
        path = ("connect", name)
        if name not in document.clusters:
            yield Problem(path, f"there is no cluster {name}", nearest(name, document.clusters))
        for key, why in _connect_problems(connect):
            yield Problem((*path, key), why)
    for (name, one), (other_name, other) in combinations(document.connect.items(), 2):
        if one.url == other.url:
            yield Problem(
                ("connect", other_name, "url"),
                f"the same as for cluster {name}: a Connect writes to one cluster, each target has its own",
            )


def _all_registries(document: Document) -> Iterator[Problem]:
    for name, registry in document.registries.items():
        path = ("registries", name)
        if name not in document.clusters:
            yield Problem(path, f"there is no cluster {name}", nearest(name, document.clusters))
        for key, why in _registry_problems(registry):
            yield Problem((*path, key), why)


def _registry_problems(registry: RegistrySettings) -> Iterator[tuple[str, str]]:
    if (registry.username is None) != (registry.password is None):
        yield ("password" if registry.password is None else "username"), "username and password go together"
    if (registry.certificate_file is None) != (registry.key_file is None):
        yield ("key_file" if registry.key_file is None else "certificate_file"), "certificate and key go together"
    for key in ("ca_file", "certificate_file"):
        if registry.url.startswith("http://") and getattr(registry, key) is not None:
            yield key, "http uses no certificates: leave it out, or use https"


def _connect_problems(connect: ConnectSettings) -> Iterator[tuple[str, str]]:
    if connect.runtime is Runtime.EXTERNAL and "url" not in connect.model_fields_set:
        yield "url", "is required by runtime external"
    if connect.runtime is not Runtime.DOCKER and connect.image is not None:
        yield "image", "only runtime docker runs an image"
    if connect.runtime is Runtime.EXTERNAL and connect.folder is not None:
        yield "folder", "only a worker of ours (runtime process or docker) keeps files here"
    if connect.runtime is not Runtime.EXTERNAL and connect.secrets_folder is not None:
        yield "secrets_folder", "a worker of ours finds its secrets in its own folder: leave it out"
    if (connect.username is None) != (connect.password is None):
        yield ("password" if connect.password is None else "username"), "username and password go together"
    if connect.replication_factor == 0:
        yield "replication_factor", "is at least 1, or -1 for the broker's default"


def _all_flows(document: Document) -> Iterator[Problem]:
    for name, flow in document.flows.items():
        for end in ("source", "target"):
            cluster = getattr(flow, end)
            if cluster not in document.clusters:
                yield Problem(
                    ("flows", name, end), f"there is no cluster {cluster}", nearest(cluster, document.clusters)
                )
        yield from _flow_problems(name, flow.to_flow(name), document)


def _flow_problems(name: str, flow: Flow, document: Document) -> Iterator[Problem]:
    path = ("flows", name)
    if flow.source == flow.target:
        yield Problem((*path, "target"), "source and target are the same cluster")
    elif flow.target in document.clusters and flow.target not in document.connect:
        yield Problem((*path, "target"), f"there is no connect.{flow.target}: a flow runs on the Connect of its target")
    if flow.naming is Naming.PREFIX and "." in flow.source:
        yield Problem(
            (*path, "naming"),
            f"prefix cannot tell {flow.source}.TOPIC apart: MirrorMaker 2 ends the cluster's name at the first dot",
        )
    for key in flow.connector:
        if _SECRET_OVERRIDE.search(key):
            yield Problem((*path, "connector", key), "security comes from clusters.NAME.security, never from here")


def _flow_pairs(document: Document) -> Iterator[Problem]:
    flows = [settings.to_flow(name) for name, settings in document.flows.items()]
    for one, other in combinations(flows, 2):
        if why := _clash(one, other):
            yield Problem(("flows", other.name, "topics"), why)


def _clash(one: Flow, other: Flow) -> str | None:
    """Return why two flows cannot both run, as far as topics named literally can show it."""
    if (one.source, one.target) == (other.target, other.source) and one.naming is other.naming is Naming.IDENTITY:
        if topic := _shared_literal(one, other):
            return f"{topic} would loop: flow {one.name} carries it the other way; one topic has one direction"
    elif one.target == other.target and (topic := _same_remote(one, other)):
        return f"{topic} on {one.target} would have two writers: flow {one.name} writes it too"
    return None


def _shared_literal(one: Flow, other: Flow) -> str | None:
    return next(
        (topic for topic in _literals(one, other) if one.carries_topic(topic) and other.carries_topic(topic)), None
    )


def _same_remote(one: Flow, other: Flow) -> str | None:
    topic = _shared_literal(one, other)
    if topic is None or one.remote_topic(TopicName(topic)) != other.remote_topic(TopicName(topic)):
        return None
    return one.remote_topic(TopicName(topic))


def _literals(*flows: Flow) -> list[str]:
    return [pattern for flow in flows for pattern in flow.topics.include if is_literal(pattern)]


def _all_schedules(document: Document) -> Iterator[Problem]:
    schedules: Mapping[str, ScheduleSettings] = document.snapshots.schedules
    for name, schedule in schedules.items():
        path = ("snapshots", "schedules", name)
        if schedule.flow not in document.flows:
            yield Problem((*path, "flow"), f"there is no flow {schedule.flow}", nearest(schedule.flow, document.flows))
        if schedule.keep is not None and schedule.keep.is_empty:
            yield Problem((*path, "keep"), "keeps nothing: give at least one rule, or leave it out to keep everything")
        if schedule.kind != "snapshot" and schedule.keep is not None:
            yield Problem((*path, "keep"), f"is about snapshots: a schedule of kind {schedule.kind} takes none")
    if document.snapshots.store is None and any(one.kind != "drill" for one in schedules.values()):
        yield Problem(("snapshots", "store"), "is required by snapshots.schedules")


def _automat(document: Document) -> Iterator[Problem]:
    """Who lets a failover begin by itself says how much it may lose."""
    if document.failover.mode != "auto" or document.failover.loss_max is not None:
        return
    for name, flow in document.flows.items():
        if flow.objectives.rpo_records is None:
            why = f"`auto` needs failover.loss_max, or objectives.rpo_records of flow {name}"
            yield Problem(("failover", "mode"), why)


def _hooks(document: Document) -> Iterator[Problem]:
    if document.failover.fence == "hook" and not document.failover.hooks.fence:
        yield Problem(("failover", "fence"), "`hook` needs failover.hooks.fence")


def _api(document: Document) -> Iterator[Problem]:
    """What other machines see takes TLS and a token: a status tells topics, groups and loss."""
    path, api = ("supervisor", "api"), document.supervisor.api
    if (api.certificate_file is None) != (api.key_file is None):
        lacking = "key_file" if api.key_file is None else "certificate_file"
        yield Problem((*path, lacking), "certificate_file and key_file go together")
    host = host_of(document.supervisor.listen)
    lacking_parts = [
        what
        for what, has in (
            ("a token (supervisor.api.tokens)", bool(api.tokens)),
            ("TLS (supervisor.api.certificate_file, key_file)", api.certificate_file is not None),
        )
        if not has
    ]
    if lacking_parts and not is_loopback(host):
        why = f"{host} is seen by other machines and lacks {' and '.join(lacking_parts)}; or listen on 127.0.0.1"
        yield Problem(("supervisor", "listen"), why)
