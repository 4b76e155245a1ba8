"""Groups move to the standby and read on there: nothing skipped, nothing read twice beyond what was said.

The tests run in order: the last ones kill the source.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from replicator.cli.context import App
from replicator.cli.main import run
from replicator.clock import Deadline
from replicator.errors import PreflightBlocked
from replicator.journal import Observations
from replicator.jvm import JvmCommand, kafka_classpath, run_to_end
from replicator.lab import Lab
from replicator.model.names import GroupName, TopicPartition
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import commit_group, with_proofs
from tests.lab.offsets.conftest import BEHIND, BOOKED, PLAIN, PLANES, TOPICS, Ledger, id_of

pytestmark = pytest.mark.lab
Captured = pytest.CaptureFixture[str]


def read_on(ledger: Ledger, group: GroupName) -> dict[TopicPartition, list[str]]:
    """Return the ids a member of the group is handed on west, up to the end, by partition."""
    handed: dict[TopicPartition, list[str]] = {TopicPartition(topic, 0): [] for topic in TOPICS}
    last = {tp: ledger.visible_on_west(tp)[-1].offset for tp in handed}
    standing = ledger.west.groups.committed([group], Deadline.after(30))[group].committed
    open_partitions = {tp for tp in handed if standing[tp] <= last[tp]}
    deadline = Deadline.after(60)
    with ledger.west.subscribe(group, TOPICS, start="error") as member:
        records = member.wait_for_assignment(deadline)
        while True:
            for record in records:
                handed[record.partition].append(id_of(record))
                if record.offset >= last[record.partition]:
                    open_partitions.discard(record.partition)
            if not open_partitions:
                return handed
            deadline.check(f"{group} was not handed everything of {open_partitions}")
            records = member.poll(timeout_seconds=0.2)


def judge(ledger: Ledger, answer: Translation, handed: list[str]) -> tuple[int, int]:
    """Return (skipped, read twice) of one partition, against the ledger alone."""
    wanted = {
        id_of(record)
        for record in ledger.visible_on_west(answer.target_partition)
        if ledger.source_offset.get(id_of(record), -1) >= answer.source_offset
    }
    again = [one for one in handed if ledger.source_offset.get(one, -1) < answer.source_offset]
    return len(wanted - set(handed)), len(again) + len(handed) - len(set(handed))


def move_and_judge(ledger: Ledger, answers: dict[GroupName, GroupTranslation]) -> list[tuple[Translation, int]]:
    """Commit every group on west, read on there, and return each translation with its true re-reads."""
    judged = []
    for group, moved in answers.items():
        commit_group(ledger.west, moved, Deadline.after(30))
        handed = read_on(ledger, group)
        for answer in moved.translations:
            skipped, again = judge(ledger, answer, handed[answer.target_partition])
            assert skipped == 0, answer
            assert answer.reread_records_max is not None
            assert again <= answer.reread_records_max, answer
            judged.append((answer, again))
    return judged


def asked(capsys: Captured, ledger: Ledger, *argv: str, status: int = 0) -> dict[str, Any]:
    """Return the JSON a group verb prints."""
    code = run(["-c", str(ledger.config_path), "group", *argv, "-o", "json"], app=App(environ={}))
    captured = capsys.readouterr()
    assert code == status, captured.err
    return json.loads(captured.out) if captured.out else {}


def test_the_stream_has_what_makes_offsets_run_apart(ledger: Ledger) -> None:
    """Markers on the target, aborted data and compaction holes on the source are really there."""
    ends = ledger.west.positions.ends([TopicPartition(t, 0) for t in TOPICS], Deadline.after(30))
    plain = TopicPartition(PLAIN, 0)
    assert ends[plain].end > len(ledger.visible_on_west(plain))
    booked = ledger.east.positions.ends([TopicPartition(BOOKED, 0)], Deadline.after(30))[TopicPartition(BOOKED, 0)]
    assert booked.end > len(ledger.visible_on_west(TopicPartition(BOOKED, 0)))
    assert len(ledger.visible_on_west(TopicPartition(PLANES, 0))) < ends[TopicPartition(PLANES, 0)].end


def test_groups_move_with_the_source_alive(ledger: Ledger) -> None:
    """On topics that keep their records every position is EXACT; on the compacted one each bound holds."""
    judged = move_and_judge(ledger, ledger.translate(ledger.observe(), is_source_alive=True))
    assert len(judged) == len(BEHIND) * len(TOPICS)
    kept = [answer for answer, _ in judged if answer.partition.topic != PLANES]
    assert [a for a in kept if a.grade is not Grade.EXACT] == []
    assert all(again == 0 for answer, again in judged if answer.grade is Grade.EXACT)


def test_a_commit_is_idempotent_and_never_touches_an_active_group(ledger: Ledger) -> None:
    """Writing the same positions again writes nothing; a group with members on west is refused."""
    group = ledger.group("ten")
    answer = ledger.translate(ledger.observe(), is_source_alive=True)[group]
    commit_group(ledger.west, answer, Deadline.after(30))
    assert commit_group(ledger.west, answer, Deadline.after(30)) == {}
    ledger.west.groups.commit(group, {TopicPartition(PLAIN, 0): 0}, Deadline.after(30))
    with ledger.west.subscribe(group, TOPICS) as member:
        member.wait_for_assignment(Deadline.after(30))
        with pytest.raises(PreflightBlocked):
            commit_group(ledger.west, answer, Deadline.after(30))
    assert ledger.west.groups.committed([group], Deadline.after(30))[group].committed[TopicPartition(PLAIN, 0)] == 0


def test_the_verbs_tell_grade_bound_and_age(ledger: Ledger, capsys: Captured) -> None:
    """list, show, translate, explain and compare answer from the live source."""
    rows = {row["group"]: row for row in asked(capsys, ledger, "list")["items"]}
    assert set(rows) == set(ledger.committed)
    assert all(row["known_from"] == "source" and row["age_seconds"] < 60 for row in rows.values())
    group = str(ledger.group("hundred"))
    assert asked(capsys, ledger, "show", group)["items"][0]["partitions"] == len(TOPICS)
    for verb in ("translate", "explain", "compare"):
        answers = asked(capsys, ledger, verb, group)["items"]
        assert {a["topic"] for a in answers} == set(TOPICS)
        assert all(a["rule"] and a["because"] and a["grade"] in list(Grade) for a in answers)


def test_sync_moves_a_group_and_reads_back(ledger: Ledger, capsys: Captured) -> None:
    """After `group sync` the group stands on west where `compare` says it should."""
    group = str(ledger.group("one"))
    assert asked(capsys, ledger, "sync", group, "--yes")["items"][0]["outcome"] == "done"
    assert {row["ahead_offsets"] for row in asked(capsys, ledger, "compare", group)["items"]} == {0}
    assert asked(capsys, ledger, "sync", group, "--yes")["items"][0]["written"] == 0


def test_kafkas_own_tool_takes_the_export(ledger: Ledger, tmp_path: Path, capsys: Captured) -> None:
    """`group export` is a file that kafka-consumer-groups --from-file carries out: the group stands where we say."""
    group = ledger.group("thousand")
    assert run(["-c", str(ledger.config_path), "group", "export", group], app=App(environ={})) == 0
    told = capsys.readouterr().out
    meant = {row["topic"]: row["offset"] for row in asked(capsys, ledger, "export", group)["items"]}
    (tmp_path / "positions.csv").write_text(told, encoding="utf-8")
    ledger.west.groups.delete([group], Deadline.after(30))
    tool = JvmCommand(
        name="kafka-consumer-groups",
        main_class="org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        arguments=(
            *("--bootstrap-server", ledger.west.access.bootstrap, "--group", group),
            *("--reset-offsets", "--from-file", str(tmp_path / "positions.csv"), "--execute"),
        ),
        flags=("-Xmx128m",),
        classpath=kafka_classpath(),
        log_file=tmp_path / "tool.log",
    )
    run_to_end(tool, Deadline.after(120))
    stands = ledger.west.groups.committed([group], Deadline.after(30))[group].committed
    assert {tp.topic: at for tp, at in stands.items()} == meant, (tmp_path / "tool.log").read_text(encoding="utf-8")
    assert set(meant) == set(TOPICS)


def test_what_cannot_be_meant_is_refused(ledger: Ledger, capsys: Captured) -> None:
    """An unknown group exits 10, no yes exits 6, neither group nor --all exits 2, an active group 4."""
    asked(capsys, ledger, "translate", "nobody", status=10)
    asked(capsys, ledger, "sync", str(ledger.group("one")), status=6)
    asked(capsys, ledger, "sync", "--yes", status=2)
    group = ledger.group("ten")
    with ledger.west.subscribe(group, TOPICS) as member:
        member.wait_for_assignment(Deadline.after(30))
        asked(capsys, ledger, "sync", group, "--yes", status=4)
        rows = asked(capsys, ledger, "sync", "--all", "--yes", status=3)["items"]
        assert [row["group"] for row in rows if row["outcome"] != "done"] == [group]


def test_groups_move_with_the_source_dead(ledger: Ledger, private_lab: Lab, capsys: Captured) -> None:
    """From west alone: nothing skipped, EXACT costs nothing, every bound holds, and the verbs say where from."""
    seen = ledger.observe()
    observations = Observations(ledger.west)
    observations.ensure_topic(Deadline.after(30))
    proven = ledger.translate(seen, is_source_alive=True)
    observations.write(ledger.flow.name, [*seen, *proven.values()], Deadline.after(30))
    observations.close()
    private_lab.kill("east")
    alone = ledger.translate(seen, is_source_alive=False)
    judged = move_and_judge(ledger, alone)
    assert len(judged) == len(BEHIND) * len(TOPICS)
    assert [a for a, _ in judged if a.partition.topic == PLAIN and a.grade is not Grade.EXACT] == []
    told = asked(capsys, ledger, "list")
    assert {row["known_from"] for row in told["items"]} == {"observations"}
    assert "does not answer" in told["warnings"][0]


def test_what_was_proven_answers_for_a_dead_source(ledger: Ledger) -> None:
    """The proofs kept on west make every position of the topics that keep their records EXACT, and hold."""
    seen = ledger.observe_from_west()
    alone = ledger.translate(seen, is_source_alive=False)
    kept = Observations(ledger.west).read(ledger.flow.name, Deadline.after(30)).translations
    proven = {group: with_proofs(answer, kept.get(group)) for group, answer in alone.items()}
    judged = move_and_judge(ledger, proven)
    assert [a for a, _ in judged if a.partition.topic != PLANES and a.grade is not Grade.EXACT] == []
    assert all(again == 0 for answer, again in judged if answer.grade is Grade.EXACT)
