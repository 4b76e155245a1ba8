"""Which batches a committed-only reader never sees.

Source: KIP-98 and the Java consumer's fetcher: the broker names the aborted transactions that touch
an answer (producer id, first offset); a producer's batches from that offset on are aborted until its
ABORT marker.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from replicator.wire.format.batches import BatchHeader, MarkerKind


class AbortedTransaction(NamedTuple):
    """One aborted transaction as a Fetch answer names it."""

    producer_id: int
    first_offset: int


@dataclass(slots=True)
class AbortTracker:
    """Follows one partition in offset order and tells aborted batches from committed ones."""

    _pending: dict[int, set[int]] = field(default_factory=dict)
    _aborting: dict[int, set[int]] = field(default_factory=dict)

    def learn(self, aborted: Iterable[AbortedTransaction]) -> None:
        """Take in the aborted transactions of the next answer; those being followed are ignored."""
        for producer_id, first_offset in aborted:
            if first_offset not in self._aborting.get(producer_id, ()):
                self._pending.setdefault(producer_id, set()).add(first_offset)

    def is_aborted(self, header: BatchHeader) -> bool:
        """Whether this transactional batch was aborted. Call for each of them, in offset order."""
        pending = self._pending.get(header.producer_id)
        if pending:
            begun = {first_offset for first_offset in pending if first_offset < header.next_offset}
            pending -= begun
            if begun:
                self._aborting.setdefault(header.producer_id, set()).update(begun)
        return header.producer_id in self._aborting

    def pass_marker(self, header: BatchHeader, kind: MarkerKind) -> None:
        """Note that the producer's transaction ended here."""
        if kind is MarkerKind.ABORT:
            self.is_aborted(header)
            self._aborting.pop(header.producer_id, None)
