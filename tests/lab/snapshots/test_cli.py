"""The snapshot verbs as people type them: data on stdout, exit codes by outcome, nothing half-done."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replicator.cli.main import run
from replicator.kafka import Outgoing
from replicator.snapshot.repository.packs import pack_key
from replicator.wire.appending import Appender

pytestmark = pytest.mark.lab

Call = Callable[..., tuple[int, Any]]


@pytest.fixture
def call(lab, desk, capsys) -> Call:
    """Run one command against the desk's repository; return its status and its JSON item(s)."""

    def call_verb(*words: str, is_plain: bool = False) -> tuple[int, Any]:
        store = () if words[0] == "repo" else ("--store", str(desk.folder))
        shape = () if is_plain else ("-o", "json")
        status = run(["-c", str(lab.config_path), *words, *store, *shape, "--no-input"])
        out = capsys.readouterr()
        if is_plain or not out.out:
            return status, f"{out.out}{out.err}"
        document = json.loads(out.out)
        assert document["apiVersion"] == "replicator/v1"
        return status, document.get("item", document.get("items"))

    return call_verb


def test_the_whole_way(desk, names, call: Call) -> None:
    """create, list, show, verify, plan and restore: each says what the next one needs."""
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"%d" % n, b"v%d" % n, partition=n % 2) for n in range(100)])
    status, made = call("snapshot", "create", "--cluster", "east", "--topics", topic, "--tag", "nightly")
    assert (status, made["records"], made["tags"], made["missing_count"]) == (0, 100, ["nightly"], 0)
    status, listed = call("snapshot", "list")
    assert (status, [row["id"] for row in listed]) == (0, [made["id"]])
    status, shown = call("snapshot", "show", made["id"][:12])
    assert (status, shown["id"], [row["name"] for row in shown["topics"]]) == (0, made["id"], [topic])
    assert shown["consistency"]["level"] == "transaction_atomic"
    assert [one["level"] for one in shown["consistency"]["evidence"] if not one["is_held"]] == ["quiescent"]
    status, verified = call("snapshot", "verify", "latest", "--level", "3")
    assert (status, verified["is_ok"], verified["chunks"]) == (0, True, 2)
    target = names.topic("back")
    restore = ("snapshot", "restore", "latest", "--target", "west", "--topics", topic, "--rename", f"{topic}={target}")
    status, plan = call(*restore, "--dry-run")
    assert (status, plan["topics"][0]["action"], plan["topics"][0]["target"]) == (0, "create", target)
    status, text = call(*restore)
    assert (status, target in desk.cluster("west").topics.names(_soon())) == (6, False), text
    status, done = call(*restore, "--yes")
    assert (status, done["written_records"]) == (0, 100)
    assert desk.read(target, on="west") == desk.read(topic)
    status, again = call(*restore, "--yes")
    assert (status, again["written_records"], again["records"]) == (0, 0, 100)


def _soon():
    from replicator.clock import Deadline

    return Deadline.after(30)


def test_offsets_names_and_parts_as_typed(desk, names, call: Call) -> None:
    """Exact offsets, a prefix, one partition up to an offset: planned, told to people, done; a limit refuses."""
    from replicator.model.names import TopicPartition

    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"%d" % n, b"v%d" % n, partition=n % 2) for n in range(100)])
    desk.cluster().positions.delete_records({TopicPartition(topic, 1): 7}, _soon())
    call("snapshot", "create", "--cluster", "east", "--topics", topic)
    target = f"old.{topic}"
    words = ("snapshot", "restore", "latest", "--target", "west", "--topics", topic, "--prefix", "old.")
    words += ("--partitions", "1", "--stop", f"{topic}[1]=20", "--offsets", "exact")
    status, plan = call(*words, "--dry-run")
    (one,) = plan["topics"]
    assert (status, plan["offsets"], one["target"], one["records"]) == (0, "exact", target, 13)
    assert one["stops"] == {"0": -1, "1": 20}
    assert (one["exact"]["burned_offsets"], one["exact"]["holes"]) == (7, 0)
    status, text = call(*words, "--dry-run", is_plain=True)
    assert status == 0
    assert all(word in text for word in ("EXACT OFFSETS OF", "STOPS BEFORE OFFSET", "left out")), text
    assert "a transaction may be restored in part" in text
    status, done = call(*words, "--yes")
    assert (status, done["written_records"], done["filled_offsets"]) == (0, 13, 7)
    parts = [TopicPartition(target, number) for number in (0, 1)]
    ends = desk.raw("west").read_ends(parts, deadline=_soon())
    assert [(ends[tp].log_start, ends[tp].end) for tp in parts] == [(0, 0), (7, 20)]
    status, text = call(*words[:-2], "--until", "yesterday", is_plain=True)
    assert (status, "--until" in text) == (2, True)


