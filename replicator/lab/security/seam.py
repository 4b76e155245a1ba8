"""How members of a lab and their clients prove themselves: the seam, and the way that asks nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from replicator.model.acls import AclBinding
from replicator.model.cluster import Security


class LabSecurity(Protocol):
    """What a lab needs of a way to secure it."""

    def prepare(self) -> None:
        """Make what is missing: keys, certificates, passwords."""
        ...

    def scram(self) -> Sequence[str]:
        """The credentials to format storage with, as Kafka's tool wants them."""
        ...

    def broker_properties(self) -> dict[str, str]:
        """The properties that secure a broker."""
        ...

    def client(self, principal: str) -> Security:
        """How `principal` proves itself to any cluster of the lab."""
        ...

    def rights(self, *, connect_group: str) -> tuple[AclBinding, ...]:
        """The rules that a cluster starts with; `connect_group` is the group of the worker beside it."""
        ...


class NoSecurity:
    """Plain text; nobody is asked who they are, everybody may do everything."""

    def prepare(self) -> None:
        """Nothing to make."""

    def scram(self) -> Sequence[str]:
        """No credentials."""
        return ()

    def broker_properties(self) -> dict[str, str]:
        """No properties."""
        return {}

    def client(self, principal: str) -> Security:  # noqa: ARG002 - the seam's signature
        """Plain text for everybody."""
        return Security()

    def rights(self, *, connect_group: str) -> tuple[AclBinding, ...]:  # noqa: ARG002 - the seam's signature
        """No rules."""
        return ()
