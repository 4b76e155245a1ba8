"""The demo: two clusters, a real stream, a real outage, a failover, and a ledger that judges it.

It uses the commands an operator uses, in processes of their own, and applications that know nothing
of replication. It owns no mechanism: whatever it shows, the rooms below can do without it.
"""

from replicator.cli.demo.command import demo

__all__ = ["demo"]
