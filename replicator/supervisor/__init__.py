"""The supervisor: loops that observe, decide, act and record, and the one frozen `Status` they end in.

Owns when things are looked at, how the newest samples become a status, who leads, and what is written to the
standby's observations; and the assembly of all doors from the settings, which every command shares. Decisions
are functions of values in `decide/`; observers in `observe/` ask one cluster each. Unasked it begins drills that a
schedule orders and, only where `failover.mode` is auto, a failover. It never moves an offset, and never lets one
cluster's silence delay another's loop.
"""

from replicator.supervisor.assemble import FlowWorld, World

__all__ = ["FlowWorld", "World"]
