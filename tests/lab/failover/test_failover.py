"""Failover of real flows after a real outage, each by fresh processes with an empty home, judged by the ledger."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from replicator.clock import Deadline
from replicator.journal import Journal, Observations, active_cluster
from replicator.model.names import FlowName, TopicPartition
from tests.pages import said

pytestmark = pytest.mark.lab

KILLS = (
    "survey.after_done",
    "stop_flow.after_intent",
    "fence_mm2.before_fact",
    "cut.before_loss",
    "translate.after_done",
    "commit.before_facts",
    "promote.before_fact",
    "verify.after_effect",
)


def failover(flow: str, *options: str) -> list[str]:
    """Return the command that fails a flow over."""
    return ["failover", flow, "--confirm", flow, *options]


def active(stage, flow: str) -> str | None:
    """Return the flow's active cluster as the journal on west tells it."""
    return active_cluster(Journal(stage.west).read(Deadline.after(20)), FlowName(flow))


def assert_no_skip(stage, flow: str) -> None:
    """Every record at or above a group's true place on east that west holds is ahead of the group on west."""
    ledger = stage.ledgers[flow]
    copies = stage.copies(flow)
    committed = stage.committed(flow)
    on_east = dict(ledger.acked)
    for name in ("head", "behind"):
        true_place = ledger.commits[name]
        for tp, records in copies.items():
            start = committed[ledger.group(name)][tp]
            ahead = {number for offset, number in records if offset >= start}
            due = {n for _, n in records if n in on_east and on_east[n][1] >= true_place.get(tp, 0)}
            assert due <= ahead, f"{name} skips {sorted(due - ahead)[:5]} of {tp}"


def rereads(stage, flow: str, name: str, observed: dict[TopicPartition, int]) -> int:
    """Count the records below the observed positions on east that the group would be handed again on west."""
    ledger = stage.ledgers[flow]
    committed = stage.committed(flow)[ledger.group(name)]
    count = 0
    for tp, records in stage.copies(flow).items():
        ahead = {number for offset, number in records if offset >= committed[tp]}
        count += sum(1 for n in ahead if n in ledger.acked and ledger.acked[n][1] < observed.get(tp, 0))
    return count


def test_a_rehearsal_changes_nothing(stage) -> None:
    """`--dry-run` lists every step with its finding; journal, groups and connectors stay as they are."""
    before = (stage.journal_end(), stage.committed("dry"), stage.connector_states("dry"))
    ended = stage.run(*said("the-active-is-gone", 1, flow="dry"), "-o", "json")
    assert ended.returncode == 0, ended.stderr
    items = json.loads(ended.stdout)["items"]
    assert [item["step"] for item in items][:3] == ["hold_lease", "survey", "fence_source"]
    assert {item["finding"] for item in items} == {"ready"}
    assert (stage.journal_end(), stage.committed("dry"), stage.connector_states("dry")) == before


