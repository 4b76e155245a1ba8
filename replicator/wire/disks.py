"""How much room brokers have, and how much partitions take: what each broker tells of its disks (KIP-827)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.clock import Deadline
from replicator.errors import AccessDenied, OperationFailed
from replicator.model.names import TopicPartition
from replicator.wire.answers import DiskAnswer, Fault
from replicator.wire.client import RawClient
from replicator.wire.messages import call_describe_log_dirs, classify, name_error


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """One disk: its size and what is left of it, in bytes."""

    total_bytes: int
    usable_bytes: int

    @property
    def usable_share(self) -> float:
        """What is left, 0 to 1."""
        return self.usable_bytes / self.total_bytes if self.total_bytes else 0.0


def read_disks(
    client: RawClient, partitions: Iterable[TopicPartition], *, deadline: Deadline
) -> dict[int, DiskSpace | None]:
    """Return the fullest disk of every broker that leads one of the partitions; None of a broker that does not tell.

    Raises: AccessDenied without DESCRIBE on the cluster; as `find_leaders`.
    """
    brokers = sorted(set(client.find_leaders(partitions, deadline=deadline).values()))
    return {broker: _read_one(client, broker, deadline) for broker in brokers}


def read_sizes(
    client: RawClient, partitions: Iterable[TopicPartition], *, deadline: Deadline
) -> dict[TopicPartition, int]:
    """Return the bytes of each partition's log on its leader.

    Raises: as `read_disks`.
    """
    leaders = client.find_leaders(partitions, deadline=deadline)
    sizes: dict[TopicPartition, int] = {}
    for broker in sorted(set(leaders.values())):
        own = [tp for tp, leader in leaders.items() if leader == broker]
        sizes |= _ask(client, broker, own, deadline).sizes
    return sizes


def _read_one(client: RawClient, broker: int, deadline: Deadline) -> DiskSpace | None:
    found = _ask(client, broker, (), deadline)
    sizes = [DiskSpace(disk.total_bytes, disk.usable_bytes) for disk in found.disks if disk.total_bytes > 0]
    return min(sizes, key=lambda disk: disk.usable_share, default=None)


def _ask(client: RawClient, broker: int, partitions: Iterable[TopicPartition], deadline: Deadline) -> DiskAnswer:
    connection = client.open_connection(broker, deadline=deadline)
    try:
        found: DiskAnswer = connection.ask(call_describe_log_dirs(partitions), deadline=deadline)
    finally:
        connection.close()
    for code in (found.error_code, *(disk.error_code for disk in found.disks)):
        if classify(code) is Fault.DENIED:
            raise AccessDenied(f"cluster {client.access.name}: disks are told to who may DESCRIBE the cluster")
        if classify(code) is not None:
            raise OperationFailed(f"cluster {client.access.name}: broker {broker} does not tell: {name_error(code)}")
    return found
