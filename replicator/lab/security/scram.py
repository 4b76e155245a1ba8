"""SASL_SSL with SCRAM-SHA-512 for clients, mutual TLS between controllers, rights by rules."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path

from replicator.jvm import client_security_properties, jaas_config, render_properties, write_private
from replicator.lab.broker import CLIENT_LISTENER, CONTROLLER_LISTENER
from replicator.lab.security.certificates import BROKER_COMMON_NAME, CertificateFiles, make_certificates
from replicator.lab.security.rights import lab_rights
from replicator.model.acls import AclBinding
from replicator.model.cluster import Secret, Security, SecurityProtocol

MECHANISM = "SCRAM-SHA-512"
ADMIN = "admin"
PRINCIPALS = ("app", "mm2", "replicator", ADMIN)
"""All log in the same way; `admin` alone is a super user. It is the brokers' own and stays in the lab's folder."""

_PASSWORD_BYTES = 24


class ScramSecurity:
    """Keys, certificates and passwords of one lab, in one private folder:
    `ca.pem`, `broker.pem`, and for each principal `NAME/password` and `NAME/client.properties`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = CertificateFiles(ca=folder / "ca.pem", broker=folder / "broker.pem")

    def prepare(self) -> None:
        """Leave certificates and passwords in place; those that are there stay."""
        make_certificates(self._files)
        for principal in PRINCIPALS:
            folder = self._folder / principal
            folder.mkdir(mode=0o700, exist_ok=True)
            if not (folder / "password").exists():
                write_private(folder / "password", secrets.token_urlsafe(_PASSWORD_BYTES))
            properties = client_security_properties(self.client(principal))
            write_private(folder / "client.properties", render_properties(properties))

    def scram(self) -> Sequence[str]:
        """Every principal's credentials, as Kafka's storage tool wants them."""
        return [f"{MECHANISM}=[name={name},password={self._password(name).value}]" for name in PRINCIPALS]

    def broker_properties(self) -> dict[str, str]:
        """What makes a broker ask who one is, and what one may do."""
        client = f"listener.name.{CLIENT_LISTENER.lower()}."
        controller = f"listener.name.{CONTROLLER_LISTENER.lower()}."
        return {
            "listener.security.protocol.map": f"{CLIENT_LISTENER}:SASL_SSL,{CONTROLLER_LISTENER}:SSL",
            "sasl.enabled.mechanisms": MECHANISM,
            "sasl.mechanism.inter.broker.protocol": MECHANISM,
            f"{client}{MECHANISM.lower()}.sasl.jaas.config": jaas_config(
                MECHANISM, username=ADMIN, password=self._password(ADMIN).value
            ),
            # Controllers speak before any SCRAM credential can be read: they show certificates.
            f"{controller}ssl.client.auth": "required",
            f"{controller}ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._files.broker),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self._files.ca),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{ADMIN};User:{BROKER_COMMON_NAME}",
            "allow.everyone.if.no.acl.found": "false",
        }

    def client(self, principal: str) -> Security:
        """How `principal` logs in."""
        return Security(
            protocol=SecurityProtocol.SASL_SSL,
            mechanism=MECHANISM,
            username=principal,
            password=self._password(principal),
            ca_file=str(self._files.ca),
        )

    def rights(self, *, connect_group: str) -> tuple[AclBinding, ...]:
        """The rules of a cluster of the lab."""
        return lab_rights(connect_group=connect_group)

    def _password(self, principal: str) -> Secret:
        path = self._folder / principal / "password"
        return Secret(reference=f"file:{path}", value=path.read_text(encoding="utf-8"))
