"""The configuration `replicator lab up` writes is one that settings accept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.lab.config import FirstFlow, render_config
from replicator.model.cluster import ClusterAccess, Secret, Security, SecurityProtocol
from replicator.model.names import ClusterName
from replicator.settings import load_settings

PLANS: Any = [
    SimpleNamespace(name=name, connect_url=f"http://127.0.0.1:{port}") for name, port in (("east", 1), ("west", 2))
]


def accesses(security: Security) -> list[ClusterAccess]:
    return [
        ClusterAccess(
            name=ClusterName(plan.name), bootstrap=f"127.0.0.1:909{number}", cluster_id="x" * number, security=security
        )
        for number, plan in enumerate(PLANS, start=1)
    ]


def secured(folder: Path) -> Security:
    for name in ("password", "ca.pem"):
        (folder / name).write_text("c4n4ry")
        (folder / name).chmod(0o600)
    return Security(
        protocol=SecurityProtocol.SASL_SSL,
        mechanism="SCRAM-SHA-512",
        username="replicator",
        password=Secret(f"file:{folder / 'password'}", "c4n4ry"),
        ca_file=str(folder / "ca.pem"),
    )


@pytest.mark.parametrize("is_secure", [False, True])
def test_what_the_lab_writes_gives_back_the_same_access(tmp_path: Path, is_secure: bool) -> None:
    """Plain or secured, the file leads to the clusters and the workers it was written for."""
    given = accesses(secured(tmp_path) if is_secure else Security())
    path = tmp_path / "replicator.yaml"
    path.write_text(render_config(given, PLANS, group_id=lambda name: f"group-{name}"))
    settings = load_settings(path, {})
    assert [settings.cluster_access(name) for name in settings.clusters] == given
    west = settings.connect_of("west")
    assert (west.url, west.group_id, west.offsets_topic) == ("http://127.0.0.1:2", "group-west", "group-west.offsets")


def test_mirror_maker_logs_in_as_itself(tmp_path: Path) -> None:
    """Where the lab is secured, MM2 has its own login, and the folder in which connectors name it."""
    security = secured(tmp_path)
    mirrors = {
        access.name: replace(access, security=replace(access.security, username="mm2")) for access in accesses(security)
    }
    path = tmp_path / "replicator.yaml"
    path.write_text(
        render_config(accesses(security), PLANS, group_id=str, mirrors=mirrors, secrets_folder=str(tmp_path))
    )
    settings = load_settings(path, {})
    assert settings.cluster_access("east").security.username == "replicator"
    assert {name: settings.mirror_access(name) for name in settings.clusters} == mirrors
    assert settings.connect_of("west").secrets_folder == str(tmp_path)


def test_the_flow_it_proposes_can_be_uncommented(tmp_path: Path) -> None:
    """The flow in the file's comment is a good one."""
    text = render_config(accesses(Security()), PLANS, group_id=str)
    _, _, comment = text.partition("by these:\n")
    proposal = comment.replace("# ", "").replace("flows: {}\n", "")
    path = tmp_path / "replicator.yaml"
    path.write_text(text.replace("flows: {}\n", proposal))
    (flow,) = load_settings(path, {}).flows
    assert (flow.source, flow.target) == ("east", "west")


def test_a_first_flow_and_its_store_can_be_there_from_the_start(tmp_path: Path) -> None:
    """Asked for, the file needs no hand before `apply` and `repo init`."""
    path = tmp_path / "replicator.yaml"
    path.write_text(
        render_config(
            accesses(Security()), PLANS, group_id=str, first_flow=FirstFlow(str(tmp_path / "store"), "127.0.0.1:1234")
        )
    )
    settings = load_settings(path, {})
    assert [(flow.name, flow.source, flow.target) for flow in settings.flows] == [("shop", "east", "west")]
    assert settings.document.snapshots.store == str(tmp_path / "store")
    assert settings.document.supervisor.listen == "127.0.0.1:1234"
