"""A secured lab: who is refused, and what each principal may do with real clients and a real mirror."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from replicator.clock import Deadline
from replicator.errors import AccessDenied, DeadlineExceeded, ReplicatorError
from replicator.http import HttpClient
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import ClusterAccess, Secret, Security, TopicSpec
from replicator.model.names import TopicName
from replicator.worker import is_worker_ready

REFUSED_SECONDS = 2.0


@pytest.fixture
def as_app(secure_lab: Lab) -> Iterator[KafkaCluster]:
    """The west cluster as the application."""
    with KafkaCluster(secure_lab.access("west", "app")) as cluster:
        yield cluster


@pytest.fixture
def as_replicator(secure_lab: Lab) -> Iterator[KafkaCluster]:
    """The west cluster as the supervisor."""
    with KafkaCluster(secure_lab.west) as cluster:
        yield cluster


def describe(access: ClusterAccess) -> None:
    """Ask a cluster who it is, as somebody."""
    with KafkaCluster(access) as cluster:
        cluster.describe(Deadline.after(REFUSED_SECONDS))


def refusal(access: ClusterAccess) -> AccessDenied:
    """Return how the cluster refuses somebody, however busy the machine is."""
    deadline = Deadline.after(30)
    while True:
        try:
            describe(access)
        except AccessDenied as exc:
            return exc
        except DeadlineExceeded:
            deadline.check("nobody was refused")
        else:
            pytest.fail(f"{access} was let in")


def with_password(access: ClusterAccess, password: str) -> ClusterAccess:
    """Return the same with another password."""
    return replace(access, security=replace(access.security, password=Secret("env:TEST", password)))


@pytest.mark.security
def test_everybody_who_should_can_log_in(secure_lab: Lab) -> None:
    """Both clusters answer each principal, under both names of the certificate; the worker came up as mm2."""
    for principal in ("app", "mm2", "replicator"):
        for cluster in ("east", "west"):
            describe(secure_lab.access(cluster, principal))
    by_name = secure_lab.west.bootstrap.replace("127.0.0.1", "localhost")
    describe(replace(secure_lab.west, bootstrap=by_name))
    assert is_worker_ready(secure_lab.connect_url("west"))


@pytest.mark.security
def test_a_wrong_password_is_refused_and_told_so(secure_lab: Lab) -> None:
    """The error says denied, not silent, and shows no password."""
    assert "canary" not in str(refusal(with_password(secure_lab.west, "canary")))


@pytest.mark.security
def test_plain_text_is_refused(secure_lab: Lab) -> None:
    """Who does not speak TLS gets no answer."""
    with pytest.raises(ReplicatorError):
        describe(replace(secure_lab.west, security=Security()))


@pytest.mark.security
def test_an_authority_of_no_one_is_refused(secure_lab: Lab) -> None:
    """A client that does not trust the lab's authority does not talk to its brokers."""
    told = refusal(replace(secure_lab.west, security=replace(secure_lab.west.security, ca_file=None)))
    assert "certificate" in str(told)


@pytest.mark.security
def test_a_name_that_is_not_in_the_certificate_is_refused(secure_lab: Lab) -> None:
    """The same broker under an address its certificate does not name is not trusted."""
    elsewhere = secure_lab.west.bootstrap.replace("127.0.0.1", "127.1")
    assert "certificate" in str(refusal(replace(secure_lab.west, bootstrap=elsewhere)))


@pytest.mark.security
def test_what_a_principal_may_not_do_is_denied(
    secure_lab: Lab, as_app: KafkaCluster, as_replicator: KafkaCluster, names
) -> None:
    """The application writes no rules and reads none, the supervisor deletes no topic of the application,
    mm2 takes nobody's transactional id."""
    topic = names.topic("orders")
    rule = deny_write(topic)
    as_app.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(10))
    with pytest.raises(AccessDenied):
        as_app.acls.create([rule], Deadline.after(10))
    with pytest.raises(AccessDenied):
        as_app.acls.list(Deadline.after(10))
    with pytest.raises(AccessDenied):
        as_replicator.topics.delete([topic], Deadline.after(10))
    with KafkaCluster(secure_lab.access("west", "mm2")) as as_mm2, pytest.raises(AccessDenied):
        as_mm2.fence_transactional_ids(["replicator.main"], Deadline.after(10))
    assert rule not in as_replicator.acls.list(Deadline.after(10))


def deny_write(topic: TopicName) -> AclBinding:
    """Return the rule that fences the application from a topic."""
    return AclBinding(
        principal="User:app",
        resource_type=ResourceType.TOPIC,
        name=topic,
        pattern=PatternType.LITERAL,
        right=Right.WRITE,
        permission=Permission.DENY,
    )


