"""Embedded Kafka clusters from jars, for the demo, the tests, drills, and rehearsals on a laptop.

Owns a folder with everything of a lab in it: plan, storage, logs, keys, processes. Never touches a
process it did not start, never listens beyond 127.0.0.1, never leaves one running unasked.
"""

from replicator.lab.lab import Lab, MemberStatus
from replicator.lab.plan import LabSpec
from replicator.lab.ports import free_address

__all__ = ["Lab", "LabSpec", "MemberStatus", "free_address"]
