"""`demo --secure`: the same story on secured clusters, with the rights of `acl show` and not one more."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from replicator.cli.demo import data
from replicator.cli.demo.home import HOMEWARD, go_home
from replicator.cli.demo.story import SCENES, Scene, Stage, configure, watch_lag_fall
from replicator.clock import Deadline
from replicator.errors import OperationFailed
from replicator.jvm import write_private
from replicator.kafka import KafkaCluster
from replicator.model.acls import AclBinding, PatternType, ResourceType, Right

GRANTED = "Just the rights of acl show"
ENCRYPTED = "Nothing travels in plain text"


def supervisor_section(stage: Stage) -> dict[str, Any]:
    """Return how the demo's supervisor is served and asked: TLS by the lab's authority, a token from a file."""
    token = stage.folder / "viewer-token"
    write_private(token, secrets.token_urlsafe(32))
    keys = stage.lab.folders.secrets
    return {
        "api": {
            "tokens": {"demo": {"role": "viewer", "secret": f"file:{token}"}},
            "certificate_file": str(keys / "broker.pem"),
            "key_file": str(keys / "broker.pem"),
            "client": {"token": f"file:{token}", "ca_file": str(keys / "ca.pem")},
        }
    }


def grant_just_enough(stage: Stage) -> str:
    """Leave supervisor and MM2 with the rules that `acl show` prints, and with no other."""
    shown = stage.shell.run("acl", "show").items
    deadline = Deadline.after(60, clock=stage.clock)
    counts = []
    for cluster in ("east", "west"):
        wanted = {to_binding(row) for row in shown if row["cluster"] == cluster}
        with KafkaCluster(stage.lab.access(cluster, "admin")) as admin:
            replace_rules(admin, wanted, deadline)
        counts.append(f"{len(wanted)} on {cluster}")
    return f"rules of mm2 and replicator: {', '.join(counts)}; every other of theirs is gone"


def to_binding(row: Mapping[str, Any]) -> AclBinding:
    """Return a row of `acl show -o json` as a rule."""
    return AclBinding(
        principal=row["principal"],
        resource_type=ResourceType(row["resource_type"]),
        name=row["name"],
        pattern=PatternType(row["pattern"]),
        right=Right(row["right"]),
    )


def replace_rules(admin: KafkaCluster, wanted: Iterable[AclBinding], deadline: Deadline) -> None:
    """Leave the principals of `wanted` with exactly these rules; at no moment with less of them than before."""
    rules = set(wanted)
    principals = {rule.principal for rule in rules}
    admin.acls.create(rules, deadline)
    surplus = {rule for rule in admin.acls.list(deadline) if rule.principal in principals} - rules
    admin.acls.delete(surplus, deadline)
    while {rule for rule in admin.acls.list(deadline) if rule.principal in principals} != rules:
        deadline.check("the cluster does not show the rules it was given")
        deadline.clock.sleep(deadline.capped(0.1))  # a broker learns of a rule a moment after the controller


def ask_doctor(stage: Stage) -> str:
    """Let doctor compare the rules of both clusters with what is needed, and status be told by the live supervisor."""
    answer = stage.shell.run("doctor", allowed=(0, 3))
    found = {(one["subject"], one["severity"]) for one in answer.items if one["check"] == "rights"}
    told = ", ".join(f"{subject}: {severity}" for subject, severity in sorted(found))
    is_granted = len(found) == 4 and {severity for _, severity in found} == {"ok"}
    stage.report.promise(GRANTED, told, is_kept=is_granted)
    status = stage.shell.run("status").item
    is_hidden = status["is_standalone"] is False and not any(one["check"] == "encryption" for one in answer.items)
    evidence = "SASL_SSL for control, raw path, Connect and MM2; the API by https with a token"
    stage.report.promise(ENCRYPTED, evidence, is_kept=is_hidden)
    if not is_granted:
        raise OperationFailed(f"doctor names rights that are missing: {told}")
    return f"{len(answer.items)} findings, worst: {'none' if answer.exit_status == 0 else 'a warning'}"


def grant_rebuild(stage: Stage) -> str:
    """Give the one right that `acl show` does not print: to delete a topic that is made anew at home."""
    rule = AclBinding(
        principal="User:replicator",
        resource_type=ResourceType.TOPIC,
        name=data.PLANES,
        pattern=PatternType.LITERAL,
        right=Right.DELETE,
    )
    with KafkaCluster(stage.lab.access("east", "admin")) as admin:
        admin.acls.create([rule], Deadline.after(60, clock=stage.clock))
    return f"replicator may delete {data.PLANES} on east"


def secured_scenes() -> tuple[Scene, ...]:
    """Return the story with what it takes on secured clusters put where it belongs."""
    scenes: list[Scene] = []
    for scene in (*SCENES, *HOMEWARD):
        if scene.play is go_home:
            scenes.append(Scene("Grant what a rebuild needs", grant_rebuild))
        scenes.append(scene)
        if scene.play is configure:
            scenes.append(Scene("Grant just the rights of acl show", grant_just_enough))
        if scene.play is watch_lag_fall:
            scenes.append(Scene("Ask the doctor", ask_doctor))
    return tuple(scenes)
