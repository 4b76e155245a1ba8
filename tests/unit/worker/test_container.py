"""A worker's container as values: what anybody may see of it, and what its end means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replicator.model.cluster import ClusterAccess, Secret, Security, SecurityProtocol
from replicator.model.names import ClusterName
from replicator.worker import ContainerEnd, ContainerPlan, WorkerSpec
from replicator.worker.container import MOUNT, container_name, container_options, judge_end, read_state

CANARY = "canary-9f2c"
SECURITY = Security(
    protocol=SecurityProtocol.SASL_SSL,
    mechanism="SCRAM-SHA-512",
    username="mm2",
    password=Secret("env:X", CANARY),
    ca_file="/keys/ca.pem",
)


def make_spec(group_id: str = "__replicator.connect.west") -> WorkerSpec:
    """Return a secured worker beside west."""
    access = ClusterAccess(name=ClusterName("west"), bootstrap="127.0.0.1:9092", security=SECURITY)
    return WorkerSpec(
        cluster=access,
        group_id=group_id,
        rest_port=8083,
        secrets_folder=Path("/state/secrets"),
        secrets={"east.properties": CANARY},
    )


def make_options(plan: ContainerPlan | None = None) -> dict[str, Any]:
    """Return how the worker's container would be made."""
    return container_options(make_spec(), plan or ContainerPlan(), folder=Path("/state/west"), user="7:8")


def test_no_secret_is_in_what_anybody_may_inspect() -> None:
    """Environment, labels, command and mounts name no secret: those are inside of files."""
    assert CANARY not in json.dumps(make_options(), default=str)


def test_files_are_mounted_for_reading_where_the_properties_look_for_them() -> None:
    """The worker's folder, its connectors' secrets, its authorities and what the plan adds are there, read-only."""
    volumes = make_options(ContainerPlan(files=(Path("/keys/east.pem"),)))["volumes"]
    assert {path: mount["bind"] for path, mount in volumes.items()} == {
        "/state/west": MOUNT,
        "/state/secrets": "/state/secrets",
        "/keys/ca.pem": "/keys/ca.pem",
        "/keys/east.pem": "/keys/east.pem",
    }
    assert {mount["mode"] for mount in volumes.values()} == {"ro"}


def test_a_container_may_do_as_little_as_possible() -> None:
    """No capability, no new privilege, nothing written but /tmp, our user, a limit on memory and on the log."""
    options = make_options(ContainerPlan(memory_mib=900))
    assert options["cap_drop"] == ["ALL"]
    assert options["security_opt"] == ["no-new-privileges"]
    assert options["read_only"] is True
    assert options["user"] == "7:8"
    assert options["mem_limit"] == options["memswap_limit"] == "900m"
    assert options["log_config"]["config"]["max-size"] == "20m"


@pytest.mark.parametrize(
    ("exit_status", "is_out_of_memory", "end"),
    [
        (0, False, ContainerEnd.STOPPED),
        (143, False, ContainerEnd.STOPPED),
        (137, False, ContainerEnd.KILLED),
        (137, True, ContainerEnd.OUT_OF_MEMORY),
        (1, False, ContainerEnd.FAILED),
        (3, False, ContainerEnd.FAILED),
    ],
)
def test_an_end_has_one_reason(exit_status: int, is_out_of_memory: bool, end: ContainerEnd) -> None:
    """Stopped, killed, out of memory and failed are told apart."""
    assert judge_end(exit_status, is_out_of_memory=is_out_of_memory) is end


@pytest.mark.parametrize(
    ("state", "end"),
    [
        ({"Status": "running", "ExitCode": 0}, None),
        ({"Status": "paused", "ExitCode": 0}, None),
        ({"Status": "created", "ExitCode": 0}, None),
        ({"Status": "exited", "ExitCode": 143}, ContainerEnd.STOPPED),
        ({"Status": "restarting", "ExitCode": 137, "OOMKilled": True}, ContainerEnd.OUT_OF_MEMORY),
    ],
)
def test_only_what_has_ended_has_an_end(state: dict[str, Any], end: ContainerEnd | None) -> None:
    """A living container's exit status, which the engine shows as 0, is not taken for one."""
    assert read_state({"Id": "x", "State": state, "Config": {"Image": "i"}}).end is end


@pytest.mark.parametrize(
    ("group_id", "name"),
    [
        ("__replicator.connect.west", "replicator-replicator-connect-west-8083"),
        ("mm2", "replicator-mm2-8083"),
        ("grüße/..", "replicator-gr--e-8083"),
    ],
)
def test_any_group_makes_a_name_docker_takes(group_id: str, name: str) -> None:
    """Names hold letters, digits and dashes only."""
    assert container_name(make_spec(group_id)) == name