def test_a_flow_hit_in_the_middle_of_traffic_fails_over(stage) -> None:
    """From the standby alone: groups resume without a skip, re-reads and loss are within what the report says."""
    ledger = stage.ledgers["live"]
    observed = Observations(stage.west).read(FlowName("live"), Deadline.after(20)).groups
    forecast = stage.answer(*said("the-active-is-gone", 0, flow="live"))
    assert forecast["is_ready"], forecast["gates"]
    report = stage.answer(*said("the-active-is-gone", 2, flow="live"))

    assert report["state"] == "done"
    assert report["is_past_promote"]
    assert active(stage, "live") == "west"
    stage.wait_stopped("live")
    assert_no_skip(stage, "live")
    for group in report["groups"]:
        name = group["group"].removeprefix("live.")
        assert group["outcome"] == "committed"
        assert group["grade"] in ("EXACT", "BOUNDED"), group
        counted = rereads(stage, "live", name, dict(observed[ledger.group(name)].committed))
        assert counted <= group["reread_records_max"], group

    on_west = {number for records in stage.copies("live").values() for _, number in records}
    true_loss = len(ledger.acked.keys() - on_west)
    loss = report["loss"]
    assert loss["known_lost"] <= true_loss <= loss["possible_lost_max"]
    foreseen = forecast["loss"]
    assert foreseen["known_lost"] == loss["known_lost"], "the forecast counts what the failover counts"
    assert true_loss <= foreseen["possible_lost_max"]
    costs = {group["group"]: group["reread_records_max"] for group in forecast["groups"]}
    assert costs == {group["group"]: group["reread_records_max"] for group in report["groups"]}
    assert loss["unknown_window_seconds"] is not None
    assert not {n for n in on_west if n >= ledger.sent}, "nothing on west that was never sent"
    assert {verdict["objective"]: verdict["is_held"] for verdict in report["verdicts"]}["rto_seconds"] is True
    assert 0 < report["rto_seconds"] < 120

    again = stage.run(*failover("live"))
    assert again.returncode == 4
    assert report["operation_id"] in again.stderr
    shown = said("the-active-is-gone", 4, flow="live", operation=report["operation_id"])
    assert stage.answer(*shown)["loss"] == loss


def test_killed_at_one_step_after_the_other_it_ends_the_same(stage) -> None:
    """Eight kills, each at another step, each followed by the same command: one operation, one end state."""
    foreseen = {}
    for kill in KILLS:
        ended = stage.run(*failover("killed"), crash_at=kill)
        assert ended.returncode == -signal.SIGKILL, f"{kill}: {ended.stderr}"
        if kill == "translate.after_done":
            foreseen = positions_journaled(stage, "killed")
        if kill == "commit.before_facts":
            assert stage.committed("killed") == foreseen
    report = stage.answer(*failover("killed"))

    assert report["state"] == "done"
    assert stage.committed("killed") == foreseen
    assert active(stage, "killed") == "west"
    assert_no_skip(stage, "killed")
    assert [entry["state"] for entry in stage.operations("killed")] == ["done"]
    on_west = {number for records in stage.copies("killed").values() for _, number in records}
    assert on_west == set(stage.ledgers["killed"].acked)
    assert report["loss"]["known_lost"] == 0
    intents = [r.step for r in records_of(stage, "killed") if r.phase == "intent"]
    assert intents.count("promote") >= 1
    assert [r.body["cluster"] for r in records_of(stage, "killed") if r.item == "active"] == ["west"]


def records_of(stage, flow: str):
    """Return the flow's records in the journal, its chain verified."""
    return [record for record in Journal(stage.west).read(Deadline.after(20)) if record.flow == flow]


def positions_journaled(stage, flow: str) -> dict[str, dict[TopicPartition, int]]:
    """Return where the journal says that each group is to stand."""
    found = {}
    for record in records_of(stage, flow):
        if record.step == "translate" and record.item is not None:
            rows = record.body["rows"]
            found[record.item.removeprefix("group:")] = {TopicPartition(row[2], row[3]): row[5] for row in rows}
    return found


def test_an_abort_before_promote_restores_the_start(stage) -> None:
    """Groups stand where they stood, also one that existed; connectors are asked to run again."""
    ledger = stage.ledgers["undone"]
    prior = {TopicPartition(ledger.topic, 0): 7}
    stage.west.groups.commit(ledger.group("behind"), prior, Deadline.after(20))
    start = stage.committed("undone")

    held = stage.run(*failover("undone", "--hold-before", "promote"))
    assert held.returncode == 9, held.stderr
    assert stage.committed("undone") != start
    stage.wait_stopped("undone")
    listed = stage.run(*said("i-pressed-the-wrong-button", 0, flow="undone"), "-o", "json")
    (operation,) = [entry for entry in json.loads(listed.stdout)["items"] if entry["flow"] == "undone"]
    assert (operation["state"], operation["is_past_promote"]) == ("halted", False)
    assert operation["id"] in held.stderr
    assert "op abort" in held.stderr

    assert stage.run("op", "abort", operation["id"], "--no-input").returncode == 6
    abort = said("i-pressed-the-wrong-button", 1, flow="undone", operation=operation["id"])
    report = stage.answer(*abort)
    assert report["state"] == "aborted"
    assert stage.committed("undone") == start
    assert not any(stage.stored_connectors()[name].is_stopped for name in stage.connector_states("undone"))
    assert active(stage, "undone") is None
    assert stage.run("op", "resume", operation["id"]).returncode == 4


