"""Raw record batches over the Kafka protocol: own sockets, kafka-python's codec, nobody's transport.

Owns connections (TLS, SASL), leader routing, the batch format (walk, CRC proof, transactions), and the
records inside (decode, encode, rebuild). The only room that imports kafka-python; its types stop here.
Never decides what is worth keeping: it hands out bytes and says whether they are whole.
"""

from replicator.wire.client import RawClient
from replicator.wire.committing import read_metadata
from replicator.wire.counting import count_visible, find_plain_batch
from replicator.wire.disks import DiskSpace, read_disks, read_sizes
from replicator.wire.probing import WriteProbe, probe_write

__all__ = [
    "DiskSpace",
    "RawClient",
    "WriteProbe",
    "count_visible",
    "find_plain_batch",
    "probe_write",
    "read_disks",
    "read_metadata",
    "read_sizes",
]
