"""Which rights a flow needs, and when rules grant them: by table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.flow import Flow, Naming, Selection
from replicator.model.names import ClusterName, FlowName
from replicator.model.rights import (
    Holder,
    NeededRight,
    RightsGround,
    is_granted,
    is_own_group,
    needed_rights,
    reversed_flow,
    spots_of,
    unique_rights,
)

LITERAL, PREFIXED = PatternType.LITERAL, PatternType.PREFIXED
TOPIC, GROUP = ResourceType.TOPIC, ResourceType.GROUP
MM2 = "User:mm2"
EAST, WEST = ClusterName("east"), ClusterName("west")
FLOW = Flow(
    name=FlowName("shop"), source=EAST, target=WEST, topics=Selection(("orders", "pay.*")), groups=Selection(("app.*",))
)
GROUND = RightsGround(
    topic_prefix="__replicator",
    supervisor_id="main",
    group_id="connect-west",
    configs_topic="c",
    offsets_topic="o",
    status_topic="s",
)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("orders", ("orders", LITERAL)),
        ("orders.*", ("orders.", PREFIXED)),
        ("a?c", ("a", PREFIXED)),
        ("a?c*", ("a", PREFIXED)),
        ("*", ("*", LITERAL)),
        ("*.tmp", ("*", LITERAL)),
        ("re:billing[.](paid|open)", ("*", LITERAL)),
    ],
)
def test_a_pattern_becomes_the_narrowest_rule_that_holds_it(pattern: str, expected: tuple[str, PatternType]) -> None:
    """Rules know names, beginnings and everything: nothing narrower than the pattern, nothing wider than needed."""
    assert spots_of(Selection((pattern,))) == [expected]


def held(needs: tuple[NeededRight, ...], cluster: str, holder: Holder) -> set[str]:
    return {need.told for need in needs if (need.cluster, need.holder) == (cluster, holder)}


def test_mirror_maker_reads_on_the_source_and_writes_on_the_target() -> None:
    """It needs no right to write the source, none on the cluster, and none on anybody else's topics."""
    needs = needed_rights(FLOW, GROUND)
    assert held(needs, "east", Holder.MIRROR) == {
        "READ on topic orders",
        "DESCRIBE_CONFIGS on topic orders",
        "READ on topic pay.*",
        "DESCRIBE_CONFIGS on topic pay.*",
        "READ on topic heartbeats",
        "DESCRIBE_CONFIGS on topic heartbeats",
        "DESCRIBE on group app.*",
    }
    on_target = held(needs, "west", Holder.MIRROR)
    assert {"WRITE on topic orders", "WRITE on topic pay.*", "READ on group connect-west"} <= on_target
    assert {"WRITE on transactional_id connect-cluster-connect-west"} <= on_target
    assert not any("cluster kafka-cluster" in told for told in on_target)


def test_snapshots_and_fencing_cost_rights_only_where_they_are_wanted() -> None:
    """ALTER on the cluster is for fencing by a rule and for giving rights, WRITE on copies for restoring."""
    plain = held(needed_rights(FLOW, replace(GROUND, can_fence=False, can_give=False)), "west", Holder.SUPERVISOR)
    assert "ALTER on cluster kafka-cluster" not in plain
    assert "WRITE on topic orders" not in plain
    for one in (replace(GROUND, can_fence=False), replace(GROUND, can_give=False)):
        told = held(needed_rights(FLOW, one), "west", Holder.SUPERVISOR)
        assert "ALTER on cluster kafka-cluster" in told
    full = held(needed_rights(FLOW, replace(GROUND, has_snapshots=True)), "west", Holder.SUPERVISOR)
    assert {"ALTER on cluster kafka-cluster", "WRITE on topic orders", "READ on group app.*"} <= full


def test_a_way_home_keeps_what_only_the_old_active_has() -> None:
    """Orphans are kept beside their topics: nothing of it is asked for on the way out."""
    home = needed_rights(reversed_flow(FLOW), replace(GROUND, is_way_home=True))
    told = held(home, "east", Holder.SUPERVISOR)
    assert {"WRITE on topic orders.orphans.*", "CREATE on topic orders.orphans.*", "WRITE on topic pay.*"} <= told
    assert "WRITE on topic orders" not in told
    assert not any("orphans" in one for one in held(needed_rights(FLOW, GROUND), "west", Holder.SUPERVISOR))


def test_under_prefix_naming_the_copies_are_called_otherwise() -> None:
    """Rights on the target are on the names the topics have there."""
    on_target = held(needed_rights(replace(FLOW, naming=Naming.PREFIX), GROUND), "west", Holder.MIRROR)
    assert {"WRITE on topic east.orders", "WRITE on topic east.pay.*"} <= on_target
    assert "WRITE on topic orders" not in on_target


