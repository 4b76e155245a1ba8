"""Which process is meant: its pid together with the moment it started, so that a reused pid is
never taken for it."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from enum import StrEnum

import psutil  # type: ignore[import-untyped]  # ships no types

_START_TOLERANCE_SECONDS = 2.0  # the start is derived from the boot time, which moves when the clock is set


class ProcessState(StrEnum):
    """What the operating system says of a process."""

    RUNNING = "running"
    FROZEN = "frozen"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A pid and the start of its process in Unix seconds."""

    pid: int
    started_at: float

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the process that has `pid` now; None when there is none."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.Error:
            return None

    @property
    def state(self) -> ProcessState:
        """Whether this very process runs, is frozen, or is gone. A zombie is gone once its last thread is:
        until then its ports are taken."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.started_at) > _START_TOLERANCE_SECONDS:
                return ProcessState.GONE
            status = process.status()
            if status == psutil.STATUS_ZOMBIE and process.num_threads() > 1:
                return ProcessState.RUNNING
        except psutil.Error:
            return ProcessState.GONE
        if status in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
            return ProcessState.GONE
        return ProcessState.FROZEN if status == psutil.STATUS_STOPPED else ProcessState.RUNNING

    def send(self, number: signal.Signals) -> bool:
        """Send the signal to this very process; False when it is gone."""
        if self.state is ProcessState.GONE:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def resident_bytes(self) -> int | None:
        """Return the resident memory in bytes; None when the process is gone."""
        if self.state is ProcessState.GONE:
            return None
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return None
