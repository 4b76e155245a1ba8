"""Secured clusters from end to end with the rights of `acl show` and no other: mirror, snapshot, doctor, failover."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from replicator.cli.demo.secured import replace_rules, to_binding
from replicator.clock import Deadline
from replicator.http import HttpClient
from replicator.journal import Observations
from replicator.kafka import KafkaCluster
from replicator.lab import Lab
from replicator.model.acls import AclBinding, ResourceType
from replicator.model.cluster import Secret
from replicator.model.names import FlowName
from replicator.settings import load_settings
from replicator.settings.yaml_file import parse_yaml
from tests.pages import said

from .conftest import RECORDS, VIEWER, Face, make_face, use_own_worker, wait_until

CLUSTERS = ("east", "west")
OURS = ("User:mm2", "User:replicator")


def rules_of(admin: KafkaCluster) -> set[AclBinding]:
    """Return the rules that name us or MM2."""
    return {rule for rule in admin.acls.list(Deadline.after(30)) if rule.principal in OURS}


@pytest.fixture(scope="module")
def admins(secure_lab: Lab) -> Iterator[dict[str, KafkaCluster]]:
    """Both clusters as their administrator; afterwards the lab's own rules stand again."""
    with ExitStack() as stack:
        doors = {name: stack.enter_context(KafkaCluster(secure_lab.access(name, "admin"))) for name in CLUSTERS}
        before = {name: rules_of(door) for name, door in doors.items()}
        try:
            yield doors
        finally:
            for name, door in doors.items():
                replace_rules(door, before[name], Deadline.after(60))


@pytest.fixture(scope="module")
def secured(
    secure_lab: Lab, admins: dict[str, KafkaCluster], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Face]:
    """A running supervisor over one flow, everybody with exactly the rules that `acl show` prints."""
    made = make_face(secure_lab, tmp_path_factory.mktemp("secured"))
    use_own_worker(made)
    shown = made.answer("acl", "show")["items"]
    for name, door in admins.items():
        wanted = {to_binding(row) for row in shown if row["cluster"] == name}
        assert wanted
        replace_rules(door, wanted, Deadline.after(60))
        assert rules_of(door) == wanted
    made.run("repo", "init")
    made.run("apply")
    made.start()
    try:
        yield made
    finally:
        if made.process is not None and made.process.poll() is None:
            made.process.kill()
            made.process.wait(timeout=30)
        made.run("flow", "stop", made.flow, "--yes", status=None)


@pytest.mark.security
def test_doctor_finds_every_right_and_names_the_one_that_is_taken(
    secured: Face, admins: dict[str, KafkaCluster]
) -> None:
    """With the printed rules all is well; one rule less, and principal, right and topic are named, with the command
    that grants it; exit 4."""
    answer = secured.answer("doctor")
    assert {one["severity"] for one in answer["items"]} <= {"ok", "skipped"}
    assert [one["severity"] for one in answer["items"] if one["check"] == "rights"] == ["ok"] * 4
    taken = next(
        rule for rule in rules_of(admins["east"]) if (rule.principal, rule.name) == ("User:mm2", secured.topic)
    )
    admins["east"].acls.delete([taken], Deadline.after(30))
    try:
        blocked = secured.answer("doctor", "--only-issues", "--cluster", "east", status=4)["items"]
    finally:
        admins["east"].acls.create([taken], Deadline.after(30))
    (found,) = [one for one in blocked if one["severity"] == "blocked"]
    assert found["subject"] == "mirror on east"
    assert f"User:mm2 lacks {taken.right.value.upper()} on topic {secured.topic}" in found["what"]
    assert f"--topic {secured.topic}" in found["fix"]


@pytest.mark.security
def test_a_snapshot_goes_over_the_raw_path_with_tls(secured: Face) -> None:
    """Captured and proven through our own sockets, logged in by SCRAM."""
    taken = secured.answer("snapshot", "create", "--flow", secured.flow)["item"]
    assert taken["records"] == RECORDS
    secured.run("snapshot", "verify", taken["id"])


def name_application(secured: Face) -> None:
    """Say in the configuration as whom applications log in."""
    parsed = parse_yaml(secured.config.read_text(), name="secured")
    tree: Any = parsed.plain() if parsed is not None else {}
    password = secured.lab.folders.secrets / "app" / "password"
    for name in CLUSTERS:
        security = tree["clusters"][name]["security"]
        tree["clusters"][name]["application"] = {**security, "username": "app", "password": f"file:{password}"}
    secured.config.write_text(json.dumps(tree))


