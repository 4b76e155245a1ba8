"""Jars by name of their set: a committed list with hashes, a fetch through jgo, a cache on disk."""

from replicator.jvm.jarstore.fetch import Progress, jars, kafka_classpath
from replicator.jvm.jarstore.progress import show_download

__all__ = ["Progress", "jars", "kafka_classpath", "show_download"]
