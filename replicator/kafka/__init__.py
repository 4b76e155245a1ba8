"""The door to Kafka: admin, positions, groups, reading, writing, leases.

The only room that imports confluent_kafka; no vendor type or exception leaves it. It answers and
acts, it never decides: no retry of an act, no choice of an offset, no opinion on lag.
"""

from replicator.kafka.cluster import KafkaCluster
from replicator.kafka.connection import HeldListeners, probe_listeners
from replicator.kafka.consuming import GroupConsumer
from replicator.kafka.groups import GroupListing
from replicator.kafka.lease import Lease
from replicator.kafka.reading import RangeRead, Record, Tail
from replicator.kafka.writing import Outgoing, TransactionalWriter, Writer

__all__ = [
    "GroupConsumer",
    "GroupListing",
    "HeldListeners",
    "KafkaCluster",
    "Lease",
    "Outgoing",
    "RangeRead",
    "Record",
    "Tail",
    "TransactionalWriter",
    "Writer",
    "probe_listeners",
]
