"""A client of Connect's REST that waits for what it asked: it returns when the new state is proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from replicator.clock import Deadline
from replicator.connect import answers
from replicator.connect.codecs import StoredOffset
from replicator.errors import DeadlineExceeded, NotFound, OperationFailed, PreflightBlocked
from replicator.http import HttpClient, Response
from replicator.model.cluster import Secret
from replicator.model.connectors import (
    ConfigFinding,
    Connector,
    ConnectorState,
    ConnectorStatus,
    Plugin,
    WorkerInfo,
)
from replicator.model.names import TopicPartition

REQUEST_SECONDS_MAX = 30.0
"""No single request waits longer, whatever is left of the deadline."""

STABLE_SECONDS = 3.0
"""A restarted task has to run this long before it counts as running."""

_PAUSE_SECONDS = 0.2
_PAUSE_SECONDS_MAX = 1.0


class ConnectClient:
    """The connectors of one Connect cluster, asked through any of its workers.

    A rebalance (409) and a worker that is starting (503) are waited out; every call ends with its deadline.
    Every call may raise Unreachable, DeadlineExceeded, AccessDenied or OperationFailed.
    """

    def __init__(
        self, url: str, *, username: str | None = None, password: Secret | None = None, ca_file: str | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self._http = HttpClient(
            self.url, timeout_seconds=REQUEST_SECONDS_MAX, username=username, password=password, ca_file=ca_file
        )

    def worker(self, deadline: Deadline) -> WorkerInfo:
        """Return the version of the worker and the id of the cluster it writes to."""
        return answers.read_worker_info(self._call("GET", "/", deadline=deadline).json())

    def plugins(self, deadline: Deadline) -> tuple[Plugin, ...]:
        """Return the connector classes that can be loaded."""
        return answers.read_plugins(self._call("GET", "/connector-plugins", deadline=deadline).json())

    def list(self, deadline: Deadline) -> dict[str, Connector]:
        """Return every connector with its configuration and status."""
        path = "/connectors?expand=info&expand=status"
        return answers.read_connectors(self._call("GET", path, deadline=deadline).json())

    def find(self, name: str, deadline: Deadline) -> Connector | None:
        """Return one connector, or None when it does not exist."""
        try:
            config = answers.read_config(self._call("GET", _path(name, "config"), deadline=deadline).json())
        except NotFound:
            return None
        return Connector(name=name, config=config, status=self._status_or_none(name, deadline))

    def status(self, name: str, deadline: Deadline) -> ConnectorStatus:
        """Return the status of a connector and its tasks.

        Raises:
            NotFound: no such connector, or it has no status yet.
        """
        return answers.read_status(self._call("GET", _path(name, "status"), deadline=deadline).json())

    def _status_or_none(self, name: str, deadline: Deadline) -> ConnectorStatus | None:
        try:
            return self.status(name, deadline)
        except NotFound:
            return None

    def validate(self, config: Mapping[str, str], deadline: Deadline) -> tuple[ConfigFinding, ...]:
        """Return what the worker objects to in a configuration; nothing is created."""
        path = f"/connector-plugins/{quote(config['connector.class'], safe='')}/config/validate"
        return answers.read_findings(self._call("PUT", path, json=dict(config), deadline=deadline).json())

    def create(
        self,
        name: str,
        config: Mapping[str, str],
        *,
        deadline: Deadline,
        initial_state: ConnectorState = ConnectorState.STOPPED,
    ) -> ConnectorStatus:
        """Leave a new connector in its initial state, seen there.

        Raises:
            PreflightBlocked: a connector of this name exists.
        """
        body = {"name": name, "config": dict(config), "initial_state": initial_state.value}
        self._call("POST", "/connectors", json=body, deadline=deadline, is_final=lambda: self._exists(name, deadline))
        return self.wait_for(name, lambda status: status.state is initial_state, deadline, what=initial_state.value)

    def _exists(self, name: str, deadline: Deadline) -> bool:
        if self.find(name, deadline) is None:
            return False
        raise PreflightBlocked(f"Connect {self.url}: connector {name} exists already", hint="replicator plan")

    def configure(self, name: str, config: Mapping[str, str], deadline: Deadline) -> None:
        """Leave the connector with exactly this configuration; a running one restarts with it."""
        self._call("PUT", _path(name, "config"), json=dict(config), deadline=deadline)

    def delete(self, name: str, deadline: Deadline) -> None:
        """Leave no connector of this name. Its stored offsets stay: the same name made again goes on there."""
        try:
            self._call("DELETE", _path(name), deadline=deadline)
        except NotFound:
            return
        _until(lambda: self.find(name, deadline) is None, deadline, f"Connect {self.url}: {name} is still there")

    def pause(self, name: str, deadline: Deadline) -> ConnectorStatus:
        """Leave the connector and all its tasks PAUSED. Tasks keep their consumers: this is no fence."""
        self._call("PUT", _path(name, "pause"), deadline=deadline)
        return self.wait_for(name, lambda status: status.is_wholly(ConnectorState.PAUSED), deadline, what="PAUSED")

    def stop(self, name: str, deadline: Deadline) -> ConnectorStatus:
        """Leave the connector STOPPED without a task; it stays so over restarts of every worker."""
        self._call("PUT", _path(name, "stop"), deadline=deadline)
        return self.wait_for(name, lambda status: status.is_stopped, deadline, what="STOPPED without tasks")

    def resume(self, name: str, deadline: Deadline, *, tasks_min: int = 0) -> ConnectorStatus:
        """Leave the connector and its tasks (at least `tasks_min`) RUNNING.

        Raises:
            OperationFailed: it or a task of it is FAILED; the message carries the first line of why.
        """
        self._call("PUT", _path(name, "resume"), deadline=deadline)
        return self._wait_running(name, deadline, tasks_min=tasks_min)

    def restart_failed(self, name: str, deadline: Deadline, *, tasks_min: int = 0) -> ConnectorStatus:
        """Leave every failed part of the connector restarted and RUNNING; healthy tasks are not touched.

        What fails again within `STABLE_SECONDS` is told: RUNNING for a moment is no proof.

        Raises:
            OperationFailed: it failed again; the message carries the first line of why.
        """
        return self._restart(name, "onlyFailed=true", deadline, tasks_min=tasks_min)

    def restart(self, name: str, deadline: Deadline, *, tasks_min: int = 0) -> ConnectorStatus:
        """Leave the connector and every task of it restarted, and RUNNING as `restart_failed` means it."""
        return self._restart(name, "onlyFailed=false", deadline, tasks_min=tasks_min)

    def _restart(self, name: str, which: str, deadline: Deadline, *, tasks_min: int) -> ConnectorStatus:
        self._call("POST", _path(name, "restart") + f"?includeTasks=true&{which}", deadline=deadline)
        self._wait_running(name, deadline, tasks_min=tasks_min, is_failure_old=True)
        stable = Deadline.after(deadline.capped(STABLE_SECONDS), clock=deadline.clock)
        while True:
            status = self._wait_running(name, deadline, tasks_min=tasks_min)
            if stable.is_over:
                return status
            deadline.clock.sleep(stable.capped(_PAUSE_SECONDS))

    def _wait_running(
        self, name: str, deadline: Deadline, *, tasks_min: int, is_failure_old: bool = False
    ) -> ConnectorStatus:
        grace = Deadline.after(deadline.capped(5.0), clock=deadline.clock)

        def is_running(status: ConnectorStatus) -> bool:
            failure = status.first_failure()
            if failure is not None and not (is_failure_old and not grace.is_over):
                raise OperationFailed(
                    f"Connect {self.url}: connector {name} failed: {failure}", detail=_whole_trace(status)
                )
            return status.is_wholly(ConnectorState.RUNNING) and len(status.tasks) >= tasks_min

        return self.wait_for(name, is_running, deadline, what="RUNNING")

    def wait_for(
        self, name: str, is_reached: Callable[[ConnectorStatus], bool], deadline: Deadline, *, what: str
    ) -> ConnectorStatus:
        """Return the first status that `is_reached` accepts.

        Raises:
            DeadlineExceeded: none was seen in time; the message tells the last status.
        """
        pause = _PAUSE_SECONDS / 4
        while True:
            status = self._status_or_none(name, deadline)
            if status is not None and is_reached(status):
                return status
            if deadline.left <= pause:
                raise DeadlineExceeded(
                    f"Connect {self.url}: connector {name} did not become {what} in time; {_tell(status)}",
                    hint="replicator flow list",
                )
            deadline.clock.sleep(pause)
            pause = min(pause * 1.5, _PAUSE_SECONDS)

    def positions(self, name: str, deadline: Deadline) -> dict[TopicPartition, int]:
        """Return the next source offset to be mirrored of each partition that ever had a record mirrored."""
        answer = self._call("GET", _path(name, "offsets"), deadline=deadline).json()
        stored = [StoredOffset(name, partition, offset) for partition, offset in answers.read_offsets(answer)]
        return {
            entry.topic_partition: entry.next_to_mirror
            for entry in stored
            if entry.topic_partition is not None and entry.next_to_mirror is not None
        }

    def set_positions(
        self, name: str, *, source_alias: str, positions: Mapping[TopicPartition, int], deadline: Deadline
    ) -> None:
        """Leave these partitions to be mirrored from the given source offsets on, read back.

        Connect stores the last mirrored offset, so position X is kept as X - 1 and position 0 as no entry.

        Raises:
            PreflightBlocked: the connector is not STOPPED, or still has tasks.
            OperationFailed: something else reads back.
        """
        if not positions:
            return
        self._require_stopped(name, deadline)
        body = {"offsets": [_patch(source_alias, partition, at) for partition, at in sorted(positions.items())]}
        self._call("PATCH", _path(name, "offsets"), json=body, deadline=deadline)
        self._read_back(name, positions, deadline)

    def _read_back(self, name: str, positions: Mapping[TopicPartition, int], deadline: Deadline) -> None:
        seen = self.positions(name, deadline)
        wrong = [f"{tp}: wanted {at}, reads {seen.get(tp, 0)}" for tp, at in positions.items() if seen.get(tp, 0) != at]
        if wrong:
            raise OperationFailed(f"Connect {self.url}: positions of {name} read back differently: {'; '.join(wrong)}")

    def reset_positions(self, name: str, deadline: Deadline) -> None:
        """Leave the connector without any stored position: it starts over at the source's log start.

        Raises:
            PreflightBlocked: the connector is not STOPPED, or still has tasks.
        """
        self._require_stopped(name, deadline)
        self._call("DELETE", _path(name, "offsets"), deadline=deadline)
        if self.positions(name, deadline):
            raise OperationFailed(f"Connect {self.url}: connector {name} still has positions after their reset")

    def _require_stopped(self, name: str, deadline: Deadline) -> None:
        status = self.status(name, deadline)
        if not status.is_stopped:
            raise PreflightBlocked(
                f"Connect {self.url}: connector {name} must be STOPPED without tasks to move its positions; "
                f"{_tell(status)}",
                hint=f"replicator flow stop {name.rpartition('.')[0] or name}",
            )

    def _call(
        self,
        method: str,
        path: str,
        *,
        deadline: Deadline,
        json: Any = None,
        is_final: Callable[[], bool] | None = None,
    ) -> Response:
        pause = _PAUSE_SECONDS
        while True:
            deadline.check(f"Connect {self.url}: {method} {path}")
            response = self._http.request(
                method, path, json=json, timeout_seconds=max(0.05, deadline.capped(REQUEST_SECONDS_MAX))
            )
            if response.is_success:
                return response
            if not _is_passing(response) or (is_final is not None and is_final()):
                raise self._refusal(method, path, response)
            if deadline.left <= pause:
                raise DeadlineExceeded(
                    f"Connect {self.url}: {method} {path}: still busy: {_message(response)}",
                    hint="replicator flow list",
                )
            deadline.clock.sleep(pause)
            pause = min(pause * 1.5, _PAUSE_SECONDS_MAX)

    def _refusal(self, method: str, path: str, response: Response) -> NotFound | OperationFailed:
        told = f"Connect {self.url}: {method} {path}: status {response.status}: {_message(response)}"
        return NotFound(told) if response.status == 404 else OperationFailed(told)

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _until(is_reached: Callable[[], bool], deadline: Deadline, what: str) -> None:
    while not is_reached():
        deadline.check(what)
        deadline.clock.sleep(deadline.capped(_PAUSE_SECONDS))


def _path(name: str, *rest: str) -> str:
    return "/".join(["/connectors", quote(name, safe=""), *rest])


def _is_passing(response: Response) -> bool:
    """Whether the refusal passes by itself: a rebalance, a start, or the worker's own time-out."""
    return response.status in (409, 503) or (response.status == 500 and "timed out" in response.text().lower())


def _message(response: Response) -> str:
    is_json = response.body.lstrip().startswith(b"{")
    told = answers.read_message(response.text(), response.json() if is_json else None)
    return " ".join(told.split())


def _patch(source_alias: str, partition: TopicPartition, position: int) -> dict[str, Any]:
    return {
        "partition": {"cluster": source_alias, "topic": partition.topic, "partition": partition.partition},
        "offset": {"offset": position - 1} if position > 0 else None,
    }


def _tell(status: ConnectorStatus | None) -> str:
    if status is None:
        return "it has no status"
    tasks = ", ".join(f"task {task.id} {task.state.value}" for task in status.tasks) or "no tasks"
    return f"it is {status.state.value} with {tasks}"


def _whole_trace(status: ConnectorStatus) -> str | None:
    return next((task.trace for task in status.failed_tasks if task.trace), status.trace)
