"""The raw path over TLS and SCRAM, as a principal that is no super user; refusals are told as refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.clock import Deadline
from replicator.errors import AccessDenied, ConfigInvalid, ReplicatorError, Unreachable
from replicator.kafka import Outgoing
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import ClusterAccess, Secret, Security
from replicator.model.names import TopicName, TopicPartition
from replicator.wire import RawClient

pytestmark = [pytest.mark.lab, pytest.mark.security]


def ask_raw(access: ClusterAccess) -> None:
    """Make one raw request."""
    with RawClient(access) as raw:
        raw.init_producer_id(deadline=Deadline.after(5))


def test_round_trip_over_tls_and_scram(secure_desk, names) -> None:
    """A snapshot is taken and restored over SASL_SSL by the supervisor's principal."""
    assert secure_desk.raw().access.security.protocol == "SASL_SSL"
    topic = secure_desk.make_topic(names.topic("t"))
    secure_desk.write([Outgoing(topic, b"%d" % n, b"v" * n, partition=n % 2) for n in range(300)])
    manifest = secure_desk.create(topic)
    assert manifest.totals.records == 300
    target = names.topic("back")
    secure_desk.restore(manifest.id, {topic: target})
    assert secure_desk.read(target, on="west") == secure_desk.read(topic)


def test_wrong_password_is_refused(secure_lab) -> None:
    """The error is a refusal, not a timeout, and shows no password."""
    wrong = replace(secure_lab.east.security, password=Secret("env:TEST", "canary"))
    with pytest.raises(AccessDenied) as caught:
        ask_raw(replace(secure_lab.east, security=wrong))
    assert "canary" not in f"{caught.value} {caught.value.detail} {caught.value.hint}"


def test_untrusted_broker_is_refused(secure_lab) -> None:
    """Without its authority's certificate a broker is not talked to."""
    with pytest.raises(AccessDenied, match="not trusted"):
        ask_raw(replace(secure_lab.east, security=replace(secure_lab.east.security, ca_file=None)))


def test_wrong_protocol_ends_soon(secure_lab, lab) -> None:
    """Plain text to a TLS listener, and TLS to a plain one, end in an error within the deadline."""
    with pytest.raises(ReplicatorError):
        ask_raw(replace(secure_lab.east, security=Security()))
    with pytest.raises(Unreachable):
        ask_raw(replace(lab.east, security=secure_lab.east.security))


def test_unknown_mechanism_is_refused_before_connecting(secure_lab) -> None:
    """A mechanism this path does not speak is a configuration error that lists those it does."""
    odd = replace(secure_lab.east.security, mechanism="GSSAPI")
    with pytest.raises(ConfigInvalid, match="GSSAPI"):
        ask_raw(replace(secure_lab.east, security=odd))


def test_mechanism_the_broker_lacks_is_refused(secure_lab) -> None:
    """A mechanism the listener does not offer is told with those it offers."""
    plain = replace(secure_lab.east.security, mechanism="PLAIN")
    with pytest.raises(AccessDenied) as caught:
        ask_raw(replace(secure_lab.east, security=plain))
    assert "SCRAM" in str(caught.value.detail)


def deny_read(topic: TopicName) -> AclBinding:
    """The rule that takes the supervisor's right to read one topic."""
    return AclBinding(
        principal="User:replicator",
        resource_type=ResourceType.TOPIC,
        name=topic,
        pattern=PatternType.LITERAL,
        right=Right.READ,
        permission=Permission.DENY,
    )


def test_missing_right_to_read_is_told(secure_desk, names) -> None:
    """A topic that may not be read fails the snapshot with the right that is missing; nothing is published."""
    topic = secure_desk.make_topic(names.topic("t"), partitions=1)
    secure_desk.write([Outgoing(topic, b"k", b"v", partition=0)])
    rule = deny_read(topic)
    secure_desk.cluster().acls.create([rule], Deadline.after(10))
    try:
        wait_until_denied(secure_desk, topic)
        with pytest.raises(AccessDenied) as caught:
            secure_desk.create(topic)
    finally:
        secure_desk.cluster().acls.delete([rule], Deadline.after(10))
    assert topic in f"{caught.value} {caught.value.hint}"
    assert secure_desk.repository.list_ids() == []


def wait_until_denied(desk, topic: TopicName) -> None:
    """Return once the brokers apply the rule."""
    deadline = Deadline.after(20)
    while True:
        try:
            desk.raw().fetch(TopicPartition(topic, 0), 0, deadline=deadline, max_bytes=1000)
        except AccessDenied:
            return
        deadline.check("the rule to be applied")
