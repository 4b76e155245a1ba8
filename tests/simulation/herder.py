"""Connect's REST in memory: what it stores, what it tells, what it refuses, and that it takes its time.

The rules are those of Connect 4.3, as the suite that both pass has seen them (`tests/contracts/test_connect_door.py`).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from replicator.connect import encode_stored_offset
from replicator.errors import Unreachable
from replicator.http import Response
from replicator.model.connectors import ConnectorState
from replicator.model.names import TopicName, TopicPartition
from tests.simulation.brokers import Broker
from tests.simulation.wires import SimClock

OFFSETS_TOPIC = TopicName("connect-offsets")
CONFIGS_TOPIC = TopicName("connect-configs")
URL = "http://connect:8083"
DELAYS_SECONDS = (0.0, 0.1, 0.5)
"""What was asked for is so after one of these."""
HANG_SECONDS = 60.0
"""So long a connector's thread hangs in a request to a source that died: its state is told as it was."""
NOT_STOPPED = (
    "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the specified "
    "connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
)
BUSY = "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"
STATES = {"RUNNING": ConnectorState.RUNNING, "PAUSED": ConnectorState.PAUSED, "STOPPED": ConnectorState.STOPPED}
WORDS = {"stop": (ConnectorState.STOPPED, 204), "pause": (ConnectorState.PAUSED, 202)}
WORDS |= {"resume": (ConnectorState.RUNNING, 202)}

Place = tuple[str, str, int]
"""A source partition as MirrorMaker names it: the source's alias, topic, number."""


