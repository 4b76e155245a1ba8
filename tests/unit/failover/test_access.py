"""Which rights a promoted target gives the applications: those they have on the source, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.failover.access.activating import rule_from_row, rule_to_row
from replicator.failover.access.staging import application_rules, missing_rules, rules_for_target
from replicator.model.acls import CLUSTER_RESOURCE_NAME, AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName

FLOW = Flow(
    name=FlowName("shop"),
    source=ClusterName("east"),
    target=ClusterName("west"),
    topics=Selection(include=("shop.*",)),
    groups=Selection(include=("billing", "stock-*")),
)
TOPICS = [TopicName("shop.orders"), TopicName("shop.refunds")]
GROUPS = [GroupName("billing"), GroupName("stock-eu")]
OURS = frozenset({"User:replicator", "User:mm2"})


def rule(
    principal: str, kind: str, name: str, right: str, *, pattern: str = "literal", permission: str = "allow"
) -> AclBinding:
    """A rule, said shortly."""
    return AclBinding(
        principal=f"User:{principal}",
        resource_type=ResourceType(kind),
        name=name,
        pattern=PatternType(pattern),
        right=Right(right),
        permission=Permission(permission),
    )


def stage(*standing: AclBinding, flow: Flow = FLOW, fences: tuple[AclBinding, ...] = ()) -> set[AclBinding]:
    """What the source's rules leave for the target to give."""
    found = application_rules(flow, standing, topics=TOPICS, groups=GROUPS, exempt=OURS, fences=fences)
    assert all(one.principal == principal for principal, rules in found.items() for one in rules)
    return {one for rules in found.values() for one in rules}


TXN = rule("app", "transactional_id", "shop-", "write", pattern="prefixed")
IDEMPOTENT = rule("app", "cluster", CLUSTER_RESOURCE_NAME, "idempotent_write")


@pytest.mark.parametrize(
    ("one", "is_staged"),
    [
        (rule("app", "topic", "shop.orders", "write"), True),
        (rule("app", "topic", "shop.not-yet-there", "read"), True),
        (rule("app", "topic", "shop.orders", "all", permission="deny"), True),
        (rule("app", "topic", "other.orders", "write"), False),
        (rule("app", "topic", "sh", "write", pattern="prefixed"), True),
        (rule("app", "topic", "shop.r", "write", pattern="prefixed"), True),
        (rule("app", "topic", "shopping", "write", pattern="prefixed"), False),
        (rule("app", "topic", "t", "write", pattern="prefixed"), False),
        (rule("app", "topic", "*", "describe"), True),
        (rule("app", "group", "billing", "read"), True),
        (rule("app", "group", "stock-us", "read"), True),
        (rule("app", "group", "stock", "read", pattern="prefixed"), True),
        (rule("app", "group", "audit", "read"), False),
        (rule("app", "group", "a", "read", pattern="prefixed"), False),
        (rule("*", "topic", "shop.orders", "read"), True),
        (rule("mm2", "topic", "shop.orders", "read"), False),
        (rule("replicator", "topic", "*", "all"), False),
        (rule("app", "cluster", CLUSTER_RESOURCE_NAME, "alter"), False),
        (TXN, False),
        (IDEMPOTENT, False),
    ],
)
def test_what_concerns_a_flow_by_table(one: AclBinding, is_staged: bool) -> None:
    """Rules on topics it carries and groups it moves, for whoever is neither us nor MirrorMaker."""
    assert stage(one) == ({one} if is_staged else set())


def test_transactions_go_with_an_application_and_with_nobody_else() -> None:
    """Who may use a topic of the flow keeps its transactional ids; another's are none of its business."""
    mine = rule("app", "topic", "shop.orders", "write")
    others = [replace(TXN, principal="User:else"), replace(IDEMPOTENT, principal="User:else")]
    foreign = rule("app", "topic", "other", "write")
    assert stage(mine, TXN, IDEMPOTENT, foreign, *others) == {mine, TXN, IDEMPOTENT}


def test_a_fence_of_ours_is_no_rule_of_an_application() -> None:
    """What keeps applications out of the source for a move must never stand on the target."""
    allow = rule("app", "topic", "shop.orders", "write")
    fence = rule("app", "topic", "shop.orders", "write", permission="deny")
    assert stage(allow, fence, fences=(fence,)) == {allow}
    assert stage(allow, fence) == {allow, fence}


