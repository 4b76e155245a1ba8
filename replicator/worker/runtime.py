"""What every place that runs a worker can do, and when a worker is ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from replicator.clock import Deadline
from replicator.errors import ReplicatorError, Unreachable
from replicator.http import HttpClient
from replicator.jvm import ProcessState
from replicator.model.cluster import Secret

_PROBE_SECONDS = 2.0
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RestLogin:
    """How we prove ourselves to a worker's REST, and whom we trust; a worker of ours asks for nothing."""

    username: str | None = None
    password: Secret | None = None
    ca_file: str | None = None


_NO_LOGIN = RestLogin()


class WorkerRuntime(Protocol):
    """A worker somewhere. `url` is its REST address."""

    @property
    def url(self) -> str:
        """The address of the worker's REST interface."""
        ...

    def start(self) -> object:
        """Start the worker if it is ours to start; nothing happens to one that runs."""
        ...

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the worker says that it is healthy.

        Raises: LabFailed when it died, DeadlineExceeded when it stays silent.
        """
        ...

    def stop(self, deadline: Deadline) -> None:
        """End the worker if it is ours; its connectors and positions stay in Kafka."""
        ...

    def state(self) -> ProcessState:
        """Whether it runs, is frozen or is gone, as far as this runtime can see."""
        ...


def is_worker_ready(url: str, *, login: RestLogin = _NO_LOGIN) -> bool:
    """Whether the worker has joined its group and finished its start.

    Source: Kafka's `/health` end point (KIP-1017): 200 when started and the herder answers.
    """
    try:
        with HttpClient(
            url,
            timeout_seconds=_PROBE_SECONDS,
            username=login.username,
            password=login.password,
            ca_file=login.ca_file,
        ) as client:
            return client.request("GET", "/health").status == 200
    except ReplicatorError:
        return False


def wait_worker_ready(
    url: str, deadline: Deadline, *, check_alive: Callable[[], None], login: RestLogin = _NO_LOGIN
) -> None:
    """Return when the worker at `url` is ready; `check_alive` raises when waiting has no more sense.

    Raises: DeadlineExceeded, and what `check_alive` raises.
    """
    while not is_worker_ready(url, login=login):
        check_alive()
        deadline.check(f"the Connect worker at {url} is not ready")
        deadline.clock.sleep(deadline.capped(_POLL_SECONDS))


def explain_silence(url: str) -> Unreachable:
    """Return the error for a worker that does not answer and is not ours to start."""
    return Unreachable(
        f"no Connect worker is ready at {url}", hint="start it, or correct `connect.CLUSTER.url` in the configuration"
    )
