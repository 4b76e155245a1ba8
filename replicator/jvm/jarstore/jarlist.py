"""Which jars we run, each with its SHA-256: `jars.json`, read and written here.

The file is the only thing that decides what may be loaded. It is made once per Kafka version by
`python -m replicator.jvm.jarstore.relock`, which lets jgo resolve the dependency trees.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from replicator.errors import NotFound

LIST_FILE = Path(__file__).with_name("jars.json")


@dataclass(frozen=True, slots=True, order=True)
class Jar:
    """One jar: Maven coordinate `group:artifact:version`, SHA-256 in hex, size in bytes."""

    coordinate: str
    sha256: str
    size_bytes: int

    @property
    def file_name(self) -> str:
        """The name of the file, unique in a set."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@dataclass(frozen=True, slots=True)
class JarSet:
    """A named, complete set of jars."""

    name: str
    jars: tuple[Jar, ...]

    @property
    def size_bytes(self) -> int:
        """The bytes of all jars."""
        return sum(jar.size_bytes for jar in self.jars)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any jar of the set."""
        text = "\n".join(f"{jar.coordinate} {jar.sha256}" for jar in sorted(self.jars))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@cache
def read_jar_list(path: Path = LIST_FILE) -> dict[str, JarSet]:
    """Return every set of the list by name."""
    sets = json.loads(path.read_text(encoding="utf-8"))["sets"]
    return {
        name: JarSet(name, tuple(Jar(c, entry["sha256"], entry["size_bytes"]) for c, entry in body["jars"].items()))
        for name, body in sets.items()
    }


def find_jar_set(name: str) -> JarSet:
    """Return the set called `name`.

    Raises: NotFound naming the sets there are.
    """
    known = read_jar_list()
    if name not in known:
        raise NotFound(f"no jar set {name!r}", hint=f"the sets are: {', '.join(sorted(known))}")
    return known[name]
