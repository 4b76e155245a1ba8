"""A worker of ours beside a secured cluster: started by the verb, its secrets in files, a flow on it and gone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec

from .conftest import Face, make_face, use_own_worker, wait_until, write_face


@pytest.fixture
def ours(secure_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A flow from west to east on a worker of ours beside east, as a local process."""
    made = make_face(secure_lab, tmp_path_factory.mktemp("ours"))
    with KafkaCluster(secure_lab.access("west", "app")) as west:
        west.topics.create([TopicSpec(name=made.topic, partitions=1)], Deadline.after(60))
        with closing(west.writer("test")) as writer:
            writer.send(Outgoing(made.topic, b"k", b"from west", partition=0))
            writer.flush(Deadline.after(60))
    with KafkaCluster(secure_lab.access("east", "app")) as east:
        east.topics.delete([made.topic], Deadline.after(60))
    write_face(made)
    use_own_worker(made)
    turned = made.config.read_text().replace('"source": "east", "target": "west"', '"source": "west", "target": "east"')
    assert turned != made.config.read_text()
    made.config.write_text(turned)
    try:
        yield made
    finally:
        made.run("flow", "stop", made.flow, "--yes", status=None)
        made.run("worker", "stop", "east", "--yes", status=None)


@pytest.mark.security
def test_a_worker_of_ours_mirrors_with_secrets_in_files(ours: Face) -> None:
    """It starts, takes an apply, mirrors between secured clusters, shows no secret, is replaced, and stops."""
    blocked = ours.answer("doctor", "--only-issues", status=4)["items"]
    assert any(one["fix"] == "replicator worker start east" for one in blocked)
    started = ours.answer("worker", "start", "east")["item"]
    assert (started["state"], started["runtime"]) == ("running", "process")
    secrets = ours.folder / "worker" / "secrets"
    assert {path.name for path in secrets.iterdir()} == {"east.properties", "west.properties"}
    assert {path.stat().st_mode & 0o077 for path in secrets.iterdir()} == {0}
    ours.run("apply")
    assert read_first(ours) == b"from west"
    password = ours.lab.access("east", "mm2").security.password
    assert password is not None
    with ConnectClient(started["url"]) as connect:
        shown = repr(connect.list(Deadline.after(30)))
    assert "${file:" in shown
    assert password.value not in shown
    assert ours.run("worker", "stop", "west", "--yes", status=2).returncode == 2, "west's worker is not ours to stop"
    ours.run("worker", "replace", "east", "--yes")
    with ConnectClient(started["url"]) as connect:
        assert f"{ours.flow}.source" in connect.list(Deadline.after(60)), "its connectors stayed in Kafka"
    assert ours.answer("worker", "stop", "east", "--yes")["item"]["state"] == "gone"


def read_first(ours: Face) -> bytes | None:
    """Return the first mirrored record's value once there is one."""
    with KafkaCluster(ours.lab.access("east", "app")) as east, closing(east.tail([ours.topic])) as tail:
        wait_until(lambda: ours.topic in east.topics.names(Deadline.after(30)), what="the copy")
        return wait_until(lambda: tail.poll_to_end(Deadline.after(30)), what="the record")[0].value
