"""The stage's files agree with the project they are about; no container is started."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from replicator.jvm.jarstore.jarlist import find_jar_set
from replicator.settings import load_settings
from replicator.worker import DEFAULT_IMAGE

ROOT = Path(__file__).parents[3]
STAGE = ROOT / "compose"


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The compose file's services."""
    text = (STAGE / "compose.yaml").read_text(encoding="utf-8")
    found: dict[str, Any] = YAML(typ="safe", pure=True).load(text)["services"]
    return found


def version_of(set_name: str, artifact: str) -> str:
    """Return the version our jar list has of an artifact."""
    return next(c.coordinate.split(":")[2] for c in find_jar_set(set_name).jars if f":{artifact}:" in c.coordinate)


@pytest.mark.parametrize("cluster", ["east", "west"])
def test_the_stage_runs_the_workers_of_the_template(cluster: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m compose.workers` would write what is there."""
    monkeypatch.syspath_prepend(str(ROOT))
    from compose.workers import properties_file, properties_text

    assert properties_file(cluster).read_text(encoding="utf-8") == properties_text(cluster)


def test_the_stage_has_every_part(services: dict[str, Any]) -> None:
    """Two clusters, a Connect beside each, a store, the supervisor, Prometheus and Grafana."""
    assert set(services) == {
        "east", "west", "connect-east", "connect-west", "s3", "supervisor", "prometheus", "grafana",
    }  # fmt: skip


def test_nothing_of_the_stage_is_seen_by_other_machines(services: dict[str, Any]) -> None:
    """Every published port is bound to the loopback."""
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_file_the_stage_mounts_is_there(services: dict[str, Any]) -> None:
    """A path that does not exist would be made a folder by Docker, silently."""
    mounts = [mount.split(":")[0] for service in services.values() for mount in service.get("volumes", ())]
    paths = [STAGE / mount for mount in mounts if mount.startswith(".")]
    assert len(paths) > 8
    assert [str(path) for path in paths if not path.exists()] == []


def test_versions_are_those_of_the_jar_list(services: dict[str, Any]) -> None:
    """The official image, the project's own and the worker's default carry the Kafka we tested."""
    kafka = version_of("kafka", "connect-runtime")
    assert services["east"]["image"] == f"${{KAFKA_IMAGE:-apache/kafka:{kafka}}}"
    assert f"apache/kafka:{kafka}" == DEFAULT_IMAGE
    assert f"localhost/replicator-kafka:{kafka}" in (STAGE / "Makefile").read_text(encoding="utf-8")
    assert f"BASE=apache/kafka:{kafka}" in (STAGE / "image" / "s3.Dockerfile").read_text(encoding="utf-8")
    s3 = version_of("s3proxy", "s3proxy")
    assert services["s3"]["image"] == f"${{S3_IMAGE:-localhost/replicator-s3:{s3}}}"


def test_the_stage_s_configuration_fits_the_stage(services: dict[str, Any]) -> None:
    """It is valid, reaches services by their names, and names the ids their storage is formatted with."""
    settings = load_settings(STAGE / "config" / "replicator.yaml", {})
    for name in settings.clusters:
        access = settings.cluster_access(name)
        assert access.bootstrap.split(":")[0] in services
        assert access.cluster_id == services[name]["environment"]["CLUSTER_ID"]
        assert settings.connect_of(name).url == f"http://connect-{name}:8083"
    assert settings.store == "s3://replicator/standby"


def test_every_target_says_what_it_does() -> None:
    """`make help` lists all targets people call."""
    text = (STAGE / "Makefile").read_text(encoding="utf-8")
    listed = set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))
    (phony,) = re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert listed == set(phony.split()) >= {"image", "up", "outage", "failover", "down"}
