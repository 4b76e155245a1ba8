"""A log that lives and dies with the process. It passes the contract suite of the real one, so that
rehearsals and tests may stand on it."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.clock import Deadline
from replicator.errors import Fenced
from replicator.journal.chain import Stored
from replicator.journal.log import LogWriter


class MemoryLog:
    """A list of values; opening a writer id again fences the writer opened before."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self._generations: dict[str, int] = {}
        self._is_made = False

    def exists(self, deadline: Deadline) -> bool:  # noqa: ARG002 - memory answers at once
        """Whether the log was made already."""
        return self._is_made

    def ensure(self, deadline: Deadline) -> None:  # noqa: ARG002 - memory answers at once
        """Leave the log existing."""
        self._is_made = True

    def read(self, deadline: Deadline) -> list[Stored]:  # noqa: ARG002 - memory answers at once
        """Return every value in order."""
        return [Stored(offset, value) for offset, value in enumerate(self.values)]

    def open_writer(self, writer_id: str, deadline: Deadline) -> LogWriter:  # noqa: ARG002 - memory answers at once
        """Return the only writer of this id; every earlier one is fenced."""
        self._generations[writer_id] = self._generations.get(writer_id, 0) + 1
        return _MemoryWriter(self, writer_id, generation=self._generations[writer_id])

    def append(self, writer_id: str, generation: int, values: Sequence[bytes]) -> list[int]:
        """Return the offsets of the values, or refuse a writer of an older generation."""
        if self._generations[writer_id] != generation:
            raise Fenced(f"journal: {writer_id} was opened again", hint="see `replicator op list`")
        first = len(self.values)
        self.values.extend(values)
        return list(range(first, len(self.values)))


class _MemoryWriter:
    """One generation of a writer id."""

    def __init__(self, log: MemoryLog, writer_id: str, *, generation: int) -> None:
        self._log = log
        self._writer_id = writer_id
        self._generation = generation

    def append(self, values: Sequence[bytes], deadline: Deadline) -> list[int]:  # noqa: ARG002 - memory answers at once
        """Return the offsets of the values."""
        return self._log.append(self._writer_id, self._generation, values)

    def close(self) -> None:
        """Nothing is held."""
