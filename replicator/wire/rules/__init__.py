"""What a cluster keeps beside topics and groups: access rules, quotas, the names of SCRAM users. Read, never changed.

Asked with kafka-python's codec: librdkafka 2.16 ends the process on a refused DescribeUserScramCredentials, tells a
refused listing of access rules as an empty one, and has no words for some resources.
"""

from replicator.wire.rules.asking import read_access_rules, read_quotas, read_scram_users
from replicator.wire.rules.messages import AccessRule, Quota, ScramUser

__all__ = ["AccessRule", "Quota", "ScramUser", "read_access_rules", "read_quotas", "read_scram_users"]
