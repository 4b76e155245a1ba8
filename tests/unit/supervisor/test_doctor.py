"""What doctor says of clusters, workers, rights and the store: facts bent one at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from replicator.connect import CHECKPOINT_CLASS, SOURCE_CLASS
from replicator.journal import JournalProof
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import SecurityProtocol
from replicator.model.connectors import Plugin, WorkerInfo
from replicator.model.names import ClusterName
from replicator.model.rights import Holder, NeededRight
from replicator.supervisor.doctor import ClusterRights, DoctorFacts, Finding, Severity, examine, worst_of
from replicator.supervisor.doctor.facts import ClusterProbe, ConnectProbe, StoreProbe, Trouble
from replicator.supervisor.doctor.grants import acl_command

EAST, WEST = ClusterName("east"), ClusterName("west")
APIS = {0: (3, 13), 1: (4, 18), 3: (0, 13)}
SILENT = Trouble(code="endpoint.unreachable", message="cluster east: nobody answers")
DENIED = Trouble(code="access.denied", message="cluster east: SASL refused", hint="replicator doctor --cluster east")


def cluster(name: ClusterName = EAST, **changes: Any) -> ClusterProbe:
    made = ClusterProbe(
        name=name,
        protocol=SecurityProtocol.SASL_SSL,
        configured_id=f"id-{name}",
        cluster_id=f"id-{name}",
        brokers=3,
        apis=APIS,
        has_authorizer=True,
        rules=(),
    )
    return replace(made, **changes)


PLUGINS = [Plugin(SOURCE_CLASS, "source", "4.3.1"), Plugin(CHECKPOINT_CLASS, "source", "4.3.1")]


def connect(**changes: Any) -> ConnectProbe:
    made = ConnectProbe(
        cluster=WEST,
        url="http://c:8083",
        is_ours=False,
        is_needed=True,
        worker=WorkerInfo("4.3.1", "id-west"),
        plugins=PLUGINS,
    )
    return replace(made, **changes)


def facts(**changes: Any) -> DoctorFacts:
    made = DoctorFacts(
        advice=[],
        secrets=[],
        clusters=[cluster(EAST), cluster(WEST)],
        connects=[connect()],
        flows=[],
        rights=[],
        store=None,
    )
    return replace(made, **changes)


def complaints(given: DoctorFacts) -> list[Finding]:
    return [one for one in examine(given) if one.severity.is_complaint]


def test_a_sound_world_has_no_complaint() -> None:
    """Nothing is wrong, and everything that was looked at is said."""
    found = examine(facts())
    assert worst_of(found) is Severity.SKIPPED
    assert {one.check for one in found} == {"config", "reachability", "cluster-id", "versions", "plugins", "store"}


def test_a_journal_that_was_written_by_others_is_told() -> None:
    """Values that are no records cost nothing and are a warning; a broken chain lets nothing begin. A whole one is
    no line."""
    strange = JournalProof(cluster=WEST, records=3, heads={}, witnesses=0, findings=("1 value is no record",))
    told = complaints(facts(clusters=[cluster(EAST), cluster(WEST, journal=strange)]))
    assert [(one.severity, one.subject, one.what) for one in told] == [
        (WARNING, "clusters.west", "1 value is no record")
    ]
    broken = replace(strange, is_readable=False)
    assert [one.severity for one in complaints(facts(clusters=[cluster(EAST, journal=broken)]))] == [BLOCKED]
    assert complaints(facts(clusters=[cluster(EAST, journal=replace(strange, findings=()))])) == []


WARNING, BLOCKED, UNKNOWN = Severity.WARNING, Severity.BLOCKED, Severity.UNKNOWN
OLD = {**APIS, 3: (0, 9)}
NEW = {**APIS, 1: (13, 20)}
BENDS: list[tuple[str, dict[str, Any], str, Severity, str]] = [
    ("a secret", {"secrets": [SILENT]}, "secrets", BLOCKED, "nobody answers"),
    ("advice", {"advice": ["flows.a has no objectives"]}, "config", WARNING, "no objectives"),
    ("another id", {"clusters": [cluster(cluster_id="id-x")]}, "cluster-id", BLOCKED, "answers as id-x"),
    ("no id", {"clusters": [cluster(configured_id=None)]}, "cluster-id", WARNING, "does not say who it is"),
    (
        "one cluster, two names",
        {"clusters": [cluster(EAST), cluster(WEST, cluster_id="id-east", configured_id="id-east")], "connects": []},
        "cluster-id",
        BLOCKED,
        "the same cluster as east",
    ),
    ("old brokers", {"clusters": [cluster(apis=OLD)]}, "versions", BLOCKED, "no topic ids"),
    ("brokers too new", {"clusters": [cluster(apis=NEW)]}, "versions", BLOCKED, "Fetch 13 to 20, needed 12"),
    (
        "raw path refused",
        {"clusters": [cluster(apis=None, apis_trouble=DENIED)]},
        "versions",
        BLOCKED,
        "raw path: cluster east: SASL refused",
    ),
    ("worker gone", {"connects": [connect(worker=None, trouble=SILENT)]}, "connect", BLOCKED, "nobody answers"),
    ("worker old", {"connects": [connect(worker=WorkerInfo("3.6.2", "id-west"))]}, "versions", BLOCKED, "3.6.2"),
    ("worker odd", {"connects": [connect(worker=WorkerInfo("main", "id-west"))]}, "versions", UNKNOWN, "'main'"),
    (
        "worker elsewhere",
        {"connects": [connect(worker=WorkerInfo("4.3.1", "id-z"))]},
        "cluster-id",
        BLOCKED,
        "writes to id-z, west is id-west",
    ),
    ("no mirror plugin", {"connects": [connect(plugins=PLUGINS[:1])]}, "plugins", BLOCKED, CHECKPOINT_CLASS),
    (
        "no repository",
        {"store": StoreProbe(url="/r", trouble=Trouble(code="not_found", message="no repository"))},
        "store",
        WARNING,
        "there is no repository",
    ),
    ("store silent", {"store": StoreProbe(url="s3://b", trouble=SILENT)}, "store", BLOCKED, "nobody answers"),
    ("out of time", {"unfinished": ["flows.a"]}, "time", UNKNOWN, "was not read within the time"),
]


@pytest.mark.parametrize(("bent", "check", "severity", "told"), [b[1:] for b in BENDS], ids=[b[0] for b in BENDS])
def test_each_fault_has_its_finding_and_its_fix(
    bent: dict[str, Any], check: str, severity: Severity, told: str
) -> None:
    """One thing is wrong: one finding says so, how grave, and what mends it."""
    found = complaints(facts(**bent))
    assert [(one.check, one.severity) for one in found] == [(check, severity)]
    assert told in found[0].what
    assert found[0].fix


def test_a_silent_cluster_blocks_and_what_it_hides_is_unknown() -> None:
    """Its reachability blocks; its id and rights are said to be unchecked, never well."""
    silent = cluster(trouble=SILENT, cluster_id=None, brokers=None, apis=None, has_authorizer=None, rules=None)
    given = facts(clusters=[silent, cluster(WEST)], rights=[rights()])
    found = {one.check: one.severity for one in complaints(given)}
    assert found == {"reachability": BLOCKED, "cluster-id": UNKNOWN, "rights": UNKNOWN}


def test_every_complaint_says_what_to_do() -> None:
    """Also of what could not be looked at: with everything silent at once no complaint lacks a fix."""
    silent = facts(
        clusters=[cluster(EAST, trouble=SILENT), cluster(WEST, apis=None)],
        connects=[connect(plugins=None), connect(worker=WorkerInfo("main", "id-west"))],
        store=StoreProbe(url="s3://b", trouble=SILENT),
    )
    found = complaints(silent)
    assert {one.check for one in found} == {"reachability", "cluster-id", "versions", "plugins", "store"}
    assert [one for one in found if not one.fix] == []


def test_a_refused_log_in_is_mended_at_the_log_in() -> None:
    """Denied is not silent: the fix is the security section, not the address."""
    (found, _) = complaints(facts(clusters=[cluster(trouble=DENIED)]))
    assert found.fix == "correct clusters.east.security"


def test_plain_text_is_told_and_no_complaint() -> None:
    """Whoever said `insecure: true` is reminded, not blocked."""
    given = facts(clusters=[cluster(protocol=SecurityProtocol.PLAINTEXT)])
    assert complaints(given) == []
    (encryption,) = [one for one in examine(given) if one.check == "encryption"]
    assert (encryption.severity, encryption.fix) == (Severity.OK, None)


def test_a_worker_for_the_way_back_may_be_absent() -> None:
    """No flow runs on it: its absence is said and counts for nothing."""
    given = facts(connects=[connect(worker=None, trouble=SILENT, is_needed=False)])
    assert complaints(given) == []
    assert any("failback" in one.what for one in examine(given))


READ = NeededRight(
    cluster=EAST,
    holder=Holder.MIRROR,
    resource_type=ResourceType.TOPIC,
    name="orders",
    pattern=PatternType.LITERAL,
    right=Right.READ,
    why="to mirror",
)
GRANT = READ.binding("User:mm2")


def rights(**changes: Any) -> ClusterRights:
    return replace(ClusterRights(cluster=EAST, holder=Holder.MIRROR, principal="User:mm2", needs=(READ,)), **changes)


def test_a_missing_right_is_named_with_the_command_that_grants_it() -> None:
    """Principal, right, topic and cluster are in the finding; with the rule in place it is gone."""
    (found,) = complaints(facts(rights=[rights()]))
    assert found.severity is BLOCKED
    assert found.subject == "mirror on east"
    assert found.what == "User:mm2 lacks READ on topic orders (to mirror)"
    assert found.fix is not None
    assert found.fix.endswith("--allow-principal User:mm2 --operation Read --topic orders")
    assert complaints(facts(clusters=[cluster(rules=(GRANT,)), cluster(WEST)], rights=[rights()])) == []
    denial = replace(GRANT, permission=Permission.DENY)
    denied = facts(clusters=[cluster(rules=(GRANT, denial)), cluster(WEST)], rights=[rights()])
    assert [one.severity for one in complaints(denied)] == [BLOCKED]


@pytest.mark.parametrize(
    ("probe", "one", "severity"),
    [
        (cluster(has_authorizer=False, rules=None), rights(), Severity.SKIPPED),
        (cluster(rules=None, rules_trouble=DENIED), rights(), UNKNOWN),
        (cluster(), rights(principal=None), UNKNOWN),
        (cluster(), rights(holder=Holder.SUPERVISOR, principal="User:root"), Severity.OK),
    ],
    ids=["no authorizer", "rules refused", "by certificate", "a super user"],
)
def test_rights_that_rules_cannot_tell(probe: ClusterProbe, one: ClusterRights, severity: Severity) -> None:
    """Where rules say nothing it is said why; a super user lacks nothing."""
    found = [f for f in examine(facts(clusters=[probe, cluster(WEST)], rights=[one])) if f.check == "rights"]
    assert [f.severity for f in found] == [severity]


def test_names_cannot_leave_their_place_in_a_command() -> None:
    """A topic's name is foreign: in a shell it stays one word."""
    hostile = AclBinding(
        principal="User:a b",
        resource_type=ResourceType.TOPIC,
        name="x; rm -rf $HOME",
        pattern=PatternType.PREFIXED,
        right=Right.DESCRIBE_CONFIGS,
    )
    assert acl_command(hostile, bootstrap="h:9092") == (
        "kafka-acls.sh --bootstrap-server h:9092 --command-config admin.properties --add --allow-principal 'User:a b'"
        " --operation DescribeConfigs --topic 'x; rm -rf $HOME' --resource-pattern-type prefixed"
    )
