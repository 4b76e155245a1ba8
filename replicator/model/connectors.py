"""Connectors as Connect tells of them. Its word is never proof that records move."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ConnectorState(StrEnum):
    """Connect's states of a connector or a task; UNKNOWN is any word we do not know."""

    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"
    UNASSIGNED = "UNASSIGNED"
    RESTARTING = "RESTARTING"
    DESTROYED = "DESTROYED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskStatus:
    """One task. `trace` is the failure's stack trace, None while it has not failed."""

    id: int
    state: ConnectorState
    worker: str
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectorStatus:
    """A connector and its tasks at one moment."""

    name: str
    state: ConnectorState
    worker: str
    trace: str | None = None
    tasks: tuple[TaskStatus, ...] = ()

    @property
    def is_stopped(self) -> bool:
        """Whether it is STOPPED and holds no task: only then do its stored offsets stand still."""
        return self.state is ConnectorState.STOPPED and not self.tasks

    @property
    def failed_tasks(self) -> tuple[TaskStatus, ...]:
        """The tasks that have failed."""
        return tuple(task for task in self.tasks if task.state is ConnectorState.FAILED)

    def is_wholly(self, state: ConnectorState) -> bool:
        """Whether the connector and every task of it are in `state`."""
        return self.state is state and all(task.state is state for task in self.tasks)

    def first_failure(self) -> str | None:
        """Return the first line of why it or a task of it failed; None when nothing failed."""
        traces = [self.trace if self.state is ConnectorState.FAILED else None]
        traces += [task.trace or "failed without a trace" for task in self.failed_tasks]
        told = next((trace for trace in traces if trace), None)
        return told.splitlines()[0] if told else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connector:
    """A connector's configuration as Connect stores it, and its status if it has one yet."""

    name: str
    config: Mapping[str, str] = field(default_factory=dict)
    status: ConnectorStatus | None = None


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """What a worker says of itself; `kafka_cluster_id` is the cluster it writes to."""

    version: str
    kafka_cluster_id: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A connector class that the worker can load."""

    class_name: str
    type: str
    version: str


@dataclass(frozen=True, slots=True)
class ConfigFinding:
    """What a worker says against one key of a connector's configuration."""

    key: str
    errors: tuple[str, ...]