def wanted(*rules: AclBinding, flow: Flow = FLOW) -> tuple[set[AclBinding], set[AclBinding]]:
    """The rules for the target, and those left out."""
    found = rules_for_target(flow, {"any": rules}, topics=TOPICS)
    return set(found.rules), set(found.left_out)


def test_names_are_those_of_the_copies() -> None:
    """With prefixed copies a rule on a topic, or on a beginning, is one on the copies; groups keep their names."""
    prefixed = replace(FLOW, naming=Naming.PREFIX)
    group = rule("app", "group", "billing", "read")
    rules = (
        rule("app", "topic", "shop.orders", "write"),
        rule("app", "topic", "shop.", "read", pattern="prefixed"),
        group,
    )
    assert wanted(*rules) == (set(rules), set())
    assert wanted(*rules, flow=prefixed)[0] == {
        rule("app", "topic", "east.shop.orders", "write"),
        rule("app", "topic", "east.shop.", "read", pattern="prefixed"),
        group,
    }


@pytest.mark.parametrize("naming", list(Naming))
def test_a_right_on_everything_is_one_on_each_copy(naming: Naming) -> None:
    """The journal and the observations stand on the target too: no application's right reaches them."""
    flow = replace(FLOW, naming=naming)
    found, _ = wanted(rule("app", "topic", "*", "write"), flow=flow)
    assert found == {rule("app", "topic", flow.remote_topic(topic), "write") for topic in TOPICS}
    everything = rule("app", "group", "*", "read")
    assert wanted(everything)[0] == {everything}


def test_what_denies_everybody_is_left_out_and_told() -> None:
    """A fence that somebody put up by hand would close the new active; what denies one principal stays denied."""
    by_hand = rule("*", "topic", "shop.orders", "write", permission="deny")
    one = rule("app", "topic", "shop.orders", "write", permission="deny")
    assert wanted(by_hand, one) == ({one}, {by_hand})


ORDERS = rule("app", "topic", "shop.orders", "write")


@pytest.mark.parametrize(
    ("standing", "is_missing"),
    [
        ([], True),
        ([ORDERS], False),
        ([rule("app", "topic", "shop.orders", "all")], False),
        ([rule("app", "topic", "*", "write")], False),
        ([rule("app", "topic", "shop.", "write", pattern="prefixed")], False),
        ([rule("*", "topic", "shop.orders", "write")], False),
        ([rule("app", "topic", "shop.orders", "read")], True),
        ([rule("app", "topic", "shop.orders.x", "write", pattern="prefixed")], True),
        ([rule("app", "topic", "shop.orders", "write", permission="deny")], True),
        ([rule("else", "topic", "shop.orders", "write")], True),
        ([rule("app", "group", "*", "write")], True),
        ([replace(ORDERS, host="10.0.0.1")], True),
        ([replace(ORDERS, principal="User:ap")], True),
    ],
)
def test_what_stands_there_already_is_not_given_again(standing: list[AclBinding], is_missing: bool) -> None:
    """A rule as wide, or wider, of the same permission makes a new one needless."""
    assert missing_rules([ORDERS], standing) == ((ORDERS,) if is_missing else ())


def test_a_beginning_is_not_covered_by_one_name() -> None:
    """A right on all that begins so is more than one on the topic of that very name; of one host more than of any."""
    beginning = rule("app", "topic", "shop.orders", "write", pattern="prefixed")
    assert missing_rules([beginning], [ORDERS]) == (beginning,)
    assert missing_rules([replace(ORDERS, host="10.0.0.1")], [ORDERS]) == ()


def test_denials_are_given_first() -> None:
    """At no moment is more allowed than in the end."""
    deny = rule("zoe", "topic", "shop.orders", "write", permission="deny")
    assert missing_rules([ORDERS, deny, IDEMPOTENT], []) == (deny, *sorted([ORDERS, IDEMPOTENT]))


@pytest.mark.parametrize("one", [ORDERS, TXN, IDEMPOTENT, replace(ORDERS, host="h", permission=Permission.DENY)])
def test_a_rule_reads_back_from_the_journal(one: AclBinding) -> None:
    """What was given is what will be taken back."""
    assert rule_from_row(rule_to_row(one)) == one
