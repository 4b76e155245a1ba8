"""Watches whether one cluster answers: reads tell it, and where reads fall silent it asks the listeners itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.kafka import HeldListeners
from replicator.model.cluster import ClusterAccess, ClusterDescription
from replicator.model.observations import ClusterObservation, Reachability
from replicator.supervisor.decide import reachability as decide

Probe = Callable[[Iterable[str], float], Reachability]

SUSPECT_SECONDS = 1.25
"""Without a whole read for this long the listeners are asked over one plain connection to each, only then."""
PROBE_SECONDS_MAX = 1.0


class ClusterWatch:
    """The newest observation of one cluster. Safe between threads: whoever reads tells it, one loop probes."""

    def __init__(self, access: ClusterAccess, *, clock: Clock = SYSTEM_CLOCK, ask: Probe | None = None) -> None:
        self._access = access
        self._clock = clock
        self._listeners = HeldListeners()
        self._ask = ask or self._listeners.ask
        self._lock = threading.Lock()
        self._observation = decide.first_contact(access.name, at=clock.now())
        self._has_failed_read = False
        self._reads = 0
        self._cause: str | None = None

    @property
    def observation(self) -> ClusterObservation:
        """What is known now."""
        return self._observation

    @property
    def cause(self) -> str | None:
        """Why the last read failed; None after a good one."""
        return self._cause

    @property
    def is_silent(self) -> bool:
        """Whether the last read failed, and not because it was refused: whoever asks more now only waits.

        librdkafka keeps what waits for an answer, and does not bear much of it: see docs/decisions/0001.
        """
        return self._has_failed_read

    def remember(self, earlier: ClusterObservation) -> None:
        """Take over what a supervisor before us knew, unless we have read the cluster ourselves already."""
        with self._lock:
            if self._observation.last_reached_at is None:
                self._observation = decide.take_over(self._observation, earlier=earlier)

    def note_read(self, *, began_at: datetime, description: ClusterDescription | None = None) -> None:
        """Note that everything wanted was read, in a sweep that began at `began_at`."""
        with self._lock:
            self._has_failed_read, self._cause = False, None
            self._reads += 1
            self._observation = decide.after_read(
                self._observation, began_at=began_at, ended_at=self._clock.now(), description=description
            )

    def note_denied(self, cause: str) -> None:
        """Note that the cluster answered, and refused us."""
        with self._lock:
            self._has_failed_read, self._cause = False, cause
            self._observation = decide.after_denial(self._observation, at=self._clock.now())

    def note_failed_read(self, cause: str) -> None:
        """Note that a read failed; the next probe says what that means."""
        with self._lock:
            self._has_failed_read, self._cause = True, cause

    def probe_if_suspect(self, deadline: Deadline) -> None:
        """Ask the listeners when the cluster has not been read for a while, and note what follows from the answer.

        A refusal counts at once. An accepted connection proves nothing while a read is still under way; once
        a read has failed it means that the cluster is silent.
        """
        reads = self._reads
        if not self._is_suspect(self._clock.now()):
            self._listeners.close()
            return
        addresses = decide.known_listeners(self._observation, bootstrap=self._access.bootstrap)
        answer = self._ask(addresses, deadline.capped(PROBE_SECONDS_MAX))
        with self._lock:
            was_read_meanwhile = self._reads != reads
            if not was_read_meanwhile and (answer is Reachability.REFUSED or self._has_failed_read):
                self._observation = decide.after_failure(self._observation, answer=answer, at=self._clock.now())

    def _is_suspect(self, now: datetime) -> bool:
        reached = self._observation.last_reached_at
        is_late = reached is None or now - reached > timedelta(seconds=SUSPECT_SECONDS)
        return self._has_failed_read or is_late
