"""Certificates, credentials and rights of a secured lab."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from replicator.lab.security import ScramSecurity
from replicator.lab.security.certificates import CertificateFiles, make_certificates
from replicator.lab.security.rights import lab_rights
from replicator.model.acls import PatternType, Permission, ResourceType, Right

RIGHTS = lab_rights(connect_group="__replicator.connect.west")


def test_the_broker_is_known_by_its_addresses_and_signed_by_the_authority(tmp_path: Path) -> None:
    """Clients that validate host names accept loopback and nothing else; the chain holds; keys stay private."""
    files = CertificateFiles(ca=tmp_path / "ca.pem", broker=tmp_path / "broker.pem")
    make_certificates(files)
    ca = x509.load_pem_x509_certificate(files.ca.read_bytes())
    broker, _ = x509.load_pem_x509_certificates(files.broker.read_bytes())
    broker.verify_directly_issued_by(ca)
    names = broker.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]
    assert ca.not_valid_before_utc < datetime.now(UTC) < broker.not_valid_after_utc
    assert files.broker.stat().st_mode & 0o077 == 0
    assert b"PRIVATE KEY" not in files.ca.read_bytes()


def test_a_second_preparation_changes_nothing(tmp_path: Path) -> None:
    """A lab that comes up again keeps its keys and passwords."""
    security = ScramSecurity(tmp_path)
    security.prepare()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    security.prepare()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_every_principal_has_a_password_of_its_own(tmp_path: Path) -> None:
    """Passwords differ, are long, lie in private files, and no value shows itself."""
    security = ScramSecurity(tmp_path)
    security.prepare()
    clients = [security.client(name) for name in ("app", "mm2", "replicator", "admin")]
    passwords = [client.password.value for client in clients if client.password]
    assert len(set(passwords)) == 4
    assert all(len(password) >= 32 for password in passwords)
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.rglob("*"))
    assert not any(password in repr(clients) for password in passwords)


def test_super_users_are_the_brokers_own(tmp_path: Path) -> None:
    """None of app, mm2 and replicator is a super user, and without a rule nothing is allowed."""
    security = ScramSecurity(tmp_path)
    security.prepare()
    found = security.broker_properties()
    assert found["super.users"] == "User:admin;User:broker"
    assert found["allow.everyone.if.no.acl.found"] == "false"


def test_rights_are_the_least() -> None:
    """Nobody has ALL, everything is an ALLOW, and the cluster itself is the supervisor's alone."""
    assert all(rule.right is not Right.ALL and rule.permission is Permission.ALLOW for rule in RIGHTS)
    on_cluster = {(rule.principal, rule.right) for rule in RIGHTS if rule.resource_type is ResourceType.CLUSTER}
    assert on_cluster == {("User:replicator", Right.DESCRIBE), ("User:replicator", Right.ALTER)}


def test_mm2_commits_for_no_group_but_its_worker() -> None:
    """READ on a group is the right to move it: MirrorMaker 2 has it on its own worker's alone."""
    reads = {
        (rule.name, rule.pattern)
        for rule in RIGHTS
        if (rule.principal, rule.resource_type, rule.right) == ("User:mm2", ResourceType.GROUP, Right.READ)
    }
    assert reads == {("__replicator.connect.west", PatternType.LITERAL)}


def test_replicator_deletes_no_topic_but_its_own() -> None:
    """No flow topic can be deleted by the supervisor; groups can, since an abort leaves none where none was."""
    deletes = {
        (rule.resource_type, rule.name)
        for rule in RIGHTS
        if (rule.principal, rule.right) == ("User:replicator", Right.DELETE)
    }
    assert deletes == {(ResourceType.TOPIC, "__replicator."), (ResourceType.GROUP, "*")}
