"""A worker that somebody else runs: we know its address and nothing more."""

from __future__ import annotations

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded
from replicator.jvm import ProcessState
from replicator.worker.runtime import RestLogin, explain_silence, is_worker_ready, wait_worker_ready


class ExternalWorker:
    """A Connect cluster you have. It is never started nor stopped by us."""

    def __init__(self, url: str, *, login: RestLogin | None = None) -> None:
        self.url = url
        self._login = login or RestLogin()

    def start(self) -> None:
        """Return if the worker answers.

        Raises: Unreachable, since starting it is not ours to do.
        """
        if not is_worker_ready(self.url, login=self._login):
            raise explain_silence(self.url)

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the worker is healthy.

        Raises: Unreachable when it stays silent.
        """
        try:
            wait_worker_ready(self.url, deadline, check_alive=lambda: None, login=self._login)
        except DeadlineExceeded as exc:
            raise explain_silence(self.url) from exc

    def stop(self, deadline: Deadline) -> None:
        """Leave it as it is: it is not ours."""

    def state(self) -> ProcessState:
        """RUNNING when it is healthy, GONE when it does not answer."""
        return ProcessState.RUNNING if is_worker_ready(self.url, login=self._login) else ProcessState.GONE