def test_a_planned_move_whose_source_died_is_taken_over_by_a_failover(stage) -> None:
    """It cannot go on; the failover ends it by name, and moves every group."""
    flow = "planned"
    (planned,) = stage.operations(flow)
    assert (planned["kind"], planned["state"]) == ("switchover", "halted")
    assert stage.run("op", "resume", planned["id"]).returncode == 13, "nothing can be drained any more"
    held = stage.run(*failover(flow, "--hold-before", "promote"))
    assert held.returncode == 9, held.stderr
    states = {entry["kind"]: entry["state"] for entry in stage.operations(flow)}
    assert states == {"switchover": "aborted", "failover": "halted"}
    (taken,) = [entry["id"] for entry in stage.operations(flow) if entry["kind"] == "failover"]
    assert taken in [r.body.get("by") for r in records_of(stage, flow) if r.operation_id == planned["id"]]
    report = stage.answer(*failover(flow))
    assert report["state"] == "done"
    assert active(stage, flow) == "west"
    assert_no_skip(stage, flow)


def test_a_planned_move_whose_source_died_goes_back_as_far_as_the_standby_reaches(stage) -> None:
    """Groups stand where they stood, connectors are asked to run again; then the flow can be failed over."""
    flow = "recalled"
    (planned,) = stage.operations(flow)
    assert any(stage.committed(flow).values()), "the planned move had set its groups"
    stage.answer("op", "abort", planned["id"], "--yes")
    assert not any(stage.committed(flow).values())
    assert not any(stage.stored_connectors()[f"{flow}.{kind}"].is_stopped for kind in ("source", "checkpoint"))
    assert stage.answer(*failover(flow))["state"] == "done"
    assert_no_skip(stage, flow)


def test_a_loss_above_the_limit_stops_before_anything(stage) -> None:
    """The bound counts: exit 5, nothing of it is left, and the flow still runs."""
    flow = "limited"
    stopped = stage.run(*said("the-standby-was-behind", 0, flow=flow))
    assert stopped.returncode == 5, stopped.stderr
    assert "--accept loss" in stopped.stderr
    (operation,) = stage.operations(flow)
    assert (operation["state"], active(stage, flow)) == ("aborted", None)
    assert not any(stage.stored_connectors()[name].is_stopped for name in stage.connector_states(flow))
    assert {step["step"] for step in stage.answer("op", "show", operation["id"])["steps"]} <= {"hold_lease", "survey"}


def test_the_cut_is_held_to_the_limit_too(stage) -> None:
    """What was cut is above a limit set now: exit 5; accepted by name, the same operation goes on to its end."""
    flow = "limited"
    held = stage.run(*failover(flow, "--hold-before", "translate"))
    assert held.returncode == 9, held.stderr
    stopped = stage.run(*said("the-standby-was-behind", 0, flow=flow))
    assert stopped.returncode == 5, stopped.stderr
    assert active(stage, flow) is None
    (operation,) = [one for one in stage.operations(flow) if one["state"] == "halted"]
    report = stage.answer(*said("the-standby-was-behind", 1, flow=flow))
    assert (report["operation_id"], report["state"]) == (operation["id"], "done")
    assert (report["accepted"], report["loss_max"]) == (["loss"], 0)
    assert_no_skip(stage, flow)


