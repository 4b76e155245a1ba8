"""Connect in memory: the product's own client upon its REST, and the MirrorMaker that it runs.

MirrorMaker is exactly-once here: one transaction a batch, its position in it, a sync now and then.
"""

from __future__ import annotations

import random
from typing import Any

from replicator.connect import ConnectClient, encode_offset_sync, encode_stored_offset
from replicator.errors import Fenced
from replicator.http import Response
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow
from replicator.model.names import TopicPartition
from replicator.model.offsets import OffsetSync
from tests.simulation.brokers import Broker
from tests.simulation.herder import CONFIGS_TOPIC, OFFSETS_TOPIC, URL, Herder
from tests.simulation.wires import Process, SimClock

__all__ = ["CONFIGS_TOPIC", "GROUP_ID", "OFFSETS_TOPIC", "SimConnect", "Worker"]

GROUP_ID = "workers"
BATCH_RECORDS_MAX = 4
FENCED_TRACE = "org.apache.kafka.common.errors.ProducerFencedException: there is a newer producer"


class Worker:
    """The Connect beside one flow's target, and the flow's tasks in it."""

    def __init__(
        self, flow: Flow, source: Broker, target: Broker, rng: random.Random, clock: SimClock, *, is_made: bool = True
    ) -> None:
        self.flow = flow
        self.herder = Herder(target, source, clock, random.Random(rng.getrandbits(32)), on_task=self._on_task)
        self._source, self._target, self._rng = source, target, rng
        self._generation = -1
        self._has_synced: set[TopicPartition] = set()
        for name in (flow.source_connector, flow.checkpoint_connector) if is_made else ():
            self.herder.add(name, {"name": name, "tasks.max": "1", "connector.class": "Mirror"}, ConnectorState.RUNNING)
        if is_made:
            for topic in (flow.syncs_topic, flow.checkpoints_topic):
                target.create(topic, 1)
            self.herder.start_anew()

    @property
    def states(self) -> dict[str, ConnectorState]:
        """The state that each connector is durably meant to be in."""
        return {name: kept.target for name, kept in self.herder.connectors.items()}

    @property
    def is_dead(self) -> bool:
        """Whether no worker answers, and no task runs."""
        return self.herder.is_dead

    @property
    def transactional_id(self) -> str:
        """The transactional id of the one task."""
        return f"{GROUP_ID}-{self.flow.source_connector}-0"

    def tell(self, name: str, state: ConnectorState) -> None:
        """Have somebody else tell a connector to be in a state, if it is there."""
        if name in self.herder.connectors:
            self.herder.tell(name, state)

    def _on_task(self, name: str) -> None:
        if name == self.flow.source_connector:
            self._generation = self._target.own(self.transactional_id)
            self._has_synced.clear()

    @property
    def is_mirroring(self) -> bool:
        """Whether the task that writes data runs."""
        return self.herder.has_running_task(self.flow.source_connector)

    def mirror(self) -> None:
        """Mirror a little of one partition, if there is anything and nothing forbids it."""
        if self.is_dead or self._source.is_down:
            return
        self.herder.settle()
        if not self.is_mirroring:
            return
        behind = self.behind()
        if behind:
            try:
                self._mirror_batch(self._rng.choice(behind))
            except Fenced:
                self.herder.fail(self.flow.source_connector, FENCED_TRACE)

    def behind(self) -> list[TopicPartition]:
        """Return the partitions of which something is left to mirror."""
        names = [name for name in self._source.topics if self.flow.carries_topic(name)]
        return [
            tp
            for name in names
            for tp in (TopicPartition(name, n) for n in range(len(self._source.topics[name].logs)))
            if self._source.log(tp).visible(self.position(tp), 1 << 30)
        ]

    def _mirror_batch(self, tp: TopicPartition) -> None:
        log, name = self._source.log(tp), self.flow.source_connector
        batch = log.visible(self.position(tp), 1 << 30)[: 1 + self._rng.randrange(BATCH_RECORDS_MAX)]
        rows = [(tp, log.entries[offset].key, log.entries[offset].value) for offset in batch]
        self._target.begin(self.transactional_id, self._generation)
        offsets = self._target.write_in(self.transactional_id, rows)
        key, value = encode_stored_offset(name, self.flow.source, tp, batch[-1])
        self._target.write_in(self.transactional_id, [(TopicPartition(OFFSETS_TOPIC, 0), key, value)])
        self._target.end(self.transactional_id, is_committed=True)
        self.herder.keep(name, (self.flow.source, tp.topic, tp.partition), batch[-1])
        for source_offset, target_offset in zip(batch, offsets, strict=True):
            if tp not in self._has_synced or self._rng.random() < 0.25:
                self._has_synced.add(tp)
                sync = encode_offset_sync(OffsetSync(tp, source_offset, target_offset))
                self._target.write(TopicPartition(self.flow.syncs_topic, 0), *sync)

    def leave_open(self, tp: TopicPartition) -> None:
        """Leave a transaction open on the target, as a worker that is killed within one does."""
        log = self._source.log(tp)
        batch = log.visible(self.position(tp), 1 << 30)[:2]
        self._target.begin(self.transactional_id, self._generation)
        self._target.write_in(
            self.transactional_id, [(tp, log.entries[offset].key, log.entries[offset].value) for offset in batch]
        )

    def position(self, tp: TopicPartition) -> int:
        """Return the next source offset to mirror."""
        stored = self.herder.stored.get(self.flow.source_connector, {})
        return stored.get((self.flow.source, tp.topic, tp.partition), -1) + 1


class SimHttp:
    """`HttpClient`, every request of it over a wire."""

    def __init__(self, herder: Herder, process: Process) -> None:
        self._herder = herder
        self._process = process

    def request(self, method: str, path: str, *, json: Any = None, timeout_seconds: float | None = None) -> Response:  # noqa: ARG002
        """Return the whole answer."""
        where = path.partition("?")[0].removeprefix("/connectors")
        return self._process.call(
            f"{self._herder.home.name}/connect: {method} {where}",
            lambda: self._herder.answer(method, path, json),
            changes=method != "GET",
            once=method == "POST",
        )

    def close(self) -> None:
        """Nothing is held."""


class SimConnect(ConnectClient):
    """The product's own client, upon Connect in memory."""

    def __init__(self, worker: Worker, process: Process) -> None:
        self.url = URL
        self._http = SimHttp(worker.herder, process)  # type: ignore[assignment]
        self._process = process

    def set_positions(self, name: str, **how: Any) -> None:
        """As `ConnectClient` does: what it asks first, sets and reads back is one act."""
        with self._process.one_act():
            super().set_positions(name, **how)