@pytest.mark.long
@pytest.mark.security
def test_there_and_back_with_least_rights(secured: Face) -> None:
    """A switchover fences applications by rules and moves; a failback starts the worker it needs and brings everything
    home: no right is lacking. With an application to probe as, the fence is proven; without one it would be told."""
    name_application(secured)
    moved = secured.answer("switchover", secured.flow, "--confirm", secured.flow)["item"]
    assert moved["fence"]["source"].startswith("acl: ")
    assert "at most" not in moved["fence"]["source"]
    assert {one["cluster"]: one["state"] for one in secured.answer("worker", "list")["items"]}["east"] == "gone"
    try:
        done = secured.answer("failback", secured.flow, "--confirm", secured.flow)["item"]
    finally:
        secured.run("worker", "stop", "east", "--yes")
    assert done["exceptions"] == []
    assert [(one["group"], one["grade"]) for one in done["groups"]] == [(secured.group, "EXACT")]


@pytest.fixture
def closed_west(admins: dict[str, KafkaCluster]) -> Iterator[set[AclBinding]]:
    """The applications' rights on west, which has none of them: a standby takes nothing."""
    app = {rule for rule in admins["west"].acls.list(Deadline.after(30)) if rule.principal == "User:app"}
    assert app
    admins["west"].acls.delete(app, Deadline.after(30))
    try:
        yield app
    finally:
        admins["west"].acls.create(app, Deadline.after(30))


def tell_active(secured: Face, cluster: str) -> int:
    """Return what a load balancer is answered that asks over TLS whether a cluster is the active one."""
    reach, token = load_settings(secured.config, secured.environ).api_reach(), Secret("env:TEST", VIEWER)
    with HttpClient(reach.url, token=token, ca_file=reach.ca_file, timeout_seconds=20.0) as client:
        return client.request("GET", f"/v1/flows/{secured.flow}/active?cluster={cluster}").status


def wait_staged(secured: Face) -> None:
    """Return once the standby knows what applications may do on east."""
    deadline = Deadline.after(60)
    with KafkaCluster(secured.lab.access("west", "admin")) as west:
        while "User:app" not in Observations(west).read(FlowName(secured.flow), deadline).access:
            deadline.check("the applications' rights are on the standby")
            time.sleep(0.5)


@pytest.mark.security
def test_a_failover_with_least_rights_moves_the_group(
    secured: Face, admins: dict[str, KafkaCluster], closed_west: set[AclBinding]
) -> None:
    """The runbook passes every step as `replicator`, the group stands on west where it stood on east, applications have
    the rights there that the supervisor saw on east, and the API tells over TLS who is active."""
    wait_staged(secured)
    staged = secured.answer(*said("the-active-is-gone", 3, flow=secured.flow))["items"]
    assert {row["principal"] for row in staged} == {"User:app"}
    assert not any(row["stands"] for row in staged)
    commands = secured.run("acl", "staged", secured.flow, "--commands").stdout.splitlines()
    assert len(commands) == len(staged)
    done = secured.answer("failover", secured.flow, "--confirm", secured.flow, "--accept", "split-brain", status=None)[
        "item"
    ]
    moved = {group["group"]: group for group in done["groups"]}
    assert set(moved) == {secured.group}
    assert moved[secured.group]["grade"] == "EXACT"
    given = {rule for rule in admins["west"].acls.list(Deadline.after(30)) if rule.principal == "User:app"}
    assert {(rule.name, rule.right.value) for rule in given} == {(row["name"], row["right"]) for row in staged}
    assert all(row["stands"] for row in secured.answer("acl", "staged", secured.flow)["items"])
    assert f"{len(given)} rules" in done["evidence"]["rights_given"]
    topics = {rule for rule in given if rule.resource_type is ResourceType.TOPIC}
    assert {rule.right for rule in topics} == {r.right for r in closed_west if r.resource_type is ResourceType.TOPIC}
    assert {rule.name for rule in topics} == {secured.topic}, "and none on what is west's own"
    wait_until(lambda: tell_active(secured, "west") == 200, what="the supervisor knows that west is active")
    assert tell_active(secured, "east") == 503
    with KafkaCluster(secured.lab.access("west", "app")) as west:
        found = west.groups.committed([secured.group], Deadline.after(30))[secured.group].committed
    assert set(found.values()) == {RECORDS // 4}
    assert secured.run("doctor", "--cluster", "west", status=None).returncode == 0
