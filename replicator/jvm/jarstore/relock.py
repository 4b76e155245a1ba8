"""Writes `jars.json` anew: `python -m replicator.jvm.jarstore.relock`, after the versions below change.

jgo resolves each set's dependency tree, every jar is downloaded once, checked by jgo against the
repository's own checksum, and its SHA-256 goes into the list. Run it on a machine you trust and
read the diff: from then on the list decides.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from jgo.maven import Dependency, MavenContext, PythonResolver

from replicator.jvm.jarstore.jarlist import LIST_FILE

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"  # the one Kafka's server depends on: the binding must match it

ROOTS: dict[str, list[str]] = {
    # kafka-tools: log dump and group tools. log4j-slf4j-impl: without a binding Connect logs nothing.
    # The `!` keeps jgo from taking a root's dependency management for all: log4j's would bring
    # Kafka clients of 3.9.
    "kafka": [
        f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}!",
        f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}!",
        f"org.apache.kafka:connect-mirror:{KAFKA_VERSION}!",
        f"org.apache.kafka:kafka-tools:{KAFKA_VERSION}!",
        f"org.apache.logging.log4j:log4j-slf4j-impl:{LOG4J_VERSION}!",
    ],
    # A real S3 server for tests that need one without Docker. Its own dependency management counts: without it
    # the older of two jackson-annotations wins, and the server does not start.
    "s3proxy": ["org.gaul:s3proxy:4.1.0"],
}


def _coordinate(dependency: Dependency) -> str:
    return f"{dependency.groupId}:{dependency.artifactId}:{dependency.version}"


def _resolve(context: MavenContext, roots: list[str]) -> list[Dependency]:
    inputs, transitive = context.resolver.resolve([context.create_dependency(root) for root in roots])
    wanted = {_coordinate(d): d for d in (*inputs, *transitive) if d.artifact.packaging == "jar"}
    return [wanted[c] for c in sorted(wanted)]


def _describe(dependency: Dependency) -> dict[str, str | int]:
    content = dependency.artifact.resolve().read_bytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}


def write_jar_list(path: Path = LIST_FILE) -> None:
    """Resolve every set and write the list to `path`."""
    with tempfile.TemporaryDirectory() as scratch:
        context = MavenContext(repo_cache=Path(scratch), resolver=PythonResolver(), timeout=60)
        sets = {
            name: {"roots": roots, "jars": {_coordinate(d): _describe(d) for d in _resolve(context, roots)}}
            for name, roots in ROOTS.items()
        }
    path.write_text(json.dumps({"sets": sets}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_jar_list()
    sys.stderr.write(f"{LIST_FILE} written\n")
