"""Reads what Connect says of a flow's connectors. Its word is shown; health comes from progress."""

from __future__ import annotations

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import ConnectClient
from replicator.model.flow import Flow
from replicator.supervisor.samples import ConnectSample


class ConnectObserver:
    """Reads one flow's connectors."""

    def __init__(self, flow: Flow, connect: ConnectClient, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self._names = (flow.source_connector, flow.checkpoint_connector)
        self._connect = connect
        self._clock = clock

    def observe(self, deadline: Deadline) -> ConnectSample:
        """Return configuration and status of each connector that exists, from one call.

        Raises: Unreachable, DeadlineExceeded, AccessDenied: Connect's REST cannot be read.
        """
        began_at = self._clock.now()
        found = self._connect.list(deadline)
        return ConnectSample(began_at=began_at, connectors=tuple(found[name] for name in self._names if name in found))
