"""Where a target differs from what was captured: every difference told, and the policy obeyed, by table."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.archive.restores import AccessDrift, DriftPolicy, RestoreAction, SettingDrift
from replicator.model.names import ClusterName, GroupName, TopicName
from replicator.snapshot.restore.drift import compare_access, compare_settings
from replicator.snapshot.restore.planning import HOLDING_SETTINGS, MARK_KEY, TargetTopic, TargetView, plan_restore
from tests.unit.snapshot.test_restore_planning import MARK, NOW, SNAPSHOT, target

KEEP, APPLY, REFUSE = DriftPolicy.KEEP, DriftPolicy.APPLY, DriftPolicy.REFUSE
CAPTURED = {"retention.ms": "7", "segment.bytes": "100"}
THERE = {"retention.ms": "5", "min.insync.replicas": "2"}
ORDERS = TopicName("orders")


def test_every_difference_is_told() -> None:
    """Other values, and settings that one side alone has; not those that a move of replicas puts there."""
    there = {**THERE, "leader.replication.throttled.replicas": "*"}
    assert compare_settings(CAPTURED, there) == (
        SettingDrift(key="min.insync.replicas", captured=None, there="2"),
        SettingDrift(key="retention.ms", captured="7", there="5"),
        SettingDrift(key="segment.bytes", captured="100", there=None),
    )
    assert compare_settings(CAPTURED, CAPTURED) == ()
    assert [one.key for one in compare_settings(CAPTURED, there, ignored=["retention.ms"])] == [
        "min.insync.replicas",
        "segment.bytes",
    ]


def plan(there: TargetTopic | None, policy: DriftPolicy, configs: dict[str, str] = CAPTURED) -> Any:
    """The plan of one topic under a policy."""
    view = TargetView(ClusterName("west"), 3, {} if there is None else {ORDERS: there})
    found = plan_restore(SNAPSHOT, {ORDERS: ORDERS}, configs={ORDERS: configs}, view=view, now=NOW, policy=policy)
    return found.topics[0]


def empty(**own: str) -> TargetTopic:
    """An empty topic with settings of its own."""
    there = target(0, 0, **own)
    return TargetTopic(there.ends, there.settings, there.settings)


def test_apply_leaves_the_captured_settings_and_no_others() -> None:
    """What only the target had is taken away, what holds the restore too."""
    found = plan(empty(retention_ms="5", min_insync_replicas="2"), APPLY)
    final = found.final_settings
    assert (final["retention.ms"], final["segment.bytes"], final["min.insync.replicas"]) == ("7", "100", None)
    assert {final[key] for key in (*HOLDING_SETTINGS, MARK_KEY) if key != "retention.ms"} == {None}
    assert found.refusal is None
    assert len(found.drift) == 3


def test_keep_gives_back_what_the_restore_replaced() -> None:
    """The target's own values return, and nothing else of it is touched."""
    final = plan(empty(retention_ms="5", min_insync_replicas="2", delete_retention_ms="99"), KEEP).final_settings
    assert (final["retention.ms"], final[MARK_KEY], final["cleanup.policy"]) == ("5", "99", None)
    assert not {"segment.bytes", "min.insync.replicas"} & final.keys()
    assert plan(empty(), KEEP, {"retention.ms": "7"}).final_settings["retention.ms"] is None
    assert plan(empty(retention_ms="7"), KEEP, {"retention.ms": "7"}).final_settings["retention.ms"] == "7"


def test_refuse_names_the_differences() -> None:
    """Which setting, what it is, and what it was."""
    refusal = plan(empty(retention_ms="5"), REFUSE).refusal
    assert refusal is not None
    assert "2 settings differ" in refusal
    assert "retention.ms is 5, 7 was captured" in refusal
    assert "segment.bytes is not set" in refusal
    assert plan(empty(retention_ms="7", segment_bytes="100"), REFUSE).refusal is None
    assert plan(None, REFUSE).refusal is None, "a topic that is made has no settings of its own"


def test_an_interrupted_restore_is_no_drift() -> None:
    """What holds a topic meanwhile is ours; a setting that is not held still counts."""
    held = empty(delete_retention_ms=MARK, retention_ms="-1", cleanup_policy="delete", max_message_bytes="99999999")
    found = plan(held, REFUSE, {"retention.ms": "7"})
    assert (found.action, found.drift, found.refusal) == (RestoreAction.RESUME, (), None)
    assert plan(held, APPLY, {"retention.ms": "7"}).final_settings["retention.ms"] == "7"
    assert [one.key for one in plan(held, APPLY).drift] == ["segment.bytes"]


