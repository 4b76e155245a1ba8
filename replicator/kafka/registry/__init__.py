"""The door to a schema registry: what it holds, read and written over REST.

Part of the only room that imports confluent_kafka; its registry client needs the extra `registry`. It asks and it
acts, it never decides which schema belongs where.
"""

from replicator.kafka.registry.client import SchemaRegistry

__all__ = ["SchemaRegistry"]
