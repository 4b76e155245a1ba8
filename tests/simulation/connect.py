"""Connect in memory, and the MirrorMaker it runs: exactly-once, one transaction a batch, a sync now and then."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import TypeVar

from replicator.clock import Deadline
from replicator.connect import encode_offset_sync, encode_stored_offset
from replicator.errors import Fenced, NotFound, Unreachable
from replicator.model.connectors import ConnectorState, ConnectorStatus, TaskStatus
from replicator.model.flow import Flow
from replicator.model.names import TopicName, TopicPartition
from replicator.model.offsets import OffsetSync
from tests.simulation.brokers import Broker
from tests.simulation.wires import Process

T = TypeVar("T")
GROUP_ID = "workers"
OFFSETS_TOPIC = TopicName("connect-offsets")
CONFIGS_TOPIC = TopicName("connect-configs")
BATCH_RECORDS_MAX = 4


class Worker:
    """One Connect beside the target. What it is told is durable in its configs topic, as the real one's is."""

    def __init__(self, flow: Flow, source: Broker, target: Broker, rng: random.Random) -> None:
        self.flow = flow
        self.is_dead = False
        self.states: dict[str, ConnectorState] = {}
        self._source, self._target, self._rng = source, target, rng
        self._generation = -1
        self._has_synced: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}
        for topic in (OFFSETS_TOPIC, CONFIGS_TOPIC, flow.syncs_topic, flow.checkpoints_topic):
            target.create(topic, 1)
        for name in (flow.source_connector, flow.checkpoint_connector):
            self._store(f"connector-{name}", {"properties": {"tasks.max": "1"}})
            self.tell(name, ConnectorState.RUNNING)

    @property
    def transactional_id(self) -> str:
        """The transactional id of the one task."""
        return f"{GROUP_ID}-{self.flow.source_connector}-0"

    def _store(self, key: str, value: dict[str, object]) -> None:
        self._target.write(TopicPartition(CONFIGS_TOPIC, 0), key.encode(), json.dumps(value).encode())

    def tell(self, name: str, state: ConnectorState) -> None:
        """Leave a connector in a state, durably."""
        if name not in self.states and state is not ConnectorState.RUNNING:
            raise NotFound(f"connector {name}")
        was = self.states.get(name)
        self.states[name] = state
        word = "STARTED" if state is ConnectorState.RUNNING else state.value
        self._store(f"target-state-{name}", {"state": word, "state.v2": word})
        if state is ConnectorState.RUNNING and was is not state and name == self.flow.source_connector:
            self._begin_task()

    def _begin_task(self) -> None:
        self._generation = self._target.own(self.transactional_id)
        self._has_synced.clear()

    def mirror(self) -> None:
        """Mirror a little of one partition, if there is anything and nothing forbids it."""
        is_running = self.states[self.flow.source_connector] is ConnectorState.RUNNING
        if self.is_dead or self._source.is_down or not is_running:
            return
        names = [name for name in self._source.topics if self.flow.carries_topic(name)]
        behind = [
            tp
            for name in names
            for tp in (TopicPartition(name, n) for n in range(len(self._source.topics[name].logs)))
            if self._source.log(tp).visible(self._positions.get(tp, 0), 1 << 30)
        ]
        if behind:
            try:
                self._mirror_batch(self._rng.choice(behind))
            except Fenced:
                return  # the task has failed; it stays so until it is started anew

    def _mirror_batch(self, tp: TopicPartition) -> None:
        log = self._source.log(tp)
        batch = log.visible(self._positions.get(tp, 0), 1 << 30)[: 1 + self._rng.randrange(BATCH_RECORDS_MAX)]
        rows = [(tp, log.entries[offset].key, log.entries[offset].value) for offset in batch]
        self._target.begin(self.transactional_id, self._generation)
        offsets = self._target.write_in(self.transactional_id, rows)
        key, value = encode_stored_offset(self.flow.source_connector, self.flow.source, tp, batch[-1])
        self._target.write_in(self.transactional_id, [(TopicPartition(OFFSETS_TOPIC, 0), key, value)])
        self._target.end(self.transactional_id, is_committed=True)
        self._positions[tp] = batch[-1] + 1
        for source_offset, target_offset in zip(batch, offsets, strict=True):
            if tp not in self._has_synced or self._rng.random() < 0.25:
                self._has_synced.add(tp)
                sync = encode_offset_sync(OffsetSync(tp, source_offset, target_offset))
                self._target.write(TopicPartition(self.flow.syncs_topic, 0), *sync)

    def leave_open(self, tp: TopicPartition) -> None:
        """Leave a transaction open on the target, as a worker that is killed within one does."""
        log = self._source.log(tp)
        batch = log.visible(self._positions.get(tp, 0), 1 << 30)[:2]
        self._target.begin(self.transactional_id, self._generation)
        self._target.write_in(
            self.transactional_id, [(tp, log.entries[offset].key, log.entries[offset].value) for offset in batch]
        )

    def position(self, tp: TopicPartition) -> int:
        """Return the next source offset to mirror."""
        return self._positions.get(tp, 0)


class SimConnect:
    """`ConnectClient` as far as the steps use it."""

    url = "http://connect:8083"

    def __init__(self, worker: Worker, process: Process) -> None:
        self._worker = worker
        self._process = process

    def _ask(self, what: str, act: Callable[[], T], *, changes: bool = False) -> T:
        return self._process.call(f"connect: {what}", lambda: self._answer(act), changes=changes)

    def _answer(self, act: Callable[[], T]) -> T:
        if self._worker.is_dead:
            raise Unreachable(f"Connect {self.url} does not answer")
        return act()

    def status(self, name: str, deadline: Deadline) -> ConnectorStatus:  # noqa: ARG002
        """Return the connector's status."""

        def act() -> ConnectorStatus:
            state = self._worker.states.get(name)
            if state is None:
                raise NotFound(f"connector {name}")
            tasks = () if state is ConnectorState.STOPPED else (TaskStatus(id=0, state=state, worker="w"),)
            return ConnectorStatus(name=name, state=state, worker="w", tasks=tasks)

        return self._ask(f"status {name}", act)

    def stop(self, name: str, deadline: Deadline) -> ConnectorStatus:
        """Leave the connector STOPPED."""
        return self._tell(name, ConnectorState.STOPPED, deadline)

    def pause(self, name: str, deadline: Deadline) -> ConnectorStatus:
        """Leave the connector PAUSED."""
        return self._tell(name, ConnectorState.PAUSED, deadline)

    def resume(self, name: str, deadline: Deadline, *, tasks_min: int = 0) -> ConnectorStatus:  # noqa: ARG002
        """Leave the connector RUNNING."""
        return self._tell(name, ConnectorState.RUNNING, deadline)

    def _tell(self, name: str, state: ConnectorState, deadline: Deadline) -> ConnectorStatus:
        self._ask(f"{state.value} {name}", lambda: self._worker.tell(name, state), changes=True)
        return self.status(name, deadline)
