"""From a configured Connect to the runtime that runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.errors import ConfigInvalid
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName
from replicator.worker import DockerWorker, ExternalWorker, ProcessWorker, WorkerOrder, WorkerRuntime, make_worker
from replicator.worker.choose import container_plan, worker_spec
from replicator.worker.files import write_worker_files

ACCESS = ClusterAccess(name=ClusterName("west"), bootstrap="127.0.0.1:9092")


def make_order(folder: Path, url: str = "http://127.0.0.1:8085", **more: object) -> WorkerOrder:
    """Return a worker beside west."""
    return WorkerOrder(url=url, cluster=ACCESS, group_id="g", folder=folder, **more)  # type: ignore[arg-type]  # named fields of one dataclass


@pytest.mark.parametrize(
    ("runtime", "kind"), [("external", ExternalWorker), ("process", ProcessWorker), ("docker", DockerWorker)]
)
def test_one_function_makes_them_all(runtime: str, kind: type[WorkerRuntime], tmp_path: Path) -> None:
    """Each runtime answers at the configured URL; nothing is touched by choosing it."""
    worker = make_worker(runtime, make_order(tmp_path / "w"))
    assert isinstance(worker, kind)
    assert worker.url == "http://127.0.0.1:8085"
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_runtime_is_refused(tmp_path: Path) -> None:
    """The error names those there are."""
    with pytest.raises(ConfigInvalid, match="podman") as caught:
        make_worker("podman", make_order(tmp_path))
    assert "docker, process or external" in str(caught.value.hint)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:8083", "http://127.0.0.1:8083/connect", "http://me@host:1", "http://:8083", "http://h:x"]
)
@pytest.mark.parametrize("runtime", ["process", "docker"])
def test_a_worker_of_ours_answers_at_a_plain_address_only(runtime: str, url: str, tmp_path: Path) -> None:
    """What we could not make come true is refused; an external worker may answer anywhere."""
    with pytest.raises(ConfigInvalid, match=r"connect\.west\.url"):
        make_worker(runtime, make_order(tmp_path, url))
    assert make_worker("external", make_order(tmp_path, url)).url == url


def test_the_container_has_room_beside_the_heap(tmp_path: Path) -> None:
    """The limit of memory grows with the heap; a missing image name means the official one."""
    small, large = (container_plan(make_order(tmp_path, heap_mib=heap)) for heap in (256, 8192))
    assert (small.memory_mib, large.memory_mib) == (640, 10240)
    assert small.image == "apache/kafka:4.3.1"
    assert container_plan(make_order(tmp_path, image="mine:1")).image == "mine:1"


def test_secrets_of_connectors_are_private_files_the_worker_may_read(tmp_path: Path) -> None:
    """They stand in the one folder that the worker's provider may read, for the owner alone."""
    order = make_order(tmp_path / "w", secrets={"east.properties": "sasl.jaas.config=canary\n"})
    spec = worker_spec(order)
    write_worker_files(order.folder, spec)
    place = tmp_path / "w" / "secrets" / "east.properties"
    assert spec.secrets_folder == order.secrets_folder == place.parent
    assert place.read_text(encoding="utf-8") == "sasl.jaas.config=canary\n"
    assert place.stat().st_mode & 0o077 == 0
    assert place.parent.stat().st_mode & 0o077 == 0
    assert "canary" not in (tmp_path / "w" / "worker.properties").read_text(encoding="utf-8")
    assert "canary" not in repr(spec) + repr(order)
