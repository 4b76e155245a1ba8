"""Raw record batches over the Kafka protocol: own sockets, kafka-python's codec, nobody's transport.

Owns connections (TLS, SASL), leader routing, the batch format (walk, CRC proof, transactions), and the
records inside (decode, encode, rebuild). The only room that imports kafka-python; its types stop here.
Never decides what is worth keeping: it hands out bytes and says whether they are whole.
"""

from replicator.wire.client import RawClient
from replicator.wire.counting import count_visible
from replicator.wire.probing import WriteProbe, probe_write

__all__ = ["RawClient", "WriteProbe", "count_visible", "probe_write"]
