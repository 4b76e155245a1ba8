"""The supervisor on real clusters: what the standby knows, through frozen and killed sources and dying leaders."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import DataCorrupt
from replicator.journal import Observed
from replicator.kafka import Outgoing
from replicator.lab import Lab
from replicator.model.names import GroupName, TopicPartition
from replicator.model.observations import ClusterObservation, GroupState, Reachability
from replicator.settings import load_settings
from replicator.supervisor import World
from replicator.supervisor.daemon import Supervisor
from tests.lab.stage import (
    BACK,
    BOOKINGS,
    EAST,
    ORDERS,
    PERIOD_SECONDS,
    SHOP,
    Stage,
    open_stage,
    run_cli,
    running,
    wait_until,
)


@pytest.fixture(scope="module")
def stage(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A private lab with the flow `shop` running."""
    with open_stage(private_lab, tmp_path_factory.mktemp("config")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _east_lives(stage: Stage) -> Iterator[None]:
    """Every test finds east alive and leaves it so."""
    yield
    stage.revive_east()


def is_recent(stage: Stage) -> Observed | None:
    """Return the observations when the source was read within the last period and a half."""
    observed = stage.observed()
    contact = observed.clusters.get(EAST)
    if contact is None or contact.last_reached_at is None:
        return None
    age = (datetime.now(UTC) - contact.last_reached_at).total_seconds()
    return observed if age < 1.5 * PERIOD_SECONDS else None


def wait_recent(stage: Stage) -> Observed:
    return wait_until(lambda: is_recent(stage), what="a recent observation")


def test_the_standby_knows_the_source(stage: Stage, tmp_path: Path) -> None:
    """Ends, ids, groups and peak rates of the source stand on the target, no older than two periods, all the time."""
    group = GroupName("billing")
    with running(stage, tmp_path):
        wait_recent(stage)
        stage.produce(3000)
        stage.east.groups.commit(group, {TopicPartition(ORDERS, 0): 7}, Deadline.after(10))

        def is_known() -> Observed | None:
            seen = stage.observed()
            ends = sum(part.end for part in seen.topics[ORDERS].partitions) if ORDERS in seen.topics else 0
            return seen if ends == 3000 and group in seen.groups else None

        seen = wait_until(is_known, what="the new ends and the group")
        topics = stage.east.topics.describe([ORDERS], Deadline.after(10))
        assert seen.topics[ORDERS].topic_id == topics[ORDERS].topic_id
        assert seen.groups[group].state is GroupState.EMPTY
        assert seen.groups[group].committed == {TopicPartition(ORDERS, 0): 7}
        assert seen.clusters[EAST].reachability is Reachability.REACHABLE
        assert seen.clusters[EAST].cluster_id == stage.lab.east.cluster_id
        assert (seen.topics[ORDERS].peak_rate or 0) >= 3000 / (2 * PERIOD_SECONDS)
        translated = wait_until(lambda: stage.observed().translations.get(group), what="the group's translation")
        assert [one.source_offset for one in translated.translations] == [7]
        assert (translated.translations[0].target_offset or 0) <= 7

        oldest = 0.0
        for _ in range(20):
            contact = stage.contact()
            assert contact.last_reached_at is not None
            oldest = max(oldest, (datetime.now(UTC) - contact.last_reached_at).total_seconds())
            time.sleep(0.3)
        assert oldest <= 2 * PERIOD_SECONDS


def test_a_group_deleted_on_the_source_is_known_to_be_gone(stage: Stage, tmp_path: Path) -> None:
    """A failover must not bring back a group that its owner deleted."""
    group = GroupName("short-lived")
    with running(stage, tmp_path):
        stage.east.groups.commit(group, {TopicPartition(ORDERS, 0): 1}, Deadline.after(10))
        wait_until(lambda: group in stage.observed().groups, what="the group")
        stage.east.groups.delete([group], Deadline.after(10))
        wait_until(lambda: stage.observed().groups[group].state is GroupState.DEAD, what="its end")
        assert stage.observed().groups[group].committed == {}


def test_a_killed_source_refuses_and_its_window_ends_there(stage: Stage, tmp_path: Path) -> None:
    """After SIGKILL the standby knows when the source was last read, and since when nobody can write to it."""
    with running(stage, tmp_path):
        wait_recent(stage)
        alive_at = stage.contact().last_reached_at
        stage.lab.kill("east")
        dead_at = SYSTEM_CLOCK.now()

        def is_refused() -> ClusterObservation | None:
            contact = stage.contact()
            return contact if contact.reachability is Reachability.REFUSED else None

        first = wait_until(is_refused, what="REFUSED")
        assert first.unreachable_since is not None
        assert first.last_reached_at is not None
        # The last whole read began while it lived, no earlier than the one we saw; the refusal came after its death.
        assert alive_at is not None
        assert alive_at <= first.last_reached_at <= dead_at
        assert first.last_reached_at < first.unreachable_since <= SYSTEM_CLOCK.now()

        later = wait_until(
            lambda: seen if (seen := stage.contact()).observed_at > first.observed_at else None, what="another probe"
        )
        assert later.unreachable_since == first.unreachable_since
        assert later.last_reached_at == first.last_reached_at
        assert all(part.end >= 0 for seen in stage.observed().topics.values() for part in seen.partitions)


def test_the_unmirrored_tail_is_counted_before_it_is_lost(stage: Stage, tmp_path: Path) -> None:
    """Visible records the target lacks are counted while the source lives; aborted ones and markers are not."""
    with running(stage, tmp_path):
        wait_recent(stage)
        paused = run_cli("-c", str(stage.config), "flow", "stop", SHOP, "--yes")
        assert paused.returncode == 0, paused.stderr
        try:
            writer = stage.east.transactional_writer("test.bookings", Deadline.after(20))
            records = [Outgoing(BOOKINGS, b"k", b"v", partition=0) for _ in range(50)]
            writer.append(records, Deadline.after(20))
            writer.abandon(records, Deadline.after(20))
            writer.append(records[:7], Deadline.after(20))

            def counted() -> int | None:
                seen = stage.observed().topics.get(BOOKINGS)
                tails = [tail for tail in seen.tails if tail.partition == 0] if seen else []
                # Told part by part: a sweep between two transactions ends a part there.
                is_whole = any(tail.to_offset == 110 for tail in tails)
                return sum(tail.visible_records for tail in tails) if is_whole else None

            assert wait_until(counted, what="a count of the whole tail") == 57
        finally:
            resumed = run_cli("-c", str(stage.config), "flow", "resume", SHOP)
        assert resumed.returncode == 0, resumed.stderr


@pytest.mark.parametrize("is_frozen", [False, True])
def test_sigterm_ends_with_0_in_time(stage: Stage, tmp_path: Path, is_frozen: bool) -> None:
    """The supervisor says that it leaves when asked, and does, even while the source is frozen and its clients hang."""
    with running(stage, tmp_path) as daemon:
        daemon.wait_for_event("flow_state_changed", flow=SHOP)
        wait_recent(stage)
        if is_frozen:
            stage.lab.freeze("east")
            daemon.wait_for_event("flow_state_changed", flow=SHOP, state="UNKNOWN")
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=25) == 0, daemon.log_text()
        told = [line for line in daemon.log_text().splitlines() if line.startswith(("ending", "ended"))]
        assert [line[:6].rstrip(":;") for line in told] == ["ending", "ended"]


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_a_second_supervisor_stands_by_and_takes_over(stage: Stage, tmp_path: Path, fault: signal.Signals) -> None:
    """One leads; when it dies or freezes the other records within 25 s, and one that wakes up again stands by."""
    with running(stage, tmp_path, "first") as first:
        first.wait_for_event("supervisor_role_changed", cluster="west", role="leader")
        with running(stage, tmp_path, "second") as second:
            second.wait_for_event("supervisor_role_changed", cluster="west", role="standby")
            wait_recent(stage)
            os.kill(first.process.pid, fault)
            struck_at = datetime.now(UTC)
            second.wait_for_event("supervisor_role_changed", seconds=25, cluster="west", role="leader")
            recorded = wait_until(lambda: is_recent(stage), seconds=25, what="observations of the second")
            assert (recorded.clusters[EAST].observed_at - struck_at).total_seconds() <= 25
            if fault is signal.SIGSTOP:
                os.kill(first.process.pid, signal.SIGCONT)
                wait_until(
                    lambda: first.events("supervisor_role_changed", cluster="west", role="standby"), what="standing by"
                )
                assert second.events("supervisor_role_changed", cluster="west")[-1]["role"] == "leader"
                # Nothing that the frozen one had seen lies over what the other wrote, now or a while later.
                contacts = [stage.observed().clusters[EAST].observed_at]
                while (contacts[-1] - contacts[0]).total_seconds() < 5:
                    contacts.append(stage.observed().clusters[EAST].observed_at)
                assert contacts == sorted(contacts)