class Refused(Exception):
    """Connect says no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class Kept:
    """One connector. `target` is durable; `shown` and `task` follow it at `settles_at`, and None is none."""

    config: dict[str, str]
    target: ConnectorState
    settles_at: float
    shown: ConnectorState | None = None
    task: ConnectorState | None = None
    trace: str | None = None
    is_settled: bool = False
    hangs_until: float = 0.0


class Herder:
    """The connectors of one Connect cluster, which all read one source. `on_task` is told whenever a task begins."""

    def __init__(
        self,
        home: Broker,
        source: Broker,
        clock: SimClock,
        rng: random.Random,
        *,
        on_task: Callable[[str], None] | None = None,
    ) -> None:
        self.home = home
        self.is_dead = False
        self.connectors: dict[str, Kept] = {}
        self.stored: dict[str, dict[Place, int]] = {}
        self._source, self._on_task = source, on_task
        self._clock, self._rng = clock, rng
        self._leaving: dict[str, float] = {}
        self._busy_until = 0.0
        for topic in (OFFSETS_TOPIC, CONFIGS_TOPIC):
            home.create(topic, 1)

    def answer(self, method: str, path: str, body: Any) -> Response:
        """Return what Connect answers to one request.

        Raises:
            Unreachable: it is dead.
        """
        if self.is_dead:
            raise Unreachable(f"Connect {URL} does not answer")
        self.settle()
        try:
            status, told = self._route(method, path.partition("?")[0], body)
        except Refused as no:
            status, told = no.status, {"error_code": no.status, "message": str(no)}
        return Response(status, b"" if told is None else json.dumps(told).encode(), URL + path)

    def _route(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        answer = self._tell_of(method, parts)
        if answer is not None:
            return answer
        if self._clock.seconds < self._busy_until:
            raise Refused(409, BUSY)
        return self._change(method, parts, body)

    def _tell_of(self, method: str, parts: list[str]) -> tuple[int, Any] | None:
        """Return what any worker tells at once, also while connectors are being shared out anew; None of the rest."""
        match (method, parts):
            case ("GET", [""]):
                return 200, {"version": "4.3.1", "commit": "0", "kafka_cluster_id": self.home.cluster_id}
            case ("GET", ["connectors"]):
                return 200, {name: self._expanded(name) for name in self.connectors}
            case ("GET", ["connectors", name, "status"]):
                return 200, self._status(name)
            case ("GET", ["connectors", name, "offsets"]):
                self._require(name)
                return 200, {"offsets": [_entry(place, at) for place, at in self.stored.get(name, {}).items()]}
        return None

    def _change(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        match (method, parts):
            case ("GET", ["connectors", name, "config"]):
                return 200, self._require(name).config
            case ("POST", ["connectors"]):
                return self._create(body)
            case ("PUT", ["connectors", name, "config"]):
                return self._configure(name, body)
            case ("PUT", ["connectors", name, word]) if word in WORDS:
                return self._steer(name, word)
            case ("DELETE", ["connectors", name]):
                return self._delete(name)
            case ("PATCH", ["connectors", name, "offsets"]):
                return self._alter(name, body["offsets"])
            case ("DELETE", ["connectors", name, "offsets"]):
                return self._reset(name)
        raise Refused(404, "HTTP 404 Not Found")

    def _steer(self, name: str, word: str) -> tuple[int, None]:
        self._require(name, "Unknown connector {name}")
        state, status = WORDS[word]
        self.tell(name, state)
        return status, None

    def _require(self, name: str, told: str = "Connector {name} not found") -> Kept:
        if name not in self.connectors:
            raise Refused(404, told.format(name=name))
        return self.connectors[name]

    def _expanded(self, name: str) -> dict[str, Any]:
        return {"info": {"name": name, "config": self.connectors[name].config}, "status": self._status(name)}

    def _status(self, name: str) -> dict[str, Any]:
        kept = self.connectors.get(name)
        shown = ConnectorState.STOPPED if kept is None and name in self._leaving else kept and kept.shown
        if shown is None:
            raise Refused(404, f"No status found for connector {name}")
        tasks = []
        if kept is not None and kept.task is not None:
            tasks = [{"id": 0, "state": kept.task.value, "worker_id": "w", "trace": kept.trace}]
        return {"name": name, "connector": {"state": shown.value, "worker_id": "w"}, "tasks": tasks, "type": "source"}

    def _create(self, body: Mapping[str, Any]) -> tuple[int, Any]:
        name, config, word = body["name"], body["config"], body.get("initial_state", "RUNNING")
        if word not in STATES:
            raise Refused(500, f"Cannot construct instance of InitialState, problem: No enum constant {word}")
        if config.get("name", name) != name:
            raise Refused(
                400, f"Connector name configuration ({config['name']}) doesn't match connector name in the URL"
            )
        if "connector.class" not in config:
            raise Refused(400, "Connector config contains no connector type")
        if name in self.connectors:
            raise Refused(409, f"Connector {name} already exists")
        self.add(name, config, STATES[word])
        return 201, {"name": name, "config": config, "tasks": [], "type": "source"}

    def add(self, name: str, config: Mapping[str, str], state: ConnectorState) -> None:
        """Leave a new connector that is meant to be in a state."""
        self._store(f"connector-{name}", {"properties": dict(config)})
        self.connectors[name] = Kept(dict(config), state, self._soon())
        self._leaving.pop(name, None)
        self._store_state(name, state)
        self._rebalance()

    def _configure(self, name: str, config: Mapping[str, str]) -> tuple[int, Any]:
        known = self.connectors.get(name)
        if known is None:
            self.add(name, config, ConnectorState.RUNNING)
            return 201, {"name": name, "config": config}
        self._store(f"connector-{name}", {"properties": dict(config)})
        known.config, known.is_settled, known.settles_at = dict(config), False, self._soon()
        known.shown = ConnectorState.UNASSIGNED
        self._rebalance()
        return 200, {"name": name, "config": config}

    def tell(self, name: str, state: ConnectorState) -> None:
        """Leave a connector told to be in a state, durably; it is so a little later."""
        kept = self.connectors[name]
        if kept.target is state:
            return
        kept.target, kept.is_settled, kept.settles_at = state, False, self._soon()
        self._store_state(name, state)

    def _delete(self, name: str) -> tuple[int, None]:
        self._require(name)
        del self.connectors[name]
        self._leaving[name] = self._soon()
        self._store(f"connector-{name}", None)
        self._store(f"target-state-{name}", None)
        self._rebalance()
        return 204, None

    def _alter(self, name: str, rows: list[dict[str, Any]]) -> tuple[int, Any]:
        self._require(name)
        if not rows:
            raise Refused(400, "Partitions / offsets need to be provided for an alter offsets request")
        self._require_stopped(name)
        for row in rows:
            value = row["offset"]["offset"] if row["offset"] is not None else 0
            if not isinstance(value, int):
                raise Refused(500, f"Source offset has an invalid value {value} for the 'offset' key: no integer")
            if value < 0:
                raise Refused(500, f"Source offset has an invalid value {value} for the 'offset' key: negative")
        for row in rows:
            place = (row["partition"]["cluster"], row["partition"]["topic"], row["partition"]["partition"])
            self._put(name, place, None if row["offset"] is None else row["offset"]["offset"])
        return 200, {"message": "The offsets for this connector have been altered successfully"}

    def _reset(self, name: str) -> tuple[int, Any]:
        self._require(name)
        self._require_stopped(name)
        for place in list(self.stored.get(name, {})):
            self._put(name, place, None)
        return 200, {"message": "The offsets for this connector have been reset successfully"}

    def _require_stopped(self, name: str) -> None:
        kept = self.connectors[name]
        if kept.target is not ConnectorState.STOPPED or kept.task is not None:
            raise Refused(400, NOT_STOPPED.format(name=name))

    def _put(self, name: str, place: Place, offset: int | None) -> None:
        cluster, topic, number = place
        tp = TopicPartition(TopicName(topic), number)
        key, value = encode_stored_offset(name, cluster, tp, offset or 0)
        self.home.write(TopicPartition(OFFSETS_TOPIC, 0), key, None if offset is None else value)
        self.keep(name, place, offset)

    def keep(self, name: str, place: Place, offset: int | None) -> None:
        """Keep the last mirrored offset of a source partition in memory, as what is read of the offsets topic."""
        if offset is None:
            self.stored.get(name, {}).pop(place, None)
        else:
            self.stored.setdefault(name, {})[place] = offset

    def _store(self, key: str, value: dict[str, Any] | None) -> None:
        told = None if value is None else json.dumps(value).encode()
        self.home.write(TopicPartition(CONFIGS_TOPIC, 0), key.encode(), told)

    def _store_state(self, name: str, state: ConnectorState) -> None:
        word = "STARTED" if state is ConnectorState.RUNNING else state.value
        self._store(f"target-state-{name}", {"state": word, "state.v2": word})

    def _soon(self) -> float:
        return self._clock.seconds + self._rng.choice(DELAYS_SECONDS)

    def _rebalance(self) -> None:
        if self._rng.random() < 0.3:
            self._busy_until = self._clock.seconds + 0.3

    def settle(self) -> None:
        """Let be so what was asked for, as far as its time has come."""
        now = self._clock.seconds
        self._leaving = {name: at for name, at in self._leaving.items() if at > now}
        for name, kept in self.connectors.items():
            if not kept.is_settled and kept.settles_at <= now:
                self._settle(name, kept)
            if kept.is_settled and kept.shown is not kept.target and kept.hangs_until <= now:
                kept.shown = kept.target

    def _settle(self, name: str, kept: Kept) -> None:
        kept.is_settled = True
        if kept.shown is None or not self._source.is_down:
            kept.shown, kept.hangs_until = kept.target, 0.0
        else:
            kept.hangs_until = self._clock.seconds + HANG_SECONDS
        had_task, kept.trace = kept.task is not None, None
        if kept.target is ConnectorState.STOPPED:
            kept.task = None
        elif kept.target is ConnectorState.PAUSED:
            kept.task = ConnectorState.PAUSED if had_task else None
        else:
            kept.task = ConnectorState.RUNNING
            if self._on_task is not None:
                self._on_task(name)

    def fail(self, name: str, trace: str) -> None:
        """Leave the connector's task FAILED; it stays so until it is started anew."""
        self.connectors[name].task, self.connectors[name].trace = ConnectorState.FAILED, trace

    def has_running_task(self, name: str) -> bool:
        """Whether records move, were there any."""
        kept = self.connectors.get(name)
        return not self.is_dead and kept is not None and kept.task is ConnectorState.RUNNING

    def start_anew(self) -> None:
        """Come back after all workers were gone: every connector is as it was told to be."""
        self.is_dead = False
        for kept in self.connectors.values():
            kept.shown, kept.task, kept.is_settled, kept.settles_at = None, None, False, self._clock.seconds
        self.settle()


def _entry(place: Place, offset: int) -> dict[str, Any]:
    cluster, topic, number = place
    return {"partition": {"cluster": cluster, "topic": topic, "partition": number}, "offset": {"offset": offset}}
