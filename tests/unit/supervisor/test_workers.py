"""From settings to a worker of ours: what it is asked to be, and which secrets it is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.errors import ConfigInvalid
from replicator.settings import Settings, load_settings
from replicator.supervisor.workers import met_clusters, worker_of, worker_order
from replicator.worker import DockerWorker, ExternalWorker, ProcessWorker

SECURED = "{protocol: SASL_SSL, mechanism: SCRAM-SHA-512, username: %s, password: env:PW, ca_file: ca.pem}"
CONFIG = """\
apiVersion: replicator/v1
clusters:
  east: {bootstrap: "e:9093", security: %(replicator)s, mirror: %(mm2)s}
  west: {bootstrap: "w:9093", security: %(replicator)s, mirror: %(mm2)s}
  plain: {bootstrap: "p:9092", security: {insecure: true}}
  other: {bootstrap: "o:9093", security: %(replicator)s}
connect:
  west: {runtime: %(runtime)s, url: "http://127.0.0.1:8084", heap_mib: 512, offsets_topic: my-offsets%(more)s}
  east: {runtime: external, url: "http://c:8083"}
flows:
  out: {source: east, target: west, topics: {include: [a]}}
  in: {source: plain, target: west, topics: {include: [b]}}
"""


def settings(folder: Path, runtime: str = "process", more: str = "") -> Settings:
    for name in ("ca.pem",):
        (folder / name).write_text("x")
    path = folder / "replicator.yaml"
    values = {"replicator": SECURED % "replicator", "mm2": SECURED % "mm2", "runtime": runtime, "more": more}
    path.write_text(CONFIG % values)
    return load_settings(path, {"PW": "c4n4ry", "XDG_STATE_HOME": str(folder / "state"), "HOME": str(folder)})


@pytest.mark.parametrize(
    ("runtime", "kind"), [("process", ProcessWorker), ("docker", DockerWorker), ("external", ExternalWorker)]
)
def test_the_settings_choose_where_it_runs(tmp_path: Path, runtime: str, kind: type) -> None:
    """Each word of the configuration makes its own kind of worker; nothing is started for it."""
    assert isinstance(worker_of(settings(tmp_path, runtime), "west"), kind)
    assert not (tmp_path / "state").exists()


def test_the_order_is_what_the_configuration_says(tmp_path: Path) -> None:
    """Group, topics, heap and address; the worker logs in as MM2, and reads the authorities where they are."""
    order = worker_order(settings(tmp_path), "west")
    assert order.url == "http://127.0.0.1:8084"
    assert order.group_id == "__replicator.connect.west"
    assert order.topics["offsets"] == "my-offsets"
    assert order.topics["status"] == "__replicator.connect.west.status"
    assert order.heap_mib == 512
    assert order.cluster.security.username == "mm2"
    assert order.files == (tmp_path / "ca.pem",)
    assert order.folder == tmp_path / "state" / "replicator" / "connect" / "west"


def test_secrets_are_files_for_the_clusters_it_meets(tmp_path: Path) -> None:
    """One file for each secured cluster of its flows, none for a plain one, none for a stranger; connectors are told
    the folder in which they lie."""
    made = settings(tmp_path)
    order = worker_order(made, "west")
    assert set(order.secrets) == {"west.properties", "east.properties"}
    assert all("c4n4ry" in text and 'username="mm2"' in text for text in order.secrets.values())
    assert "c4n4ry" not in repr(order)
    assert str(order.secrets_folder) == made.connect_of("west").secrets_folder
    assert met_clusters(made, "east") == ("east", "west")


def test_its_folder_can_be_named(tmp_path: Path) -> None:
    """A folder in the configuration is relative to its file, and the secrets lie in it."""
    made = settings(tmp_path, more=", folder: here")
    assert worker_order(made, "west").folder == tmp_path / "here"
    assert made.connect_of("west").secrets_folder == str(tmp_path / "here" / "secrets")


@pytest.mark.parametrize(
    ("runtime", "more", "told"),
    [
        ("process", ", secrets_folder: /s", "finds its secrets in its own folder"),
        ("external", ", folder: here", "only a worker of ours"),
    ],
)
def test_a_folder_that_nobody_would_use_is_refused(tmp_path: Path, runtime: str, more: str, told: str) -> None:
    """Keys that could not take effect are errors, not silence."""
    with pytest.raises(ConfigInvalid, match=told):
        settings(tmp_path, runtime, more)