def test_a_killed_supervisor_started_again_knows_the_state_at_once(stage: Stage, tmp_path: Path) -> None:
    """The new process sees the flow within 10 s of its start: it does not wait until the dead one loses its lease."""
    with running(stage, tmp_path, "first") as first:
        first.wait_for_event("supervisor_role_changed", seconds=60, cluster="west", role="leader")
        first.wait_for_event("flow_state_changed", seconds=60, flow=SHOP, state="HEALTHY")
        os.kill(first.process.pid, signal.SIGKILL)
        with running(stage, tmp_path, "second") as second:
            seen = second.wait_for_event("flow_state_changed", seconds=60, flow=SHOP, state="HEALTHY")
            (started,) = second.events("supervisor_started")
            seconds = (datetime.fromisoformat(seen["ts"]) - datetime.fromisoformat(started["ts"])).total_seconds()
            assert seconds <= 10
            wait_until(lambda: is_recent(stage), seconds=60, what="observations of the second")


def test_lag_goes_on_over_a_restart(stage: Stage, tmp_path: Path) -> None:
    """What was not mirrored yet when a supervisor left is as old to the next one as it was to the first."""
    config = ("-c", str(stage.config))
    with running(stage, tmp_path, "first") as first:
        first.wait_for_event("flow_state_changed", seconds=60, flow=SHOP, state="HEALTHY")
        stopped = run_cli(*config, "flow", "stop", SHOP, "--yes")
        assert stopped.returncode == 0, stopped.stderr
        ends = wait_recent(stage).topics[ORDERS].partitions
        stage.produce(50)
        written_at = datetime.now(UTC)

        def is_behind_recorded() -> bool:
            seen = stage.observed().topics[ORDERS]
            return sum(part.end for part in seen.partitions) == sum(part.end for part in ends) + 50

        wait_until(is_behind_recorded, what="the 50 records observed")
    try:
        with running(stage, tmp_path, "second") as second:

            def told() -> Any:
                answer = run_cli(*config, "lag", SHOP, "--by", "topic", "-o", "json", listen=second.listen)
                rows = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
                (row,) = [row for row in rows if row["topic"] == ORDERS] or [{"lag_seconds": None}]
                return row if row["lag_seconds"] is not None and not row["is_seconds_minimum"] else None

            row = wait_until(told, what="a lag whose age is known")
            assert row["lag_records"] == 50
            assert row["lag_seconds"] >= (datetime.now(UTC) - written_at).total_seconds() - 2 * PERIOD_SECONDS
    finally:
        resumed = run_cli(*config, "flow", "resume", SHOP)
    assert resumed.returncode == 0, resumed.stderr


