"""What the facts mean: findings, each with its fix. Values to values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from replicator.connect import CHECKPOINT_CLASS, SOURCE_CLASS
from replicator.errors import AccessDenied, NotFound
from replicator.model.cluster import SecurityProtocol
from replicator.supervisor.doctor.facts import ClusterProbe, ConnectProbe, DoctorFacts, StoreProbe, Trouble
from replicator.supervisor.doctor.findings import Finding, Severity
from replicator.supervisor.doctor.flows import flow_findings
from replicator.supervisor.doctor.grants import rights_findings

PRODUCE, FETCH, METADATA = 0, 1, 3
APIS = {PRODUCE: ("Produce", 9), FETCH: ("Fetch", 12)}
"""The raw path names topics, which Kafka speaks up to these versions."""
METADATA_WITH_IDS = 10
"""Topic ids, by which a topic made again is told apart, are in Metadata from this version on (Kafka 2.8)."""
WORKER_VERSION_MIN = (3, 7)
"""POST with `initial_state` and PATCH of offsets: a connector is made STOPPED, and placed before it runs."""
FINDINGS_TOLD = 3
_UNENCRYPTED = (SecurityProtocol.PLAINTEXT, SecurityProtocol.SASL_PLAINTEXT)


def examine(facts: DoctorFacts) -> tuple[Finding, ...]:
    """Return everything that was looked at, in the order to mend it; every complaint says what to do."""
    return tuple(map(_with_fix, _examine(facts)))


def _with_fix(finding: Finding) -> Finding:
    """What could not be looked at has no fix of its own: it comes to light when what stands before it is mended."""
    if finding.fix is not None or not finding.severity.is_complaint:
        return finding
    return replace(finding, fix="mend what is blocked first, then replicator doctor")


def _examine(facts: DoctorFacts) -> tuple[Finding, ...]:
    return (
        *_config(facts),
        *(one for probe in facts.clusters for one in _cluster(probe)),
        *_one_cluster_one_name(facts.clusters),
        *(one for probe in facts.connects for one in _connect(probe, facts.clusters)),
        *(one for probe in facts.flows for one in flow_findings(probe)),
        *rights_findings(facts.rights, facts.clusters),
        *_store(facts.store),
        *_unfinished(facts.unfinished),
    )


def _config(facts: DoctorFacts) -> Iterator[Finding]:
    for trouble in facts.secrets:
        yield Finding(
            check="secrets",
            subject="configuration",
            severity=Severity.BLOCKED,
            what=trouble.message,
            fix=trouble.hint or "replicator config validate --secrets",
        )
    for advice in facts.advice:
        fix = "see configs/example.yaml, then replicator config validate"
        yield Finding(check="config", subject="configuration", severity=Severity.WARNING, what=advice, fix=fix)
    if not facts.secrets and not facts.advice:
        told = "valid, every secret and certificate can be read"
        yield Finding(check="config", subject="configuration", severity=Severity.OK, what=told)


def _cluster(probe: ClusterProbe) -> Iterator[Finding]:
    yield from _encryption(probe)
    if probe.trouble is not None:
        yield _unreachable(f"clusters.{probe.name}", probe.trouble)
        yield Finding(
            check="cluster-id",
            subject=probe.name,
            severity=Severity.UNKNOWN,
            what="could not be checked: the cluster does not answer",
        )
        return
    told = f"answers with {probe.brokers} broker{'' if probe.brokers == 1 else 's'}"
    yield Finding(check="reachability", subject=f"clusters.{probe.name}", severity=Severity.OK, what=told)
    yield _identity(probe)
    yield _apis(probe)
    yield from _journal(probe)


def _journal(probe: ClusterProbe) -> Iterator[Finding]:
    """What is wrong with the journal there. One whose chain is broken lets nothing begin; strays cost nothing."""
    proof = probe.journal
    if proof is None or proof.is_whole:
        return
    yield Finding(
        check="journal",
        subject=f"clusters.{probe.name}",
        severity=Severity.WARNING if proof.is_readable else Severity.BLOCKED,
        what="; ".join(proof.findings[:FINDINGS_TOLD]),
        fix="replicator audit verify",
    )


def _encryption(probe: ClusterProbe) -> Iterator[Finding]:
    """Plain text was allowed aloud (`insecure: true`): told, and no complaint."""
    if probe.protocol in _UNENCRYPTED:
        yield Finding(
            check="encryption",
            subject=probe.name,
            severity=Severity.OK,
            what=f"{probe.protocol.value}: nothing is encrypted, as `insecure: true` allows",
        )


def _unreachable(subject: str, trouble: Trouble) -> Finding:
    fix = trouble.hint
    if fix is None or fix.startswith("replicator doctor"):
        name = subject.rpartition(".")[2]
        is_denied = trouble.code == AccessDenied.code
        fix = f"correct clusters.{name}.security" if is_denied else f"correct clusters.{name}.bootstrap, or start it"
    return Finding(check="reachability", subject=subject, severity=Severity.BLOCKED, what=trouble.message, fix=fix)


def _identity(probe: ClusterProbe) -> Finding:
    if probe.configured_id is None:
        severity, what = Severity.WARNING, f"answers as {probe.cluster_id}; the configuration does not say who it is"
    elif probe.configured_id != probe.cluster_id:
        severity = Severity.BLOCKED
        what = f"answers as {probe.cluster_id}, the configuration says {probe.configured_id}"
    else:
        return Finding(check="cluster-id", subject=probe.name, severity=Severity.OK, what=f"is {probe.cluster_id}")
    fix = f"set clusters.{probe.name}.cluster_id: {probe.cluster_id}, if that is the cluster you mean"
    return Finding(check="cluster-id", subject=probe.name, severity=severity, what=what, fix=fix)


def _apis(probe: ClusterProbe) -> Finding:
    """The raw path: snapshots and counts go over it, with sockets, TLS and log-in of its own."""
    if probe.apis is None:
        trouble = probe.apis_trouble
        told = trouble.message if trouble else "was not asked"
        severity = Severity.BLOCKED if trouble and trouble.code == AccessDenied.code else Severity.UNKNOWN
        return Finding(
            check="versions",
            subject=probe.name,
            severity=severity,
            what=f"raw path: {told}",
            fix=trouble.hint if trouble else None,
        )
    wrong = [
        f"{name} {probe.apis[key][0]} to {probe.apis[key][1]}, needed {version}"
        for key, (name, version) in APIS.items()
        if key in probe.apis and not probe.apis[key][0] <= version <= probe.apis[key][1]
    ]
    if probe.apis.get(METADATA, (0, 0))[1] < METADATA_WITH_IDS:
        wrong.append("no topic ids: older than Kafka 2.8")
    if wrong:
        return Finding(
            check="versions",
            subject=probe.name,
            severity=Severity.BLOCKED,
            what="; ".join(wrong),
            fix=f"upgrade {probe.name} to Kafka 3 or 4",
        )
    spoken = ", ".join(f"{name} up to {probe.apis[key][1]}" for key, (name, _) in APIS.items() if key in probe.apis)
    return Finding(
        check="versions",
        subject=probe.name,
        severity=Severity.OK,
        what=f"speaks what snapshots and counts need: {spoken}",
    )


def _one_cluster_one_name(clusters: Sequence[ClusterProbe]) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for probe in clusters:
        if probe.cluster_id is None:
            continue
        first = seen.setdefault(probe.cluster_id, probe.name)
        if first != probe.name:
            yield Finding(
                check="cluster-id",
                subject=probe.name,
                severity=Severity.BLOCKED,
                what=f"is the same cluster as {first} ({probe.cluster_id})",
                fix=f"correct clusters.{probe.name}.bootstrap, then replicator config validate",
            )


def _connect(probe: ConnectProbe, clusters: Iterable[ClusterProbe]) -> Iterator[Finding]:
    subject = f"connect.{probe.cluster}"
    if probe.worker is None:
        yield _absent_worker(probe, subject)
        return
    yield _worker_version(probe, subject)
    beside = next((one for one in clusters if one.name == probe.cluster), None)
    if beside is not None and beside.cluster_id not in (None, probe.worker.kafka_cluster_id):
        yield Finding(
            check="cluster-id",
            subject=subject,
            severity=Severity.BLOCKED,
            what=f"the worker writes to {probe.worker.kafka_cluster_id}, {probe.cluster} is {beside.cluster_id}",
            fix=f"correct {subject}.url: a worker's bootstrap.servers is the cluster it writes to",
        )
    yield _plugins(probe, subject)


def _absent_worker(probe: ConnectProbe, subject: str) -> Finding:
    told = probe.trouble.message if probe.trouble else "does not answer"
    fix = f"replicator worker start {probe.cluster}" if probe.is_ours else f"start it, or correct {subject}.url"
    if not probe.is_needed:
        told = f"does not answer; no flow runs on it, a failback would need it ({told})"
    severity = Severity.BLOCKED if probe.is_needed else Severity.SKIPPED
    return Finding(check="connect", subject=subject, severity=severity, what=told, fix=fix)


def _worker_version(probe: ConnectProbe, subject: str) -> Finding:
    version = probe.worker.version if probe.worker else ""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if len(numbers) < 2:
        what = f"the worker calls its version {version!r}"
        fix = f"let {subject}.url be a Kafka Connect of Kafka 3.7 or later"
        return Finding(check="versions", subject=subject, severity=Severity.UNKNOWN, what=what, fix=fix)
    if numbers < WORKER_VERSION_MIN:
        return Finding(
            check="versions",
            subject=subject,
            severity=Severity.BLOCKED,
            what=f"Kafka Connect {version} cannot make a connector STOPPED, nor place it",
            fix="upgrade its workers to Kafka 3.7 or later",
        )
    return Finding(check="versions", subject=subject, severity=Severity.OK, what=f"Kafka Connect {version}")


def _plugins(probe: ConnectProbe, subject: str) -> Finding:
    if probe.plugins is None:
        told = probe.trouble.message if probe.trouble else "were not read"
        fix = f"let {subject} answer GET /connector-plugins, then replicator doctor"
        return Finding(check="plugins", subject=subject, severity=Severity.UNKNOWN, what=told, fix=fix)
    loaded = {plugin.class_name: plugin for plugin in probe.plugins}
    missing = [name for name in (SOURCE_CLASS, CHECKPOINT_CLASS) if name not in loaded]
    if missing:
        return Finding(
            check="plugins",
            subject=subject,
            severity=Severity.BLOCKED,
            what=f"the worker cannot load {', '.join(missing)}",
            fix="put connect-mirror and connect-mirror-client of its Kafka version on plugin.path, restart the workers",
        )
    what = f"MirrorMaker 2 {loaded[SOURCE_CLASS].version}"
    return Finding(check="plugins", subject=subject, severity=Severity.OK, what=what)


def _store(probe: StoreProbe | None) -> Iterator[Finding]:
    if probe is None:
        what = "no snapshots.store is configured"
        yield Finding(check="store", subject="snapshots", severity=Severity.SKIPPED, what=what)
    elif probe.trouble is None:
        what = f"{probe.snapshots} snapshots in {probe.url}"
        yield Finding(check="store", subject="snapshots.store", severity=Severity.OK, what=what)
    elif probe.trouble.code == NotFound.code:
        yield Finding(
            check="store",
            subject="snapshots.store",
            severity=Severity.WARNING,
            what=f"there is no repository in {probe.url}",
            fix="replicator repo init",
        )
    else:
        yield Finding(
            check="store",
            subject="snapshots.store",
            severity=Severity.BLOCKED,
            what=probe.trouble.message,
            fix=probe.trouble.hint or "correct snapshots.store, or its credentials",
        )


def _unfinished(names: Sequence[str]) -> Iterator[Finding]:
    for name in names:
        yield Finding(
            check="time",
            subject=name,
            severity=Severity.UNKNOWN,
            what="was not read within the time there was: its checks could not be made",
            fix="replicator doctor --timeout 2m",
        )