def test_what_a_wider_right_covers_is_not_asked_for_twice() -> None:
    """A prefix covers the names below it, and READ covers DESCRIBE."""
    both = replace(FLOW, topics=Selection(("pay.*", "pay.cards")))
    needs = unique_rights((*needed_rights(both, GROUND), *needed_rights(reversed_flow(both), GROUND)))
    told = held(needs, "east", Holder.SUPERVISOR)
    assert "READ on topic pay.*" in told
    assert not any("pay.cards" in one for one in told)
    assert "READ on group app.*" in told
    assert "DESCRIBE on group app.*" not in told


def need(name: str, pattern: PatternType = LITERAL, right: Right = Right.READ) -> NeededRight:
    return NeededRight(
        cluster=EAST, holder=Holder.MIRROR, resource_type=TOPIC, name=name, pattern=pattern, right=right, why="x"
    )


def rule(name: str, pattern: PatternType = LITERAL, right: Right = Right.READ, **changes: object) -> AclBinding:
    made = AclBinding(principal=MM2, resource_type=TOPIC, name=name, pattern=pattern, right=right)
    return replace(made, **changes)  # type: ignore[arg-type]  # fields of a rule


DENY = Permission.DENY
GRANTS: list[tuple[str, NeededRight, list[AclBinding], bool]] = [
    ("nothing", need("a"), [], False),
    ("the same", need("a"), [rule("a")], True),
    ("everything", need("a"), [rule("*")], True),
    ("a beginning", need("a.b"), [rule("a.", PREFIXED)], True),
    ("another name", need("a"), [rule("b")], False),
    ("another right", need("a"), [rule("a", right=Right.WRITE)], False),
    ("all rights", need("a"), [rule("a", right=Right.ALL)], True),
    ("implied", need("a", right=Right.DESCRIBE), [rule("a", right=Right.WRITE)], True),
    ("implied settings", need("a", right=Right.DESCRIBE_CONFIGS), [rule("a", right=Right.ALTER_CONFIGS)], True),
    ("not implied", need("a", right=Right.WRITE), [rule("a", right=Right.READ)], False),
    ("somebody else", need("a"), [rule("a", principal="User:app")], False),
    ("everybody", need("a"), [rule("a", principal="User:*")], True),
    ("one host", need("a"), [rule("a", host="10.0.0.1")], False),
    ("another kind", need("a"), [rule("a", resource_type=GROUP)], False),
    ("a name for a beginning", need("a.", PREFIXED), [rule("a.")], False),
    ("a beginning for a wider one", need("a.", PREFIXED), [rule("a.b", PREFIXED)], False),
    ("a wider beginning", need("a.b", PREFIXED), [rule("a.", PREFIXED)], True),
    ("all for a beginning", need("a.", PREFIXED), [rule("*")], True),
    ("a beginning for all", need("*"), [rule("a.", PREFIXED)], False),
    ("denied", need("a"), [rule("a"), rule("a", permission=DENY)], False),
    ("denied by all", need("a"), [rule("a"), rule("*", permission=DENY)], False),
    ("denied by a beginning", need("a.b"), [rule("*"), rule("a.", PREFIXED, permission=DENY)], False),
    ("denied in part", need("a.", PREFIXED), [rule("a.", PREFIXED), rule("a.b", permission=DENY)], False),
    ("denied from a host", need("a"), [rule("a"), rule("a", permission=DENY, host="10.0.0.1")], False),
    ("another denied", need("a"), [rule("a"), rule("b", permission=DENY)], True),
    ("another right denied", need("a"), [rule("a"), rule("a", right=Right.WRITE, permission=DENY)], True),
    ("all rights denied", need("a"), [rule("a"), rule("a", right=Right.ALL, permission=DENY)], False),
]


@pytest.mark.parametrize(("needed", "rules", "expected"), [row[1:] for row in GRANTS], ids=[row[0] for row in GRANTS])
def test_rules_grant_what_the_authorizer_would(needed: NeededRight, rules: list[AclBinding], expected: bool) -> None:
    """One rule allows it whole, none denies a part; DENY beats ALLOW."""
    assert is_granted(needed, rules, principal=MM2) is expected


def test_the_needed_rules_grant_themselves() -> None:
    """Whoever has exactly the printed rules lacks nothing, and lacks each one that is taken away."""
    needs = [one for one in needed_rights(FLOW, GROUND) if (one.cluster, one.holder) == (WEST, Holder.MIRROR)]
    rules = [one.binding(MM2) for one in needs]
    assert all(is_granted(one, rules, principal=MM2) for one in needs)
    for number, one in enumerate(needs):
        left = [*rules[:number], *rules[number + 1 :]]
        assert not is_granted(one, left, principal=MM2), one.told


@pytest.mark.parametrize(
    ("group", "is_own"),
    [
        ("replicator-reader", True),
        ("replicator-of-invoices", False),
        ("replicator-reader-2", False),
        ("__replicator.lease", True),
        ("drill.drill-20261123-034330-4a56ad.billing", True),
        ("drill.billing", False),
        ("drill.drill-by-hand.billing", False),
    ],
)
def test_only_what_we_have_named_is_ours(group: str, *, is_own: bool) -> None:
    """An application's group moves, however much its name looks like one of ours."""
    assert is_own_group(group, topic_prefix="__replicator.") is is_own
