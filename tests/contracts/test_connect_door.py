"""What runbooks rely on of Connect's REST: the one in memory that simulations use, and a real one with MirrorMaker.

Each case asks both the same. What takes its time is waited for, and what may be true for a moment only is not asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import pytest

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.connect import ConnectClient, MirrorSides, fold_connectors, source_config
from replicator.errors import NotFound, PreflightBlocked
from replicator.http import HttpClient, Response
from replicator.kafka import KafkaCluster, Outgoing
from replicator.model.cluster import TopicSpec
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, TopicName, TopicPartition
from tests.simulation.brokers import Broker
from tests.simulation.connect import SimConnect, SimHttp, Worker
from tests.simulation.herder import CONFIGS_TOPIC
from tests.simulation.ports import Line, SimCluster
from tests.simulation.wires import Process, SimClock, Wires

WAIT_SECONDS = 90.0
WRITTEN = 5


class Http(Protocol):
    """What answers one request."""

    def request(self, method: str, path: str, *, json: Any = None, timeout_seconds: float | None = None) -> Response:
        """Return the whole answer."""


@dataclass
class Door:
    """A Connect with nothing of the test's in it, and a source whose topic holds some records."""

    client: ConnectClient
    http: Http
    clock: Clock
    source: KafkaCluster
    target: KafkaCluster
    configs_topic: TopicName
    name: str
    topic: TopicName
    config: dict[str, str]
    tick: Callable[[], None] = field(default=lambda: None)

    def soon(self) -> Deadline:
        """Return a budget that a healthy Connect never needs."""
        return Deadline.after(WAIT_SECONDS, clock=self.clock)

    def ask(self, method: str, rest: str = "", json: Any = None, *, path: str | None = None) -> tuple[int, Any]:
        """Return status and answer of a request about the connector; a Connect that shares out connectors is waited
        for, as every caller has to."""
        where = path or f"/connectors/{self.name}{rest}"
        deadline = self.soon()
        while True:
            found = self.http.request(method, where, json=json, timeout_seconds=30)
            is_busy = found.status == 409 and "already exists" not in found.text()
            if not is_busy:
                return found.status, found.json() if found.body else None
            deadline.check("Connect shares out connectors")
            deadline.clock.sleep(0.1)

    def make(self) -> None:
        """Leave the connector made, STOPPED."""
        self.client.create(self.name, self.config, deadline=self.soon())

    def patch(self, offset: Mapping[str, Any] | None, partition: int = 0) -> tuple[int, Any]:
        """Return what Connect says to a new offset of one partition."""
        where = {"cluster": "east", "topic": self.topic, "partition": partition}
        return self.ask("PATCH", "/offsets", {"offsets": [{"partition": where, "offset": offset}]})

    def run(self) -> None:
        """Resume the connector, and return once its task runs."""
        self.client.resume(self.name, self.soon(), tasks_min=1)

    def wait(self, is_so: Callable[[], bool], what: str) -> None:
        """Return once it is so; MirrorMaker goes on meanwhile."""
        deadline = self.soon()
        while not is_so():
            deadline.check(what)
            self.tick()
            deadline.clock.sleep(0.1)


@pytest.fixture(params=["memory", pytest.param("connect", marks=pytest.mark.lab)])
def door(request: pytest.FixtureRequest, names: Any) -> Iterator[Door]:
    """A Connect of each kind; only the real one starts a lab."""
    topic = names.topic("mirrored")
    flow = Flow(
        name=FlowName(names.flow()),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((topic,)),
        groups=Selection((names.group("*"),)),
    )
    if request.param == "memory":
        made = _in_memory(flow, topic)
        _fill(made)
        yield made
        return
    lab = request.getfixturevalue("lab")
    with (
        KafkaCluster(lab.east) as east,
        KafkaCluster(lab.west) as west,
        ConnectClient(lab.connect_url()) as client,
    ):
        sides = MirrorSides(source=lab.east, target=lab.west, replication_factor=1)
        config = {**source_config(flow, sides), "refresh.topics.interval.seconds": "1", "tasks.max": "1"}
        made = Door(
            client,
            HttpClient(lab.connect_url(), timeout_seconds=30),
            SYSTEM_CLOCK,
            east,
            west,
            TopicName(f"{lab.group_id('west')}.configs"),
            flow.source_connector,
            topic,
            config,
        )
        _fill(made)
        try:
            yield made
        finally:
            client.delete(made.name, made.soon())