def test_status_and_lag_from_a_live_supervisor(stage: Stage, tmp_path: Path) -> None:
    """The same answers, from memory: no second look at the clusters, and not a word on stderr."""
    with running(stage, tmp_path) as daemon:
        daemon.wait_for_event("flow_state_changed", flow=SHOP, state="HEALTHY")
        config = ("-c", str(stage.config))

        def told_healthy() -> Any:
            """What the API serves is composed a moment after the decision was logged."""
            answer = run_cli(*config, "status", "-o", "json", listen=daemon.listen)
            assert (answer.returncode, answer.stderr) == (0, "")
            found = json.loads(answer.stdout)["item"]
            states = {flow["flow"]: flow["state"] for flow in found["flows"]}
            return found if states.get(SHOP) == "HEALTHY" else None

        status = wait_until(told_healthy, seconds=30, what="HEALTHY in what the API serves")
        assert status["is_standalone"] is False
        assert {flow["flow"] for flow in status["flows"]} == {SHOP, BACK}
        assert all(flow["readiness"] is not None for flow in status["flows"])
        answer = run_cli(*config, "lag", SHOP, "--by", "partition", "-o", "json", listen=daemon.listen)
        assert (answer.returncode, answer.stderr) == (0, "")
        rows = json.loads(answer.stdout)["items"]
        assert {(row["topic"], row["partition"]) for row in rows} >= {
            (topic, number) for topic in (ORDERS, BOOKINGS) for number in range(3)
        }, (answer.stdout, daemon.log_text()[-4000:])
        assert all(row["age_seconds"] is not None for row in rows)


