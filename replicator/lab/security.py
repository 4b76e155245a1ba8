"""How members of a lab and their clients prove themselves. This one: not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from replicator.lab.plan import ClusterPlan, NodePlan
from replicator.model.cluster import Security


class LabSecurity(Protocol):
    """The seam between a lab and the ways to secure it."""

    def prepare(self) -> None:
        """Make what is missing: keys, certificates, passwords."""
        ...

    def scram(self) -> Sequence[str]:
        """The credentials to format storage with, as Kafka's tool wants them."""
        ...

    def broker_properties(self, cluster: ClusterPlan, node: NodePlan) -> dict[str, str]:
        """The properties that secure one broker."""
        ...

    def client(self, principal: str) -> Security:
        """How `principal` proves itself to any cluster of the lab."""
        ...


class NoSecurity:
    """Plain text, nobody is asked who they are."""

    def prepare(self) -> None:
        """Nothing to make."""

    def scram(self) -> Sequence[str]:
        """No credentials."""
        return ()

    def broker_properties(self, cluster: ClusterPlan, node: NodePlan) -> dict[str, str]:  # noqa: ARG002 - the seam's signature
        """No properties."""
        return {}

    def client(self, principal: str) -> Security:  # noqa: ARG002 - the seam's signature
        """Plain text for everybody."""
        return Security()
