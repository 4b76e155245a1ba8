"""Connect's JSON answers as values of the model. Everything foreign is checked before it is believed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replicator.errors import DataCorrupt
from replicator.model.connectors import (
    ConfigFinding,
    Connector,
    ConnectorState,
    ConnectorStatus,
    Plugin,
    TaskStatus,
    WorkerInfo,
)


def read_worker_info(answer: Any) -> WorkerInfo:
    """Return what `GET /` says."""
    return WorkerInfo(version=_text(answer, "version"), kafka_cluster_id=_text(answer, "kafka_cluster_id"))


def read_plugins(answer: Any) -> tuple[Plugin, ...]:
    """Return what `GET /connector-plugins` says."""
    return tuple(
        Plugin(class_name=_text(entry, "class"), type=str(entry.get("type", "")), version=str(entry.get("version", "")))
        for entry in _list(answer)
    )


def read_connectors(answer: Any) -> dict[str, Connector]:
    """Return what `GET /connectors?expand=info&expand=status` says."""
    return {str(name): _connector(str(name), entry) for name, entry in _object(answer).items()}


def _connector(name: str, entry: Any) -> Connector:
    info, status = _object(entry).get("info"), _object(entry).get("status")
    config = _object(_object(info).get("config")) if info is not None else {}
    return Connector(
        name=name,
        config={str(key): str(value) for key, value in config.items() if value is not None},
        status=read_status(status) if status is not None else None,
    )


def read_config(answer: Any) -> dict[str, str]:
    """Return what `GET /connectors/NAME/config` says."""
    return {str(key): str(value) for key, value in _object(answer).items() if value is not None}


def read_status(answer: Any) -> ConnectorStatus:
    """Return what `GET /connectors/NAME/status` says."""
    connector = _object(_object(answer).get("connector"))
    tasks = [_task(task) for task in _list(_object(answer).get("tasks", []))]
    return ConnectorStatus(
        name=_text(answer, "name"),
        state=_state(connector),
        worker=str(connector.get("worker_id", "")),
        trace=_trace(connector),
        tasks=tuple(sorted(tasks, key=lambda task: task.id)),
    )


def _task(answer: Any) -> TaskStatus:
    number = _object(answer).get("id")
    if not isinstance(number, int):
        raise DataCorrupt("Connect: a task without an id")
    return TaskStatus(id=number, state=_state(answer), worker=str(answer.get("worker_id", "")), trace=_trace(answer))


def _state(answer: Mapping[str, Any]) -> ConnectorState:
    word = str(answer.get("state", ""))
    return ConnectorState(word) if word in ConnectorState.__members__ else ConnectorState.UNKNOWN


def _trace(answer: Mapping[str, Any]) -> str | None:
    trace = answer.get("trace") or answer.get("msg")
    return str(trace) if trace else None


def read_offsets(answer: Any) -> tuple[tuple[dict[str, Any], dict[str, Any] | None], ...]:
    """Return what `GET /connectors/NAME/offsets` says: pairs of source partition and source offset."""
    return tuple((_object(entry.get("partition")), entry.get("offset")) for entry in _list(_field(answer, "offsets")))


def read_findings(answer: Any) -> tuple[ConfigFinding, ...]:
    """Return the keys that `PUT /connector-plugins/CLASS/config/validate` objects to."""
    values = [_object(_object(entry).get("value")) for entry in _list(_field(answer, "configs"))]
    return tuple(
        ConfigFinding(str(value.get("name")), tuple(str(error) for error in value["errors"]))
        for value in values
        if value.get("errors")
    )


def read_message(body: str, answer: Any) -> str:
    """Return the message of a refusal, or the start of its body."""
    if isinstance(answer, dict) and answer.get("message"):
        return str(answer["message"])
    return body[:200] or "no reason given"


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataCorrupt(f"Connect: an object was expected, not {type(value).__name__}")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise DataCorrupt(f"Connect: a list was expected, not {type(value).__name__}")
    return value


def _field(answer: Any, key: str) -> Any:
    found = _object(answer).get(key)
    if found is None:
        raise DataCorrupt(f"Connect: the answer has no {key!r}")
    return found


def _text(answer: Any, key: str) -> str:
    return str(_field(answer, key))
