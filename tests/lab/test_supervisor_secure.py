"""The supervisor on secured clusters, with least rights: a connector that is RUNNING and reads nothing is found out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from replicator.cli.main import run
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.cluster import TopicSpec
from replicator.model.connectors import ConnectorState
from replicator.model.flow import FlowState
from replicator.model.supervision.overview import Overview
from replicator.settings import load_settings
from replicator.supervisor import World
from replicator.supervisor.daemon import Supervisor
from replicator.supervisor.metrics import render_metrics
from tests.promql import evaluate, parse_scrape, shipped_rules

Value = TypeVar("Value")


def wait_until(ask: Callable[[], Value | None], *, seconds: float, what: str) -> Value:
    """Return the first answer that is true, or fail."""
    deadline = Deadline.after(seconds)
    while not deadline.is_over:
        if answer := ask():
            return answer
        time.sleep(0.1)
    pytest.fail(f"{what} did not happen within {seconds:g} s")


def config_text(lab: Lab, flows: dict[str, Any]) -> str:
    """Return the lab's configuration with flows."""
    return lab.config_path.read_text().replace("flows: {}", f"flows: {json.dumps(flows)}")


def test_a_revoked_read_right_is_a_stall_with_its_cause(secure_lab: Lab, names: Any, tmp_path: Path) -> None:
    """MM2 stays RUNNING without the right to read: in 30 s the flow is STALLED, the right is named, lag rises."""
    topic, flow = names.topic("orders"), names.flow()
    flows = {flow: {"source": "east", "target": "west", "topics": {"include": [topic]}}}
    config = tmp_path / "replicator.yaml"
    config.write_text(config_text(secure_lab, flows))
    denial = AclBinding(
        principal="User:mm2",
        resource_type=ResourceType.TOPIC,
        name=topic,
        pattern=PatternType.LITERAL,
        right=Right.READ,
        permission=Permission.DENY,
    )
    settings = load_settings(config, {"REPLICATOR_SUPERVISOR__ID": names.prefix[-20:]})
    with (
        KafkaCluster(secure_lab.access("east", "app")) as app,
        KafkaCluster(secure_lab.access("east", "admin")) as admin,
        World(settings) as world,
    ):
        spec = TopicSpec(name=topic, partitions=1, configs={"retention.ms": "-1"})
        app.topics.create([spec], Deadline.after(20))
        assert run(["-c", str(config), "apply", flow]) == 0
        writer = app.writer("test")
        supervisor = Supervisor(world)
        supervisor.start()

        def seen() -> Any:
            return supervisor.status.flow(flow)

        def produce() -> None:
            writer.send(Outgoing(topic, b"k", b"v"))
            writer.flush(Deadline.after(10))

        try:
            produce()
            wait_until(
                lambda: seen().state is FlowState.HEALTHY and seen().lag.lag_records == 0, seconds=60, what="flow"
            )
            time.sleep(6)  # the rules of a moving flow are noted every few seconds
            admin.acls.create([denial], Deadline.after(10))

            def is_explained() -> bool:
                produce()
                return seen().state is FlowState.STALLED and "mm2" in (seen().cause or "")

            wait_until(is_explained, seconds=30, what="STALLED with its cause")
            assert f"User:mm2 lost the right to READ {topic} on east" in seen().cause
            served = render_metrics(Overview(status=supervisor.status)).decode()
            scraped = parse_scrape(served, at=SYSTEM_CLOCK.now().timestamp())
            assert evaluate(shipped_rules()["ReplicatorFlowStalled"], [scraped]), served
            source = next(one for one in seen().connectors if one.name == f"{flow}.source")
            assert source.is_wholly(ConnectorState.RUNNING)
            before = seen().lag
            time.sleep(3)
            assert seen().lag.lag_seconds > before.lag_seconds > 0
            assert seen().lag.lag_records >= before.lag_records > 0
            admin.acls.delete([denial], Deadline.after(10))
            wait_until(lambda: seen().state is FlowState.HEALTHY, seconds=60, what="HEALTHY again")
        finally:
            admin.acls.delete([denial], Deadline.after(10))
            supervisor.stop()
            writer.close()
