"""A source frozen for longer than requests last: when it is back everything is seen again, and nothing has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from replicator.clock import Deadline
from replicator.lab import Lab
from replicator.model.flow import FlowState
from replicator.model.names import GroupName, TopicPartition
from replicator.settings import load_settings
from replicator.supervisor import World
from replicator.supervisor.daemon import Supervisor
from tests.lab.stage import ORDERS, SHOP, Stage, flow_of, open_stage, wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long]

FROZEN_SECONDS = (62.0, 75.0)
"""Longer than a request of ours is waited for, and than librdkafka's sockets wait."""


@pytest.fixture(scope="module")
def stage(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A flow with records and a group."""
    with open_stage(private_lab, tmp_path_factory.mktemp("frozen")) as made:
        made.produce(300)
        made.east.groups.commit(GroupName("readers"), {TopicPartition(ORDERS, 0): 1}, Deadline.after(30))
        yield made


@pytest.mark.parametrize("seconds", FROZEN_SECONDS)
def test_every_loop_sees_again_what_was_frozen_for_long(stage: Stage, seconds: float) -> None:
    """After the thaw the flow is healthy, and so is every loop: groups, whose coordinator was away, among them."""
    with World(load_settings(stage.config, {})) as world:
        supervisor = Supervisor(world)
        supervisor.start()

        def errors() -> dict[str, str]:
            found = supervisor.status.collectors
            return {one.name: one.error for one in found if one.error and one.flow == SHOP}

        def is_well() -> bool:
            return flow_of(supervisor).state is FlowState.HEALTHY and not errors()

        try:
            wait_until(is_well, seconds=120, what="all well", told=errors)
            stage.lab.freeze("east")
            wait_until(lambda: flow_of(supervisor).state is FlowState.UNKNOWN, seconds=60, what="UNKNOWN")
            time.sleep(seconds)
            stage.lab.thaw("east")
            seen = flow_of(supervisor).groups_observed_at
            wait_until(is_well, seconds=180, what="all well again", told=errors)
            wait_until(lambda: flow_of(supervisor).groups_observed_at != seen, seconds=120, what="groups", told=errors)
        finally:
            stage.revive_east()
            supervisor.stop()
