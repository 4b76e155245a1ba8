"""Rights: what the rules of each cluster lack of what is needed. Values to values."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence

from replicator.model.acls import AclBinding, PatternType, ResourceType
from replicator.model.rights import Holder, is_granted
from replicator.supervisor.doctor.facts import ClusterProbe
from replicator.supervisor.doctor.findings import Finding, Severity
from replicator.supervisor.doctor.rights import ClusterRights

_RESOURCE_FLAGS = {
    ResourceType.TOPIC: "--topic",
    ResourceType.GROUP: "--group",
    ResourceType.TRANSACTIONAL_ID: "--transactional-id",
}


def rights_findings(rights: Sequence[ClusterRights], clusters: Iterable[ClusterProbe]) -> Iterator[Finding]:
    """Yield one finding for each right that is missing, or one that all are there, or why that is not known."""
    by_name = {probe.name: probe for probe in clusters}
    for one in rights:
        probe = by_name.get(one.cluster)
        subject = f"{one.holder.value} on {one.cluster}"
        if probe is None or probe.trouble is not None:
            yield _unknown(subject, "the cluster does not answer")
        elif probe.has_authorizer is False:
            what = "this cluster checks no rights"
            yield Finding(check="rights", subject=subject, severity=Severity.SKIPPED, what=what)
        elif probe.rules is None:
            told = probe.rules_trouble.message if probe.rules_trouble else "its rules were not read"
            fix = f"grant DESCRIBE on the cluster: replicator acl show --for supervisor (missing on {one.cluster})"
            yield _unknown(subject, told, fix=fix)
        elif one.principal is None:
            yield _unknown(subject, "who logs in by certificate has a name that only the broker knows")
        else:
            yield from _compare(one, one.principal, probe, subject)


def _unknown(subject: str, why: str, *, fix: str | None = None) -> Finding:
    return Finding(
        check="rights", subject=subject, severity=Severity.UNKNOWN, what=f"could not be checked: {why}", fix=fix
    )


def _compare(rights: ClusterRights, principal: str, probe: ClusterProbe, subject: str) -> Iterator[Finding]:
    rules = probe.rules or ()
    missing = [need for need in rights.needs if not is_granted(need, rules, principal=principal)]
    is_named = any(rule.principal in (principal, "User:*") for rule in rules)
    if rights.holder is Holder.SUPERVISOR and not is_named:
        # We could list the rules and none of them lets us: what we may comes from elsewhere.
        what = f"no rule names {principal}, yet it may list them: a super user, or everybody may do everything"
        yield Finding(check="rights", subject=subject, severity=Severity.OK, what=what)
        return
    if not missing:
        what = f"{principal} has all {len(rights.needs)} rights"
        yield Finding(check="rights", subject=subject, severity=Severity.OK, what=what)
    for need in missing:
        yield Finding(
            check="rights",
            subject=subject,
            severity=Severity.BLOCKED,
            what=f"{principal} lacks {need.told} ({need.why})",
            fix=acl_command(need.binding(principal)),
        )


def acl_command(binding: AclBinding, *, bootstrap: str = "$BOOTSTRAP") -> str:
    """Return the kafka-acls command that adds the rule, one that denies too; names are quoted for a shell."""
    where = "--cluster" if binding.resource_type is ResourceType.CLUSTER else None
    resource = [where] if where else [_RESOURCE_FLAGS[binding.resource_type], shlex.quote(binding.name)]
    pattern = ["--resource-pattern-type", "prefixed"] if binding.pattern is PatternType.PREFIXED else []
    server = bootstrap if bootstrap.startswith("$") else shlex.quote(bootstrap)
    host = [] if binding.host == "*" else [f"--{binding.permission.value}-host", shlex.quote(binding.host)]
    words = [
        "kafka-acls.sh --bootstrap-server",
        server,
        f"--command-config admin.properties --add --{binding.permission.value}-principal",
        shlex.quote(binding.principal),
        *host,
        "--operation",
        _operation(binding),
        *resource,
        *pattern,
    ]
    return " ".join(words)


def _operation(binding: AclBinding) -> str:
    return "".join(part.capitalize() for part in binding.right.value.split("_"))