def _in_memory(flow: Flow, topic: TopicName) -> Door:
    clock = SimClock()
    process = Process(Wires({}, random.Random(0), clock), "contract")
    east, west = Broker("east", has_authorizer=False), Broker("west", has_authorizer=False)
    worker = Worker(flow, east, west, random.Random(0), clock, is_made=False)
    west.create(flow.syncs_topic, 1)
    clusters = [SimCluster(Line(broker, process, clock, lambda *_: None)) for broker in (east, west)]
    config = {"name": flow.source_connector, "connector.class": "Mirror", "tasks.max": "1"}
    return Door(
        SimConnect(worker, process),
        SimHttp(worker.herder, process),
        clock,
        clusters[0],
        clusters[1],
        CONFIGS_TOPIC,
        flow.source_connector,
        topic,
        config,
        worker.mirror,
    )


def _fill(door: Door) -> None:
    for cluster in (door.source, door.target):
        cluster.topics.create([TopicSpec(name=door.topic, partitions=1)], door.soon())
    writer = door.source.writer("contract", acks="all")
    for number in range(WRITTEN):
        writer.send(Outgoing(door.topic, None, str(number).encode(), partition=0))
    writer.flush(door.soon())
    writer.close()


def mirrored(door: Door) -> list[bytes | None]:
    """Return what stands on the target."""
    tp = TopicPartition(door.topic, 0)
    end = door.target.positions.ends([tp], door.soon())[tp].last_stable
    return [record.value for record in door.target.read_range(tp, 0, end, deadline=door.soon()).records]


def test_what_nobody_made_is_not_found(door: Door) -> None:
    """404 to every question and every order; the message says that there is no such connector, or no status of it."""
    asked = [("GET", "/status"), ("GET", "/config"), ("GET", "/offsets"), ("PUT", "/stop"), ("PUT", "/resume")]
    asked += [("PUT", "/pause"), ("DELETE", ""), ("DELETE", "/offsets")]
    answers = {what: door.ask(*what) for what in asked}
    assert {status for status, _ in answers.values()} == {404}
    assert all(door.name in told["message"] for _, told in answers.values())
    assert door.patch({"offset": 3})[0] == 404
    assert door.client.find(door.name, door.soon()) is None
    with pytest.raises(NotFound):
        door.client.status(door.name, door.soon())
    door.client.delete(door.name, door.soon())


def test_a_connector_is_made_stopped_and_once(door: Door) -> None:
    """Its status comes a little later; a second of the same name is refused with 409, which is no rebalance."""
    door.make()
    found = door.client.find(door.name, door.soon())
    assert found is not None
    assert dict(found.config) == door.config
    assert found.status is not None
    assert found.status.is_stopped
    with pytest.raises(PreflightBlocked):
        door.make()


def test_a_body_that_is_wrong_makes_nothing(door: Door) -> None:
    """Another name inside, no class, a state that Connect does not know."""
    body = {"name": door.name, "config": door.config, "initial_state": "STOPPED"}
    classless = {key: value for key, value in door.config.items() if key != "connector.class"}
    wrong = [{**body, "config": {**door.config, "name": "other"}}, {**body, "config": classless}]
    assert [door.ask("POST", json=one, path="/connectors")[0] for one in wrong] == [400, 400]
    assert door.ask("POST", json={**body, "initial_state": "ASLEEP"}, path="/connectors")[0] == 500
    assert door.client.find(door.name, door.soon()) is None


def test_a_configuration_makes_a_connector_that_runs(door: Door) -> None:
    """PUT knows no initial state: what is made by it starts at once, and is only made once."""
    assert door.ask("PUT", "/config", door.config)[0] == 201
    assert door.ask("PUT", "/config", door.config)[0] == 200
    status = door.client.wait_for(
        door.name, lambda s: s.is_wholly(ConnectorState.RUNNING), door.soon(), what="RUNNING by itself"
    )
    assert status.state is ConnectorState.RUNNING


def test_a_configuration_leaves_a_stopped_connector_stopped(door: Door) -> None:
    """It may be UNASSIGNED for a moment, and never starts."""
    door.make()
    assert door.ask("PUT", "/config", {**door.config, "replicator.test": "1"})[0] == 200
    assert door.client.stop(door.name, door.soon()).is_stopped
    found = door.client.find(door.name, door.soon())
    assert found is not None
    assert found.config["replicator.test"] == "1"


def test_offsets_are_altered_while_stopped_and_one_by_one(door: Door) -> None:
    """Others stay as they are; null takes one away; what Connect stores is the last mirrored one."""
    door.make()
    assert door.ask("GET", "/offsets") == (200, {"offsets": []})
    assert door.patch({"offset": 3})[0] == 200
    assert door.patch({"offset": 7}, partition=1)[0] == 200
    zero, one = TopicPartition(door.topic, 0), TopicPartition(door.topic, 1)
    assert door.client.positions(door.name, door.soon()) == {zero: 4, one: 8}
    assert door.patch(None)[0] == 200
    assert door.client.positions(door.name, door.soon()) == {one: 8}
    door.client.set_positions(door.name, source_alias="east", positions={zero: 2, one: 0}, deadline=door.soon())
    assert door.client.positions(door.name, door.soon()) == {zero: 2}