def test_without_observations_no_group_is_guessed(stage) -> None:
    """Refused until stale groups are accepted by name; then every group is FLOOR or UNAVAILABLE."""
    flow = FlowName("blind")
    observations = Observations(stage.west)
    seen = observations.read(flow, Deadline.after(20))
    everything = [*seen.clusters.values(), *seen.topics.values(), *seen.groups.values(), *seen.translations.values()]
    observations.forget(flow, everything, Deadline.after(20))
    observations.close()

    refused = stage.run(*failover(flow))
    assert refused.returncode == 4, refused.stderr
    assert "--accept stale-groups" in refused.stderr
    assert [entry["state"] for entry in stage.operations(flow)] == ["aborted"]

    report = stage.answer(*failover(flow, "--accept", "stale-groups"))
    assert {group["grade"] for group in report["groups"]} <= {"FLOOR", "UNAVAILABLE"}
    assert (report["loss"]["unknown_window_seconds"], report["loss"]["possible_lost_max"]) == (None, None)
    starts = stage.west.positions.ends(stage.ledgers[flow].partitions, Deadline.after(20))
    for group in report["groups"]:
        stands = stage.committed(flow)[group["group"]]
        assert stands == {tp: ends.log_start for tp, ends in starts.items()}


@pytest.fixture
def no_worker(stage) -> Iterator[None]:
    """Connect beside west is dead."""
    stage.lab.kill("west/connect")
    yield
    stage.lab.start("west/connect", wait=Deadline.after(90))


@pytest.mark.usefixtures("no_worker")
def test_with_connect_dead_mm2_is_fenced_through_kafka_alone(stage) -> None:
    """The failover goes on, and the report says that the fence holds until a worker starts: exit 3."""
    report = stage.answer(*failover("deaf"), status=3)
    assert report["state"] == "done_with_exceptions"
    assert "Connect did not answer" in report["fence"]["mm2"]
    assert "2 transactional ids" in report["fence"]["mm2"]
    assert any("Connect does not answer" in told for told in report["exceptions"])
    assert_no_skip(stage, "deaf")
    assert active(stage, "deaf") == "west"


def test_a_live_operation_is_named_and_not_disturbed(stage) -> None:
    """A second command while one works ends with 11 and its id; the first goes on; Ctrl-C leaves it resumable."""
    flow = "watched"
    first = subprocess.Popen(
        stage.command(*failover(flow)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=stage.environment(REPLICATOR_PAUSE_AT="commit.after_intent"),
    )
    try:
        assert first.stderr is not None
        operation_id = first.stderr.readline().removeprefix("operation: ").strip()
        wait_for_record(stage, operation_id, step="commit")
        second = stage.run(*said("two-operators", 0, flow=flow), "-o", "json")
        assert second.returncode == 11, second.stderr
        assert json.loads(second.stderr.splitlines()[-1])["operation_id"] == operation_id
        listed = stage.run(*said("two-operators", 1, flow=flow), "-o", "json")
        (live,) = [entry for entry in json.loads(listed.stdout)["items"] if entry["id"] == operation_id]
        assert (live["state"], live["is_live"]) == ("running", True)
        assert stage.run(*failover("deaf")).returncode in (4, 11)
        first.send_signal(signal.SIGINT)
        assert first.wait(timeout=30) == 130
    finally:
        first.kill()
        first.wait(timeout=10)
    (halted,) = [entry for entry in stage.operations(flow) if entry["id"] == operation_id]
    assert (halted["state"], halted["is_live"]) == ("halted", False)
    resumed = stage.answer(*said("two-operators", 2, flow=flow, operation=operation_id))
    assert resumed["state"] == "done"
    assert_no_skip(stage, flow)


def wait_for_record(stage, operation_id: str, *, step: str) -> None:
    """Return once the journal holds a record of the operation's step."""
    deadline = Deadline.after(60)
    while not any(r.operation_id == operation_id and r.step == step for r in Journal(stage.west).read(deadline)):
        deadline.check(f"a record of {step}")
        time.sleep(0.1)
