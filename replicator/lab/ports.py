"""Free ports that stay free while a lab member is down and comes back.

They lie below the range the system hands to outgoing connections, so no client of anybody takes
one by chance between a kill and a start.
"""

from __future__ import annotations

import contextlib
import random
import socket
from pathlib import Path

from replicator.errors import LabFailed

_LOWEST = 15_000
_EPHEMERAL_FROM = 32_768
_TRIES = 2_000
_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def ephemeral_from(range_file: Path = _RANGE_FILE) -> int:
    """Return the first port the system gives to outgoing connections; Linux's default elsewhere."""
    try:
        first = int(range_file.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_FROM
    return first if first > _LOWEST + 1_000 else _EPHEMERAL_FROM


def choose_ports(count: int, *, rng: random.Random) -> list[int]:
    """Return `count` different ports of 127.0.0.1 that nobody listens on now.

    Raises: LabFailed when there are not that many.
    """
    ceiling = ephemeral_from()
    with contextlib.ExitStack() as held:
        found: list[int] = []
        for _ in range(_TRIES):
            if len(found) == count:
                return found
            port = rng.randrange(_LOWEST, ceiling)
            if port not in found and _take(port, held):
                found.append(port)
    raise LabFailed(f"fewer than {count} free ports between {_LOWEST} and {ceiling}")


def free_address() -> str:
    """Return an address of 127.0.0.1 that nobody listens on now, and that no client's connection takes by chance."""
    (port,) = choose_ports(1, rng=random.SystemRandom())
    return f"127.0.0.1:{port}"


def _take(port: int, held: contextlib.ExitStack) -> bool:
    """Bind the port until `held` closes, so that it is not chosen twice; False when it is in use."""
    probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True
