"""Access rules of the applications: read from the source while it lives, activated on the target when it is promoted.

A standby is read-only for applications until then. Owns which rules those are, and what becomes of them when the
cluster is the standby again. It never touches a rule that it has not made itself, and copies no credentials.
"""

from replicator.failover.access.activating import access_exceptions, activate_rules, rights_told, withdraw_rules
from replicator.failover.access.staging import application_rules, missing_rules, staged_rules

__all__ = [
    "access_exceptions",
    "activate_rules",
    "application_rules",
    "missing_rules",
    "rights_told",
    "staged_rules",
    "withdraw_rules",
]
