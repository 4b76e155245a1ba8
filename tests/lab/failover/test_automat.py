"""A supervisor that may fail over by itself: a frozen source is left to a human, a dead one is met."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import ANY

import pytest

from replicator.clock import Deadline
from replicator.failover import Fence, report_of
from replicator.journal import Journal, active_cluster, list_operations
from replicator.lab import Lab
from replicator.model.names import GroupName, TopicPartition
from replicator.model.objectives import Objectives
from replicator.model.operations import Operation
from replicator.model.supervision.outages import Advice, OutagePhase
from replicator.settings import load_settings
from replicator.supervisor import World
from replicator.supervisor.daemon import Supervisor
from replicator.supervisor.decide.outlook.outage import AUTOMATIC
from tests.lab.stage import ORDERS, SHOP, Stage, open_stage, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

AUTO = {
    "REPLICATOR_FAILOVER__MODE": "auto",
    "REPLICATOR_FAILOVER__OUTAGE_SECONDS": "5",
    "REPLICATOR_FAILOVER__LOSS_MAX": "1000000",
}


NOTHING_LISTENS = """
import socket, sys
for address in sys.argv[1].split(","):
    host, _, port = address.rpartition(":")
    if socket.socket().connect_ex((host, int(port))) == 0:
        sys.exit(f"{address} listens")
"""


def fenced_by_hook(lab: Lab, folder: Path) -> dict[str, str]:
    """Return the settings of a fence that leaves a mark, and is verified by looking whether anything listens."""
    hook = {
        "argv": [sys.executable, "-c", f"open({str(folder / 'fenced')!r}, 'w')"],
        "verify": [sys.executable, "-c", NOTHING_LISTENS, lab.east.bootstrap],
    }
    return {"REPLICATOR_FAILOVER__FENCE": "hook", "REPLICATOR_FAILOVER__HOOKS__FENCE": json.dumps([hook])}


@dataclass
class Scene:
    """A flow under a supervisor that may act."""

    stage: Stage
    supervisor: Supervisor
    fenced: Path

    @property
    def advice(self) -> Advice:
        """What is advised now."""
        return self.supervisor.advice[SHOP]

    def told(self) -> object:
        """Return what a failed wait is told with: the advice, and which loops fail at what."""
        failing = {one.name: one.error for one in self.supervisor.status.collectors if one.error}
        return self.advice, failing

    def operations(self) -> list[Operation]:
        """Return the flow's operations by west's journal."""
        records = Journal(self.stage.west).read(Deadline.after(30))
        return [one for one in list_operations(records).values() if one.flow == SHOP]


@pytest.fixture(scope="module")
def scene(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Records mirrored, a group observed, the supervisor leading."""
    folder = tmp_path_factory.mktemp("automat")
    with open_stage(private_lab, folder) as stage:
        stage.produce(300)
        stage.east.groups.commit(GroupName("readers"), {TopicPartition(ORDERS, 0): 1}, Deadline.after(30))
        with World(load_settings(stage.config, AUTO | fenced_by_hook(private_lab, folder))) as world:
            supervisor = Supervisor(world)
            supervisor.start()
            try:
                made = Scene(stage, supervisor, folder / "fenced")
                wait_until(lambda: SHOP in supervisor.advice, what="a first look")
                wait_until(lambda: "readers" in stage.observed().groups, seconds=90, what="the group is observed")
                wait_until(lambda: made.advice.phase is OutagePhase.NONE, what="the source is read")
                yield made
            finally:
                supervisor.stop()


def test_a_frozen_source_is_left_to_a_human(scene: Scene) -> None:
    """Confirmed lost, a command advised, and nothing begun: who does not refuse may be alive for others."""
    scene.stage.lab.freeze("east")
    wait_until(
        lambda: scene.advice.phase is OutagePhase.CONFIRMED, seconds=120, what="the outage", told=lambda: scene.advice
    )
    assert any("not every listener refuses" in held for held in scene.advice.holds)
    assert scene.advice.command == f"replicator failover {SHOP} --dry-run"
    assert scene.operations() == []
    assert not scene.fenced.exists()
    scene.stage.revive_east()
    wait_until(lambda: scene.advice.phase is OutagePhase.NONE, seconds=240, what="the end", told=scene.told)
    assert scene.advice.command is None
    assert scene.operations() == []


def test_a_dead_source_is_met_once(scene: Scene) -> None:
    """Every broker killed: the standby becomes active by the runbook, in the supervisor's own name, and that is all."""
    scene.stage.lab.kill("east")
    wait_until(
        lambda: active_cluster(Journal(scene.stage.west).read(Deadline.after(30)), SHOP) == "west",
        seconds=180,
        what="the failover",
        told=lambda: (scene.advice, scene.operations()),
    )
    wait_until(lambda: scene.operations()[-1].state.is_terminal, seconds=120, what="its end")
    (operation,) = scene.operations()
    assert operation.actor.startswith(AUTOMATIC)
    assert operation.is_past_promote
    assert scene.fenced.exists(), "the fence was set before anything was cut"
    assert report_of(operation.records, objectives=Objectives()).fence == Fence(source="hook", mm2=ANY)
    wait_until(lambda: scene.advice.command is None, what="nothing more is advised", told=lambda: scene.advice)
    assert any("active already" in held for held in scene.advice.holds)
    assert len(scene.operations()) == 1
