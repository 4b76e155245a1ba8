"""How a lab is secured: not at all, or with SCRAM over TLS and rules of the authorizer."""

from replicator.lab.security.scram import ScramSecurity
from replicator.lab.security.seam import LabSecurity, NoSecurity

__all__ = ["LabSecurity", "NoSecurity", "ScramSecurity"]