def test_a_schedule_runs_now_and_counts_as_its_last_run(stage: Stage, tmp_path: Path) -> None:
    """A scheduled snapshot is taken, proven and tagged; a supervisor that starts knows when it was."""
    schedules = {
        "nightly": {"cron": "15 2 * * *", "timezone": "Europe/Berlin", "flow": SHOP},
        "proofs": {"kind": "verify", "cron": "15 4 * * 0", "flow": SHOP},
    }
    snapshots = {"store": str(tmp_path / "repository"), "schedules": schedules}
    config = tmp_path / "scheduled.yaml"
    config.write_text(f"{stage.config.read_text()}\nsnapshots: {json.dumps(snapshots)}\n")
    assert run_cli("-c", str(config), "repo", "init").returncode == 0
    answer = run_cli("-c", str(config), "schedule", "run", "nightly", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    taken = json.loads(answer.stdout)["item"]
    assert taken["is_verified"] is True
    listed = run_cli("-c", str(config), "--standalone", "schedule", "list", "-o", "json")
    due = {one["name"]: one["next_run_at"][11:16] for one in json.loads(listed.stdout)["items"]}
    assert due["nightly"] in ("00:15", "01:15")
    assert due["proofs"] == "04:15"
    proven = run_cli("-c", str(config), "schedule", "run", "proofs", "-o", "json")
    assert proven.returncode == 0, proven.stderr
    assert json.loads(proven.stdout)["item"] | {"seconds": 0} == {
        "schedule": "proofs",
        "proven": 1,
        "broken": [],
        "seconds": 0,
    }
    with World(load_settings(config, {})) as world:
        supervisor = Supervisor(world)
        supervisor.start()
        try:

            def known() -> dict[str, Any] | None:
                found = {one.name: one for one in supervisor.schedules if one.last_success_at}
                return found if len(found) == 2 else None

            for status in wait_until(known, what="the last runs").values():
                assert status.missed_total == 0
                assert status.next_run_at is not None
                assert (datetime.now(UTC) - status.last_success_at).total_seconds() < 120
        finally:
            supervisor.stop()
    pack = max((tmp_path / "repository").rglob("packs/**/*"), key=lambda path: path.stat().st_size * path.is_file())
    damaged = bytearray(pack.read_bytes())
    damaged[len(damaged) // 3] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(damaged)
    broken = run_cli("-c", str(config), "schedule", "run", "proofs", "-o", "json")
    assert broken.returncode == DataCorrupt.exit_status, broken.stderr
    assert f"replicator snapshot verify {taken['snapshot']}" in broken.stderr


@pytest.mark.long
def test_a_running_supervisor_captures_and_proves_by_cron(stage: Stage, tmp_path: Path) -> None:
    """Nobody asks: the minute comes, a snapshot is taken, and in time all are proven again."""
    every_minute = {"cron": "* * * * *", "flow": SHOP}
    schedules = {"captures": every_minute, "proofs": {**every_minute, "kind": "verify"}}
    snapshots = {"store": str(tmp_path / "repository"), "schedules": schedules}
    config = tmp_path / "scheduled.yaml"
    config.write_text(f"{stage.config.read_text()}\nsnapshots: {json.dumps(snapshots)}\n")
    assert run_cli("-c", str(config), "repo", "init").returncode == 0
    with World(load_settings(config, {})) as world:
        supervisor = Supervisor(world)
        supervisor.start()
        began_at = datetime.now(UTC)
        try:

            def ran() -> bool:
                done = {one.name: one.last_success_at for one in supervisor.schedules}
                return all(moment is not None and moment > began_at for moment in done.values()) and len(done) == 2

            wait_until(ran, seconds=240, what="a capture and a proof by the clock")
            assert not [one.error for one in supervisor.schedules if one.error]
        finally:
            supervisor.stop()
    taken = json.loads(run_cli("-c", str(config), "snapshot", "list", "-o", "json").stdout)["items"]
    assert {tag for one in taken for tag in one["tags"]} == {"schedule:captures"}


def test_status_and_lag_without_a_supervisor(stage: Stage) -> None:
    """From here alone: rates, lag and ages by partition; a stopped flow's lag is its records, and grows older."""
    answer = run_cli("-c", str(stage.config), "--standalone", "lag", SHOP, "--by", "partition", "-o", "json")
    assert answer.returncode == 0, answer.stderr
    rows = json.loads(answer.stdout)["items"]
    assert {row["topic"] for row in rows} >= {ORDERS, BOOKINGS}
    assert all(row["lag_records"] == 0 for row in rows)
    assert all(row["age_seconds"] is not None for row in rows)

    stopped = run_cli("-c", str(stage.config), "flow", "stop", SHOP, "--yes")
    assert stopped.returncode == 0, stopped.stderr
    try:
        stage.produce(500)
        answer = run_cli("-c", str(stage.config), "--standalone", "status", SHOP, "-o", "json")
        flow = json.loads(answer.stdout)["item"]["flows"][0]
        assert (flow["state"], flow["lag"]["lag_records"]) == ("STOPPED", 500)
        assert flow["lag"]["lag_seconds"] > 0
    finally:
        resumed = run_cli("-c", str(stage.config), "flow", "resume", SHOP)
    assert resumed.returncode == 0, resumed.stderr


def test_status_of_a_dead_source_is_unknown_and_still_an_answer(stage: Stage) -> None:
    """With the source dead the command answers, names the cause, and invents no figure."""
    stage.lab.kill("east")
    answer = run_cli("-c", str(stage.config), "--standalone", "status", SHOP, "-o", "json")
    assert answer.returncode == 0, answer.stderr
    document = json.loads(answer.stdout)
    flow = document["item"]["flows"][0]
    assert flow["state"] == "UNKNOWN"
    assert "refuses every connection" in flow["cause"]
    assert flow["lag"]["lag_records"] is None
    assert document["warnings"]


def test_an_unknown_flow_is_told_with_the_known_ones(stage: Stage) -> None:
    """A typo gets exit 10 and the names there are."""
    answer = run_cli("-c", str(stage.config), "status", "shpo")
    assert answer.returncode == 10
    assert "shop" in answer.stderr
