"""What a lab is made of: ports, ids, members, state, configuration."""

from __future__ import annotations

import random
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from replicator.errors import DataCorrupt, LabFailed, NotFound, UsageError
from replicator.lab.broker import broker_properties
from replicator.lab.config import render_config
from replicator.lab.fleet import Fleet, Site, group_id
from replicator.lab.members import all_members, find_members
from replicator.lab.plan import LabFolders, LabPlan, LabSpec, make_plan, make_uuid
from replicator.lab.ports import choose_ports, ephemeral_from
from replicator.lab.state import KnownProcess, LabState, read_state, write_state
from replicator.model.cluster import ClusterAccess, Secret, Security, SecurityProtocol
from replicator.model.names import ClusterName
from replicator.settings import load_settings

if TYPE_CHECKING:
    from replicator.jvm import Guardian
    from replicator.lab.security import LabSecurity


def plan_of(brokers: int = 1) -> LabPlan:
    """Return a plan that is the same in every run but for ports in use."""
    return make_plan(LabSpec(brokers=brokers), rng=random.Random(7))


@pytest.mark.parametrize("brokers", [1, 3])
def test_a_plan_takes_each_port_once(brokers: int) -> None:
    """Every listener of both clusters and both workers has a port of its own, below the ephemeral ones."""
    plan = plan_of(brokers)
    ports = [port for c in plan.clusters for n in c.nodes for port in (n.client_port, n.controller_port)]
    ports += [c.connect_port for c in plan.clusters]
    assert len(set(ports)) == 2 * (2 * brokers + 1)
    assert max(ports) < ephemeral_from()


def test_a_port_in_use_is_not_chosen() -> None:
    """The same dice give another port once somebody listens on the first."""
    (first,) = choose_ports(1, rng=random.Random(3))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first))
        taken.listen()
        (second,) = choose_ports(1, rng=random.Random(3))
    assert second != first


@pytest.mark.parametrize(("text", "first"), [("40000\t60999\n", 40000), ("1024 65535", 32768), ("nonsense", 32768)])
def test_the_ephemeral_range_is_read(tmp_path: Path, text: str, first: int) -> None:
    """The system's own range counts, unless it leaves no room below."""
    (tmp_path / "range").write_text(text)
    assert ephemeral_from(tmp_path / "range") == first
    assert ephemeral_from(tmp_path / "missing") == 32768


def test_ids_look_like_kafkas() -> None:
    """A UUID has 22 characters and never starts like an option."""
    rng = random.Random(1)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", make_uuid(rng=rng)) for _ in range(500))


@pytest.mark.parametrize(
    ("target", "names"),
    [
        ("east", ["east/broker-1", "east/broker-2", "east/broker-3"]),
        ("west/broker-2", ["west/broker-2"]),
        ("west/connect", ["west/connect"]),
    ],
)
def test_targets_name_members(target: str, names: list[str]) -> None:
    """A cluster means its brokers; a worker and a single broker have names of their own."""
    assert [member.name for member in find_members(plan_of(3), target)] == names


def test_an_unknown_target_names_the_known_ones() -> None:
    """A typing error is answered with what there is."""
    with pytest.raises(UsageError) as caught:
        find_members(plan_of(), "north")
    assert "west/connect" in (caught.value.hint or "")


@pytest.mark.parametrize(("brokers", "factor", "in_sync"), [(1, "1", "1"), (3, "3", "2")])
def test_a_broker_keeps_as_many_copies_as_there_are(brokers: int, factor: str, in_sync: str) -> None:
    """Kafka's own topics are as durable as the cluster allows."""
    cluster = plan_of(brokers).clusters[0]
    found = broker_properties(cluster, cluster.nodes[0], data_folder=Path("/data"), security={})
    for key in ("default", "offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        assert found[f"{key}.replication.factor"] == factor
    assert found["transaction.state.log.min.isr"] == found["min.insync.replicas"] == in_sync
    assert len(found["controller.quorum.voters"].split(",")) == brokers


def test_a_broker_listens_on_loopback_alone() -> None:
    """No listener of a lab can be reached from another machine, and no topic appears by accident."""
    cluster = plan_of().clusters[0]
    found = broker_properties(cluster, cluster.nodes[0], data_folder=Path("/data"), security={})
    assert re.fullmatch(r"CLIENT://127\.0\.0\.1:\d+,CONTROLLER://127\.0\.0\.1:\d+", found["listeners"])
    assert found["auto.create.topics.enable"] == "false"


def test_state_survives_a_command(tmp_path: Path) -> None:
    """What was written is read again, and only the owner can read it."""
    state = LabState(plan=plan_of(3), processes={"east/broker-1": KnownProcess(pid=7, started_at=1.5)})
    write_state(tmp_path / "lab.json", state)
    assert read_state(tmp_path / "lab.json") == state
    assert (tmp_path / "lab.json").stat().st_mode & 0o077 == 0


def test_a_missing_lab_is_told_with_the_next_command(tmp_path: Path) -> None:
    """No lab: the hint says how to make one. A foreign file: it is named."""
    with pytest.raises(NotFound) as caught:
        read_state(tmp_path / "lab.json")
    assert f"lab up --dir {tmp_path}" in (caught.value.hint or "")
    (tmp_path / "lab.json").write_text('{"plan": 1}')
    with pytest.raises(DataCorrupt, match=r"lab\.json"):
        read_state(tmp_path / "lab.json")


@pytest.mark.parametrize("is_secure", [False, True])
def test_the_written_configuration_is_accepted(tmp_path: Path, is_secure: bool) -> None:
    """Every other command takes the file: addresses, ids, security and workers arrive as planned."""
    plan = plan_of()
    password = tmp_path / "password"
    password.write_text("canary")
    password.chmod(0o600)
    (tmp_path / "ca.pem").write_text("x")
    security = Security(
        protocol=SecurityProtocol.SASL_SSL,
        mechanism="SCRAM-SHA-512",
        username="replicator",
        password=Secret(f"file:{password}", "canary"),
        ca_file=str(tmp_path / "ca.pem"),
    )
    accesses = [
        ClusterAccess(
            name=ClusterName(c.name),
            bootstrap=c.bootstrap,
            cluster_id=c.cluster_id,
            security=security if is_secure else Security(),
        )
        for c in plan.clusters
    ]
    path = tmp_path / "replicator.yaml"
    path.write_text(render_config(accesses, plan.clusters, group_id=group_id))
    settings = load_settings(path, {})
    assert [settings.cluster_access(access.name) for access in accesses] == accesses
    assert settings.connect_url(ClusterName("west")) == plan.cluster("west").connect_url
    assert settings.flows == ()
    assert "canary" not in path.read_text()


def test_every_member_has_a_folder_of_its_own() -> None:
    """No two members share a folder."""
    folders = LabFolders(Path("/lab"))
    members = all_members(plan_of(3))
    paths = {folders.connect(m.cluster) if m.node_id is None else folders.node(m.cluster, m.node_id) for m in members}
    assert len(paths) == len(members) == 8


def test_the_commands_that_a_lab_names_lead_back_to_it(tmp_path: Path) -> None:
    """A hint runs in the folder of the lab that gave it, odd names quoted."""
    folder = tmp_path / "my lab"
    plan = plan_of()
    fleet = Fleet(Site(plan, LabFolders(folder), cast("LabSecurity", None)), guardian=cast("Guardian", None))
    with pytest.raises(LabFailed) as caught:
        fleet.freeze("east")
    assert caught.value.hint == f"`replicator lab start east --dir '{folder}'` starts it"
