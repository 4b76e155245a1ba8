"""Settings and access rules of a target that differs from what was captured, on real brokers."""

from __future__ import annotations

import pytest

from replicator.clock import Deadline
from replicator.errors import PreflightBlocked
from replicator.kafka import Outgoing
from replicator.model.acls import AclBinding, PatternType, ResourceType, Right
from replicator.model.archive.restores import DriftPolicy
from replicator.model.flow import Selection
from replicator.model.names import TopicName
from replicator.snapshot import RestoreRequest

pytestmark = pytest.mark.lab


def own_settings(desk, topic: TopicName, on: str) -> dict[str, str | None]:
    """What a topic has set of its own."""
    found = desk.cluster(on).topics.configs([topic], Deadline.after(30))[topic]
    return {key: one.value for key, one in found.items() if not one.is_default}


def test_settings_of_a_topic_that_is_there(desk, names) -> None:
    """Kept: they are as they were; applied: the captured ones and no others; refused: nothing was touched."""
    topic = desk.make_topic(names.topic("t"), segment_bytes="12345678", max_message_bytes="2000000")
    desk.write([Outgoing(topic, b"k", b"v", partition=n % 2) for n in range(20)])
    manifest = desk.create(topic)
    own = {"retention.ms": "86400000000", "cleanup.policy": "compact,delete", "min.cleanable.dirty.ratio": "0.9"}
    expected = {DriftPolicy.KEEP: own, DriftPolicy.APPLY: own_settings(desk, topic, "east"), DriftPolicy.REFUSE: own}
    for policy, wanted in expected.items():
        target = desk.make_topic(names.topic(policy), on="west", **{k.replace(".", "_"): v for k, v in own.items()})
        request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target}, configs=policy)
        plan = desk.restorer().plan(manifest.id, request)
        assert [one.key for one in plan.topics[0].drift] == [
            "cleanup.policy", "max.message.bytes", "min.cleanable.dirty.ratio", "retention.ms", "segment.bytes",
        ]  # fmt: skip
        if policy is DriftPolicy.REFUSE:
            with pytest.raises(PreflightBlocked, match="5 settings differ"):
                desk.restorer().apply(plan)
        else:
            assert desk.restorer().apply(plan).written_records == 20
            assert desk.read(target, on="west") == desk.read(topic)
        assert own_settings(desk, target, "west") == wanted


@pytest.mark.security
def test_access_rules_come_with_their_topics(secure_desk, names) -> None:
    """Missing rules are made under the new name, those that are there besides stay and are told; kept, none is made."""
    desk = secure_desk
    topic, target = desk.make_topic(names.topic("t")), names.topic("back")
    desk.write([Outgoing(topic, b"k", b"v", partition=0)])

    def rule(name: str, right: Right) -> AclBinding:
        return AclBinding(
            principal="User:app",
            resource_type=ResourceType.TOPIC,
            name=name,
            pattern=PatternType.LITERAL,
            right=right,
        )

    captured, besides = [rule(topic, Right.READ), rule(topic, Right.WRITE)], rule(target, Right.ALTER_CONFIGS)
    east, west = desk.cluster("east"), desk.cluster("west")
    made = [rule(target, one.right) for one in captured]
    try:
        east.acls.create(captured, Deadline.after(30))
        west.acls.create([besides], Deadline.after(30))
        deadline = Deadline.after(60)
        while not set(captured) <= set(east.acls.list(deadline)) or besides not in west.acls.list(deadline):
            deadline.check("the brokers to know the rules")
        manifest = desk.create(topic)
        for policy in (DriftPolicy.REFUSE, DriftPolicy.KEEP, DriftPolicy.APPLY):
            request = RestoreRequest(topics=Selection(include=(topic,)), renames={topic: target}, access=policy)
            plan = desk.restorer().plan(manifest.id, request)
            assert plan.access is not None
            assert plan.access.missing == tuple(sorted(made))
            assert plan.access.extra == (besides,)
            if policy is DriftPolicy.REFUSE:
                assert any("access rules differ" in refusal for refusal in plan.refusals)
                continue
            report = desk.restorer().apply(plan)
            assert report.granted_rules == (2 if policy is DriftPolicy.APPLY else 0)
        while not {*made, besides} <= set(west.acls.list(deadline)):
            deadline.check("the brokers to know the restored rules")
    finally:
        east.acls.delete(captured, Deadline.after(30))
        west.acls.delete([*made, besides], Deadline.after(30))