def rule(
    name: str, *, kind: str = "topic", pattern: str = "literal", right: str = "read", permission: str = "allow"
) -> dict[str, str]:
    """A captured rule, as a snapshot holds it."""
    return {
        "principal": "User:app", "host": "*", "resource_type": kind, "resource_name": name, "pattern": pattern,
        "operation": right, "permission": permission,
    }  # fmt: skip


def binding(
    name: str,
    kind: ResourceType = ResourceType.TOPIC,
    pattern: PatternType = PatternType.LITERAL,
    right: Right = Right.READ,
    permission: Permission = Permission.ALLOW,
) -> AclBinding:
    """A rule as a cluster has it."""
    return AclBinding(
        principal="User:app", resource_type=kind, name=name, pattern=pattern, right=right, permission=permission
    )


def compare(rules: list[dict[str, str]], *there: AclBinding, policy: DriftPolicy = APPLY) -> AccessDrift:
    """How rules differ when `orders` keeps its name, `bills` becomes `old`, and group `g1` is set."""
    names = {ORDERS: ORDERS, TopicName("bills"): TopicName("old")}
    return compare_access(rules, there, targets=names, groups=[GroupName("g1")], policy=policy)


PREFIXED, GROUP = PatternType.PREFIXED, ResourceType.GROUP
CARRIED = [
    (rule("orders"), binding("orders")),
    (rule("orders", permission="deny"), binding("orders", permission=Permission.DENY)),
    (rule("bills"), binding("old")),
    (rule("ord", pattern="prefixed"), binding("ord", pattern=PREFIXED)),
    (rule("bil", pattern="prefixed"), None),
    (rule("others"), None),
    (rule("*"), None),
    (rule("g1", kind="group"), binding("g1", GROUP)),
    (rule("g", kind="group", pattern="prefixed"), binding("g", GROUP, PREFIXED)),
    (rule("g2", kind="group"), None),
    (rule("kafka-cluster", kind="cluster"), None),
    (rule("orders", right="unknown-15"), None),
    (rule("app", kind="user"), None),
]  # fmt: skip


@pytest.mark.parametrize(("captured", "expected"), CARRIED)
def test_rules_follow_what_is_restored(captured: dict[str, str], expected: AclBinding | None) -> None:
    """A topic's rule follows its rename, a prefix stands for names that are kept, and the rest is not ours."""
    wanted = () if expected is None else (expected,)
    assert compare([captured]).missing == wanted
    assert compare([captured], *wanted).missing == ()


def test_rules_that_only_the_target_has_are_told() -> None:
    """On restored topics and groups alone; they stay."""
    found = compare([rule("orders")], binding("orders", right=Right.WRITE), binding("other"), binding("g1", GROUP))
    assert found.missing == (binding("orders"),)
    assert set(found.extra) == {binding("orders", right=Right.WRITE), binding("g1", GROUP)}


OUTCOMES = [
    (KEEP, [rule("orders")], (), None),
    (APPLY, [rule("orders")], (), None),
    (REFUSE, [rule("orders")], (), "1 captured ones are missing"),
    (REFUSE, [], (binding("orders"),), "1 are there besides"),
    (REFUSE, [rule("orders")], (binding("orders"),), None),
]


@pytest.mark.parametrize(("policy", "rules", "there", "told"), OUTCOMES)
def test_the_policy_decides(
    policy: DriftPolicy, rules: list[dict[str, str]], there: tuple[AclBinding, ...], told: str | None
) -> None:
    """Keep and apply go on; refuse does not while anything differs."""
    refusal = compare(rules, *there, policy=policy).refusal
    assert (refusal is None) == (told is None)
    assert (told or "") in str(refusal)


def test_rules_that_are_not_known_stop_whoever_asked() -> None:
    """Keep asks for nothing."""
    assert AccessDrift(policy=KEEP, unknown="no right").refusal is None
    assert "not known: no right" in str(AccessDrift(policy=APPLY, unknown="no right").refusal)
    assert "not known: no right" in str(AccessDrift(policy=REFUSE, unknown="no right").refusal)