def test_offsets_that_are_none_are_refused_whole(door: Door) -> None:
    """No entry, a negative one, one that is no number: nothing of the request is stored."""
    door.make()
    assert door.ask("PATCH", "/offsets", {"offsets": []})[0] == 400
    assert door.patch({"offset": -1})[0] == 500
    assert door.patch({"offset": "5"})[0] == 500
    assert door.client.positions(door.name, door.soon()) == {}


def test_a_reset_leaves_no_offset(door: Door) -> None:
    """And may be asked for again."""
    door.make()
    door.patch({"offset": 3})
    door.client.reset_positions(door.name, door.soon())
    assert door.client.positions(door.name, door.soon()) == {}
    assert door.ask("DELETE", "/offsets")[0] == 200


def test_offsets_of_what_is_not_stopped_stay(door: Door) -> None:
    """Neither RUNNING nor PAUSED will do, and the refusal names the way."""
    door.make()
    door.run()
    for leave in (lambda: None, lambda: door.client.pause(door.name, door.soon())):
        leave()
        for status, told in (door.patch({"offset": 3}), door.ask("DELETE", "/offsets")):
            assert status == 400
            assert "STOPPED state" in told["message"]
    with pytest.raises(PreflightBlocked):
        door.client.reset_positions(door.name, door.soon())


def test_a_resumed_connector_reads_on_where_it_was_told(door: Door) -> None:
    """From the record behind the stored one; stopped it has no task, and goes on where it was when resumed again."""
    door.make()
    door.client.set_positions(
        door.name, source_alias="east", positions={TopicPartition(door.topic, 0): 3}, deadline=door.soon()
    )
    door.run()
    door.wait(lambda: mirrored(door) == [b"3", b"4"], "the two records behind the position")
    assert door.client.stop(door.name, door.soon()).is_stopped
    assert door.client.positions(door.name, door.soon()) == {TopicPartition(door.topic, 0): WRITTEN}
    door.run()
    assert door.client.pause(door.name, door.soon()).is_wholly(ConnectorState.PAUSED)
    assert mirrored(door) == [b"3", b"4"]


def test_a_paused_connector_keeps_its_tasks_and_a_stopped_one_has_none(door: Door) -> None:
    """Pausing is no fence."""
    door.make()
    assert door.client.pause(door.name, door.soon()).tasks == ()
    door.run()
    assert len(door.client.pause(door.name, door.soon()).tasks) == 1
    assert door.client.stop(door.name, door.soon()).tasks == ()


def test_what_is_asked_for_is_stored_before_it_is_so(door: Door) -> None:
    """The answer comes when the order is durable on Kafka; there it is read without Connect."""
    door.make()
    assert door.ask("PUT", "/resume")[0] == 202
    assert not _stored(door).is_stopped
    assert door.ask("PUT", "/stop")[0] == 204
    assert _stored(door).is_stopped
    assert door.ask("PUT", "/pause")[0] == 202
    assert _stored(door).target_state == "PAUSED"


def _stored(door: Door) -> Any:
    tail = door.target.tail([door.configs_topic])
    try:
        return fold_connectors((r.key, r.value) for r in tail.poll_to_end(door.soon()))[door.name]
    finally:
        tail.close()


def test_a_deleted_connector_leaves_its_offsets(door: Door) -> None:
    """It is gone at once, its status a little later; one of the same name goes on where it stood."""
    door.make()
    door.patch({"offset": 3})
    assert door.ask("DELETE")[0] == 204
    assert door.ask("GET", "/config")[0] == 404
    assert door.ask("GET", "/offsets")[0] == 404
    door.wait(lambda: door.ask("GET", "/status")[0] == 404, "its status to go")
    door.make()
    assert door.client.positions(door.name, door.soon()) == {TopicPartition(door.topic, 0): 4}


def test_a_task_whose_transactional_id_was_taken_fails_until_it_is_made_anew(door: Door) -> None:
    """Fenced, it is FAILED and writes nothing more; stopped and resumed it has the id again."""
    door.make()
    door.run()
    door.wait(lambda: len(mirrored(door)) == WRITTEN, "all records")
    group = "workers" if isinstance(door.target, SimCluster) else door.configs_topic.removesuffix(".configs")
    door.target.fence_transactional_ids([f"{group}-{door.name}-0"], door.soon())
    _write_one(door)
    door.wait(lambda: bool(door.client.status(door.name, door.soon()).failed_tasks), "the task to fail")
    assert len(mirrored(door)) == WRITTEN
    door.client.stop(door.name, door.soon())
    door.run()
    door.wait(lambda: len(mirrored(door)) == WRITTEN + 1, "the last record")


def _write_one(door: Door) -> None:
    writer = door.source.writer("contract", acks="all")
    writer.send(Outgoing(door.topic, None, b"late", partition=0))
    writer.flush(door.soon())
    writer.close()
