"""What a snapshot holds beside records: rules, quotas, users, how far the mirror was; and why it lacks the rest."""

from __future__ import annotations

import threading

import pytest
from kafka.protocol.admin.client_quotas import AlterClientQuotasRequest, AlterClientQuotasResponse

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import Outgoing
from replicator.model.acls import CLUSTER_RESOURCE_NAME, AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicPartition
from replicator.snapshot import MirrorSource, SnapshotRequest, create_snapshot, verify_snapshot
from replicator.wire.messages import Call
from tests.lab.flows.conftest import open_flow_on

pytestmark = pytest.mark.lab

Limit = tuple[tuple[tuple[str, str | None], ...], str, float]


def reasons(manifest: Manifest) -> dict[str, str]:
    """Why each kind is not in the snapshot."""
    return {one.what: one.reason for one in manifest.not_captured}


def change_quotas(desk, *limits: Limit, is_removed: bool = False) -> None:
    """Set or remove limits, as Kafka's own tool does."""
    data = AlterClientQuotasRequest.EntryData
    call = Call(
        "AlterClientQuotas",
        AlterClientQuotasRequest.API_KEY,
        1,
        1,
        lambda version: AlterClientQuotasRequest(
            version=version,
            validate_only=False,
            entries=[
                data(
                    version=version,
                    entity=[data.EntityData(version=version, entity_type=k, entity_name=n) for k, n in entity],
                    ops=[data.OpData(version=version, key=key, value=value, remove=is_removed)],
                )
                for entity, key, value in limits
            ],
        ),
        AlterClientQuotasResponse,
        lambda answer: [entry.error_code for entry in answer.entries],
    )
    deadline = Deadline.after(30)
    broker = desk.cluster().describe(deadline).brokers[0].id
    desk.raw().list_offsets([], at=-1, deadline=deadline)
    connection = desk.raw().open_connection(broker, deadline=deadline)
    assert connection.ask(call, deadline=deadline) == [0] * len(limits)
    connection.close()


def test_quotas_are_captured_and_a_missing_authorizer_is_told(desk, names) -> None:
    """Limits of a user's client and of the default client come back as set; a cluster without rules says so."""
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"k", b"v", partition=0)])
    limits: tuple[Limit, ...] = (
        ((("client-id", names.prefix), ("user", "app")), "producer_byte_rate", 1_048_576.0),
        ((("client-id", None),), "request_percentage", 12.5),
    )
    desk.create(topic)
    change_quotas(desk, *limits)
    try:
        deadline = Deadline.after(60)
        wanted = [{"entity": [list(pair) for pair in entity], "limits": {key: value}} for entity, key, value in limits]
        while True:
            manifest = desk.create(topic)
            found = desk.repository.read_state(manifest, "quotas")["quotas"]
            if all(one in found for one in wanted):
                break
            deadline.check("the brokers to know the quotas")
    finally:
        change_quotas(desk, *limits, is_removed=True)
    assert desk.repository.read_state(manifest, "scram_users")["users"] == []
    assert "acls" not in manifest.states
    assert reasons(manifest)["acls"].startswith("not kept by this cluster")
    assert reasons(manifest)["mirror"].startswith("not asked for")
    assert reasons(manifest)["scram_secrets"].startswith("not told by Kafka")


@pytest.mark.security
def test_rules_and_users_are_captured_and_refusals_told(secure_desk, names) -> None:
    """Rules and users are those that are there; without the right each is listed and the snapshot is whole."""
    desk = secure_desk
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"k", b"v", partition=0)])
    manifest = desk.create(topic)
    rules = desk.repository.read_state(manifest, "acls")["rules"]
    told = {(r["principal"], r["resource_name"], r["operation"], r["permission"]) for r in rules}
    known = desk.cluster().acls.list(Deadline.after(30))
    assert known
    assert {(b.principal, b.name, b.right.name.lower(), b.permission.name.lower()) for b in known} <= told
    users = desk.repository.read_state(manifest, "scram_users")["users"]
    assert {"admin", "app", "mm2", "replicator"} == {user["name"] for user in users}
    assert all(mechanism == "SCRAM-SHA-512" for user in users for mechanism, _iterations in user["credentials"])
    assert reasons(manifest)["quotas"].startswith("no right")
    refused = create_without_describe(desk, topic)
    assert not {"acls", "scram_users"} & refused.states.keys()
    for kind in ("acls", "scram_users"):
        assert reasons(refused)[kind].startswith("no right"), reasons(refused)[kind]
    assert verify_snapshot(desk.repository, refused.id, clock=SYSTEM_CLOCK).is_ok


def create_without_describe(desk, topic: str) -> Manifest:
    """A snapshot taken once the brokers refuse the supervisor DESCRIBE on the cluster."""
    rule = AclBinding(
        principal="User:replicator",
        resource_type=ResourceType.CLUSTER,
        name=CLUSTER_RESOURCE_NAME,
        pattern=PatternType.LITERAL,
        right=Right.DESCRIBE,
        permission=Permission.DENY,
    )
    desk.cluster().acls.create([rule], Deadline.after(30))
    try:
        deadline = Deadline.after(60)
        while "acls" in (manifest := desk.create(topic)).states:
            deadline.check("the rule to be applied")
        return manifest
    finally:
        desk.cluster().acls.delete([rule], Deadline.after(30))


def test_the_cut_maps_back_to_source_offsets(lab, desk, names) -> None:
    """Taken while MirrorMaker runs, a partition's records lie between the two source offsets; at rest they are it."""
    topic = desk.make_topic(names.topic("t"))
    flow = Flow(
        name=FlowName(names.flow()), source=ClusterName("east"), target=ClusterName("west"), topics=Selection((topic,))
    )
    desk.write([Outgoing(topic, b"k", b"v" * 100, partition=n % 2) for n in range(2000)])
    with open_flow_on(lab, flow) as opened:
        opened.apply()
        mirror = MirrorSource(
            connector=flow.source_connector,
            source=flow.source,
            delivery=flow.delivery,
            read_positions=lambda _deadline: opened.positions(),
        )

        def take() -> tuple[dict[int, int], dict[int, tuple[int | None, int | None]]]:
            request = SnapshotRequest(topics=Selection(include=(topic,)), flow=flow.name, mirror=mirror)
            manifest = create_snapshot(
                *desk.doors["west"], desk.repository, request, clock=SYSTEM_CLOCK, deadline=Deadline.after(90)
            )
            state = desk.repository.read_state(manifest, "mirror")
            assert (state["connector"], state["source"], state["delivery"]) == (
                flow.source_connector, "east", "exactly_once",
            )  # fmt: skip
            (captured,) = manifest.topics
            places = {p: (before, after) for name, p, before, after in state["positions"] if name == topic}
            return {p.partition: p.records for p in captured.partitions}, places

        for partition in range(2):
            opened.wait_mirrored(topic, 1000, partition=partition)
        assert take() == ({0: 1000, 1: 1000}, {0: (1000, 1000), 1: (1000, 1000)})
        more = [Outgoing(topic, b"k", b"v" * 100, partition=n % 2) for n in range(6000)]
        writing = threading.Thread(target=desk.write, args=(more,))
        writing.start()
        opened.wait_mirrored(topic, 1001)
        counts, places = take()
        writing.join()
        for partition, count in counts.items():
            before, after = places[partition]
            assert (before or 0) <= count <= (after or 0), f"partition {partition}"
        assert counts[0] > 1000
        for partition in range(2):
            opened.wait_mirrored(topic, 4000, partition=partition)
        assert desk.cluster("west").positions.ends([TopicPartition(topic, 0)], Deadline.after(30))
