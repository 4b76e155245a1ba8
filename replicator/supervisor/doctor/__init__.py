"""`doctor`: everything that can be known to stand against a flow before it fails, each with its fix.

Owns the facts that are gathered for it, the checks over them (pure), and the rights a configuration needs. Changes
nothing, waits for nobody beyond its budget, and says which checks could not be made.
"""

from replicator.supervisor.doctor.checks import examine
from replicator.supervisor.doctor.facts import DoctorFacts
from replicator.supervisor.doctor.findings import Finding, Severity, worst_of
from replicator.supervisor.doctor.gather import gather_facts
from replicator.supervisor.doctor.rights import ClusterRights, rights_of_settings

__all__ = [
    "ClusterRights",
    "DoctorFacts",
    "Finding",
    "Severity",
    "examine",
    "gather_facts",
    "rights_of_settings",
    "worst_of",
]