def test_damage_is_told_with_its_place(desk, names, call: Call) -> None:
    """verify and restore of a damaged snapshot fail, name the chunk, and restore makes nothing of it."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write([Outgoing(topic, b"k", b"v" * 100, partition=0)] * 20)
    _status, made = call("snapshot", "create", "--cluster", "east", "--topics", topic)
    chunk = desk.repository.read_manifest(made["id"]).topics[0].partitions[0].chunks[0]
    pack = desk.folder / pack_key(chunk.pack)
    content = bytearray(pack.read_bytes())
    content[10] ^= 1
    pack.write_bytes(content)
    status, verified = call("snapshot", "verify", "latest")
    assert (status, verified["is_ok"], len(verified["findings"])) == (1, False, 1)
    assert f"{topic}[0]" in verified["findings"][0]["where"]
    status, _nothing = call("snapshot", "restore", "latest", "--target", "west", "--rename", f"{topic}=x", "--yes")
    assert status == 1


def test_gaps_make_the_outcome_partial(desk, names, call: Call, monkeypatch) -> None:
    """A snapshot with a gap is there, and the command says with status 3 that it does not hold everything."""
    from replicator.clock import Deadline
    from replicator.model.names import TopicPartition
    from replicator.snapshot.capture import create

    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write([Outgoing(topic, b"k", b"v", partition=0)] * 20)
    real = create.plan_copying

    def delete_then_plan(survey, bases):
        desk.cluster().positions.delete_records({TopicPartition(topic, 0): 5}, Deadline.after(30))
        return real(survey, bases)

    monkeypatch.setattr(create, "plan_copying", delete_then_plan)
    status, made = call("snapshot", "create", "--cluster", "east", "--topics", topic)
    assert (status, made["gap_count"]) == (3, 1)


def test_show_tells_what_is_in_it_beside_records_and_what_is_not(desk, names, call: Call) -> None:
    """Counts of what was captured beside records; everything else with its reason, for programs and for people."""
    topic = desk.make_topic(names.topic("t"), segment_bytes="7654321")
    desk.write([Outgoing(topic, b"k", b"v", partition=0)])
    call("snapshot", "create", "--cluster", "east", "--topics", topic)
    status, shown = call("snapshot", "show", "latest")
    assert status == 0
    assert shown["captured_beside"]["configs"] == 1
    assert {"groups", "quotas", "scram_users"} <= shown["captured_beside"].keys()
    reasons = {one["what"]: one["reason"] for one in shown["not_captured"]}
    assert reasons["acls"].startswith("not kept by this cluster")
    assert reasons["scram_secrets"].startswith("not told by Kafka")
    _status, text = call("snapshot", "show", "latest", is_plain=True)
    assert "NOT CAPTURED" in text
    assert "delegation_tokens" in text


def test_a_limited_snapshot_takes_its_time(desk, names, call: Call) -> None:
    """Reading with --limit-rate is never faster than that; a rate that is too low is refused."""
    topic, rng = desk.make_topic(names.topic("t")), random.Random(3)
    desk.write([Outgoing(topic, b"%d" % n, rng.randbytes(1000), partition=n % 2) for n in range(300)])
    create = ("snapshot", "create", "--cluster", "east", "--topics", topic)
    status, made = call(*create, "--limit-rate", "131072")
    assert (status, made["records"]) == (0, 300)
    assert made["seconds"] >= made["bytes"] / 131072 > 2
    status, text = call(*create, "--limit-rate", "1000")
    assert (status, "65536" in text) == (2, True), text


REFUSALS = [
    (("snapshot", "show", "latest"), 10, "no snapshot yet"),
    (("snapshot", "create", "--cluster", "nowhere"), 10, "nowhere"),
    (("snapshot", "create", "--cluster", "east", "--topics", "no-such-topic"), 10, "no topic matches"),
    (("snapshot", "create", "--flow", "f", "--cluster", "east"), 2, "exclude each other"),
    (("snapshot", "create"), 2, "which cluster"),
    (("snapshot", "restore", "latest", "--target", "west", "--rename", "nonsense"), 2, "OLD=NEW"),
    (("snapshot", "verify", "latest", "--level", "9"), 2, "9"),
]


@pytest.mark.parametrize(("words", "status", "says"), REFUSALS, ids=[" ".join(case[0][1:]) for case in REFUSALS])
def test_bad_input_gets_one_line_and_its_code(call: Call, words: tuple[str, ...], status: int, says: str) -> None:
    """Each mistake has its exit code and says which object is meant."""
    found, text = call(*words, is_plain=True)
    assert (found, says in text) == (status, True), text
    assert "Traceback" not in text


def test_store_that_is_no_repository(call: Call, lab, tmp_path: Path, capsys) -> None:
    """A folder that is no repository is named, with the command that makes one; init makes it once."""
    empty = tmp_path / "empty"
    status = run(["-c", str(lab.config_path), "snapshot", "list", "--store", str(empty)])
    text = capsys.readouterr().err
    assert (status, f"replicator repo init file://{empty}" in text) == (10, True)
    status, made = call("repo", "init", str(empty))
    assert (status, made["is_new"]) == (0, True)
    status, again = call("repo", "init", str(empty))
    assert (status, again["is_new"], again["id"]) == (0, False, made["id"])


def test_unreachable_cluster_is_told_soon(desk, lab, tmp_path: Path, capsys) -> None:
    """A cluster that does not answer ends in 13 within the timeout, and no snapshot is published."""
    path = tmp_path / "dead.yaml"
    path.write_text(lab.config_path.read_text().replace(lab.east.bootstrap, "127.0.0.1:9"))
    words = ["snapshot", "create", "--cluster", "east", "--store", str(desk.folder), "--timeout", "3s"]
    assert run(["-c", str(path), *words]) == 13
    assert "east" in capsys.readouterr().err
    assert desk.repository.list_ids() == []


def test_ctrl_c_in_a_restore_says_how_to_go_on(desk, names, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends with 130 and the way on; the same command again brings the rest, and nothing twice."""
    topic, target = desk.make_topic(names.topic("t")), names.topic("back")
    for turn in range(6):
        desk.write([Outgoing(topic, b"k", b"%d" % turn, partition=n) for n in range(2)])
    made = desk.create(topic)
    words = ("snapshot", "restore", made.id, "--target", "west", "--rename", f"{topic}={target}", "--yes")
    append, appended = Appender.append, 0

    def interrupt(appender: Appender, *rest, **more) -> None:
        nonlocal appended
        appended += 1
        if appended == 5:
            raise KeyboardInterrupt
        append(appender, *rest, **more)

    monkeypatch.setattr(Appender, "append", interrupt)
    status, told = call(*words, is_plain=True)
    assert (status, appended) == (130, 5)
    assert "error: interrupted" in told
    assert "hint: the same command again goes on where it stopped" in told
    assert target in desk.cluster("west").topics.names(_soon())
    monkeypatch.setattr(Appender, "append", append)
    status, done = call(*words)
    assert (status, done["records"]) == (0, 12)
    assert desk.read(target, on="west") == desk.read(topic)


def test_a_store_that_cannot_be_written_is_told(desk, names, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only file system refuses a capture at once and in plain words; what is in it can be looked at."""
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"k", b"v", partition=0)])
    desk.create(topic)
    opened = os.open

    def refuse(path, flags: int, *rest, **more) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(str(desk.folder)):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", refuse)
    status, told = call("snapshot", "create", "--cluster", "east", "--topics", topic, is_plain=True)
    assert status == 12
    assert "Read-only file system" in told
    assert "Traceback" not in told
    assert call("snapshot", "list")[0] == 0
    assert call("snapshot", "verify", "latest", "--level", "2")[0] == 0