def write_one(cluster: KafkaCluster, topic: TopicName) -> None:
    """Write one record, acknowledged."""
    writer = cluster.writer("lab-test")
    writer.send(Outgoing(topic, b"key", b"value"))
    writer.flush(Deadline.after(10))


@pytest.mark.security
def test_a_rule_denies_and_its_removal_allows(as_app: KafkaCluster, as_replicator: KafkaCluster, names) -> None:
    """The supervisor fences the application by a rule, lists it, and takes it back: each shows in a real write."""
    topic = names.topic("orders")
    rule = deny_write(topic)
    as_app.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(10))
    write_one(as_app, topic)
    as_replicator.acls.create([rule], Deadline.after(10))
    assert rule in as_replicator.acls.list(Deadline.after(10), principal="User:app")
    with pytest.raises(ReplicatorError, match=r"(?i)authori[sz]ation"):
        write_one(as_app, topic)
    assert as_replicator.acls.delete([rule], Deadline.after(10)) == {rule}
    assert rule not in as_replicator.acls.list(Deadline.after(10))
    write_one(as_app, topic)


def test_a_lab_without_an_authorizer_is_known_as_one(lab: Lab, secure_lab: Lab) -> None:
    """Whether rights are checked at all can be asked by anybody, and the answer is right for both labs."""
    with KafkaCluster(lab.west) as plain, KafkaCluster(secure_lab.access("west", "app")) as secured:
        assert plain.acls.has_authorizer(Deadline.after(10)) is False
        assert secured.acls.has_authorizer(Deadline.after(10)) is True
        assert plain.acls.list(Deadline.after(10)) == ()


@pytest.mark.security
def test_mm2s_rights_are_enough_to_mirror_exactly_once(
    secure_lab: Lab, as_replicator: KafkaCluster, as_app: KafkaCluster, names
) -> None:
    """A real mirror runs as mm2 with the lab's rights alone, its login read from the private file, and a
    record written on east by the application is read on west."""
    topic = names.topic("orders")
    with KafkaCluster(secure_lab.access("east", "app")) as east:
        east.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(10))
        write_one(east, topic)
    connector = names.flow()
    with HttpClient(secure_lab.connect_url("west"), timeout_seconds=30) as connect:
        made = connect.request("PUT", f"/connectors/{connector}/config", json=mirror_config(secure_lab, topic))
        assert made.status == 201, made.text()
        try:
            assert read_one(as_app, topic) == b"value"
            assert secure_lab.access("west", "mm2").security.password is not None
            shown = connect.request("GET", f"/connectors/{connector}").text()
            assert secret_of(secure_lab, "mm2") not in shown
        finally:
            connect.request("DELETE", f"/connectors/{connector}")


def secret_of(lab: Lab, principal: str) -> str:
    """Return a principal's password."""
    password = lab.access("west", principal).security.password
    assert password is not None
    return password.value


def read_one(cluster: KafkaCluster, topic: TopicName) -> bytes | None:
    """Return the first record's value once there is one."""
    deadline = Deadline.after(60)
    while topic not in cluster.topics.names(deadline):
        deadline.check(f"topic {topic} did not arrive")
        deadline.clock.sleep(0.2)
    with contextlib.closing(cluster.tail([topic])) as tail:
        while not (found := tail.poll_to_end(deadline)):
            deadline.check(f"no record arrived in {topic}")
            deadline.clock.sleep(0.2)
    return found[0].value


def mirror_config(lab: Lab, topic: TopicName) -> dict[str, str]:
    """Return the least configuration of a source connector that logs in as mm2 on both sides."""
    secrets = lab.folders.secrets / "mm2" / "client.properties"
    security = {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": f"${{file:{secrets}:sasl.jaas.config}}",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(lab.folders.secrets / "ca.pem"),
    }
    both = {
        f"{side}.cluster.{key}": value
        for side, access in (("source", lab.east), ("target", lab.west))
        for key, value in {**security, "bootstrap.servers": access.bootstrap}.items()
    }
    return {
        "connector.class": "org.apache.kafka.connect.mirror.MirrorSourceConnector",
        "replication.policy.class": "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
        "topics": topic.replace(".", "\\."),
        "tasks.max": "1",
        "exactly.once.support": "required",
        "source.consumer.isolation.level": "read_committed",
        "source.consumer.auto.offset.reset": "earliest",
        "offset-syncs.topic.location": "target",
        "offset-syncs.topic.replication.factor": "1",
        "replication.factor": "1",
        "sync.topic.acls.enabled": "false",
        **both,
        "source.cluster.alias": str(lab.east.name),
        "target.cluster.alias": str(lab.west.name),
    }
