"""What doctor says of a flow: facts bent one at a time, and the finding each brings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from replicator.model.connectors import ConfigFinding
from replicator.model.flow import Delivery
from replicator.supervisor.doctor.facts import Beat, FlowProbe, Trouble
from replicator.supervisor.doctor.findings import Finding, Severity
from replicator.supervisor.doctor.flows import flow_findings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Bend = Callable[[Any], None]


def probe(world: Any, **changes: Any) -> FlowProbe:
    return FlowProbe(flow=world.flow, wiring=world.wiring, facts=world.facts(), plan=world.plan(), **changes)


def complaints(found: list[Finding]) -> dict[str, tuple[Severity, str]]:
    return {one.check: (one.severity, one.what) for one in found if one.severity.is_complaint}


def test_a_flow_that_was_not_applied_yet_is_no_complaint(world: Any) -> None:
    """Before the first apply nothing is wrong, and the next command is named."""
    found = list(flow_findings(probe(world)))
    assert complaints(found) == {}
    assert [one.fix for one in found if one.check == "plan"] == ["replicator apply shop"]
    (syncs,) = [one for one in found if one.check == "offset-syncs"]
    assert syncs.severity is Severity.SKIPPED
    assert "the first apply makes" in syncs.what


def test_an_applied_flow_is_as_configured(world: Any) -> None:
    """Once applied every check is well but the clock, for which no heartbeat has come."""
    world.apply()
    world.add_target("pay.x", min_insync_replicas="2")
    world.apply()
    found = list(flow_findings(probe(world)))
    assert complaints(found) == {}
    assert {one.check: one.severity for one in found} == {
        "exactly-once": Severity.OK,
        "offset-syncs": Severity.OK,
        "converters": Severity.OK,
        "durability": Severity.OK,
        "clock": Severity.SKIPPED,
        "plan": Severity.OK,
    }


def refuse_exactly_once(world: Any) -> None:
    finding = ConfigFinding("exactly.once.support", ("This worker does not have exactly-once source support enabled.",))
    world.findings = {"shop.source": (finding,)}


def reconfigure(key: str, value: str) -> Bend:
    def bend(world: Any) -> None:
        world.apply()
        made = world.connectors["shop.source"]
        world.connectors["shop.source"] = replace(made, config={**made.config, key: value})

    return bend


def weaken_replicas(world: Any) -> None:
    world.brokers = 3
    world.add_source("orders", 3, replicas=3)
    world.add_target("orders", 3)


def weaken_in_sync(world: Any) -> None:
    world.brokers = 3
    world.add_source("orders", 3, replicas=1, min_insync_replicas="2")
    world.add_target("orders", 3)


def allow_unclean(world: Any) -> None:
    world.add_target("orders", 3, unclean_leader_election_enable="true")


def write_elsewhere(world: Any) -> None:
    world.worker_cluster = "id-other"


BENDS: list[tuple[str, Bend, str, Severity, str]] = [
    ("no exactly once", refuse_exactly_once, "exactly-once", Severity.BLOCKED, "does not have exactly-once"),
    (
        "syncs on the source",
        reconfigure("offset-syncs.topic.location", "source"),
        "offset-syncs",
        Severity.BLOCKED,
        "keeps its offset syncs on the source",
    ),
    (
        "header converter",
        reconfigure("header.converter", "org.apache.kafka.connect.storage.SimpleHeaderConverter"),
        "converters",
        Severity.BLOCKED,
        "header.converter of shop.source",
    ),
    ("fewer replicas", weaken_replicas, "durability", Severity.WARNING, "orders has 1 replica on west, orders 3"),
    ("unclean leaders", allow_unclean, "durability", Severity.WARNING, "allows unclean leaders"),
    ("changed by hand", reconfigure("tasks.max", "99"), "plan", Severity.WARNING, "differs from the configuration"),
    ("another cluster's worker", write_elsewhere, "plan", Severity.BLOCKED, "the worker writes to cluster id-other"),
]


@pytest.mark.parametrize(("bend", "check", "severity", "told"), [b[1:] for b in BENDS], ids=[b[0] for b in BENDS])
def test_what_is_wrong_is_named_with_its_fix(world: Any, bend: Bend, check: str, severity: Severity, told: str) -> None:
    """Each fault brings its own finding, and a command or edit that mends it."""
    bend(world)
    found = [one for one in flow_findings(probe(world)) if one.check == check and one.severity.is_complaint]
    assert [one.severity for one in found] == [severity]
    assert told in found[0].what
    assert found[0].fix


def test_min_in_sync_that_replicas_cannot_meet_is_not_asked_for(world: Any) -> None:
    """A copy with one replica can have one in sync: no complaint about two."""
    weaken_in_sync(world)
    assert "durability" not in complaints(list(flow_findings(probe(world))))


def test_an_at_least_once_flow_needs_no_exactly_once(world: Any) -> None:
    """What a flow does not ask for is not held against its worker."""
    refuse_exactly_once(world)
    world.flow = replace(world.flow, delivery=Delivery.AT_LEAST_ONCE)
    (found,) = [one for one in flow_findings(probe(world)) if one.check == "exactly-once"]
    assert found.severity is Severity.SKIPPED


@pytest.mark.parametrize(
    ("seconds", "severity"),
    [(0.4, Severity.OK), (-1.0, Severity.OK), (59, Severity.OK), (-5, Severity.WARNING), (120, Severity.WARNING)],
)
def test_clocks_that_differ_show_in_heartbeats(world: Any, seconds: float, severity: Severity) -> None:
    """A heartbeat that arrives before it was sent, or minutes late, tells of a clock that is off."""
    beat = Beat(sent_at=NOW, stamped_at=NOW + timedelta(seconds=seconds))
    (found,) = [one for one in flow_findings(probe(world, beat=beat)) if one.check == "clock"]
    assert found.severity is severity


def test_a_flow_that_cannot_be_read_lists_the_checks_not_made(world: Any) -> None:
    """Each check that could not be made is said, with why; none counts as passed."""
    trouble = Trouble(code="endpoint.unreachable", message="west is silent")
    found = list(flow_findings(FlowProbe(flow=world.flow, trouble=trouble)))
    assert {one.severity for one in found} == {Severity.UNKNOWN}
    assert {one.check for one in found} >= {"exactly-once", "offset-syncs", "converters", "durability", "plan"}
    assert all("west is silent" in one.what for one in found)
