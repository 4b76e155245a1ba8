"""The pages of docs/snapshots: each command is run as it stands there, and does what the page says."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.cli.main import run
from replicator.clock import Deadline
from replicator.kafka import Outgoing
from replicator.model.names import TopicPartition
from tests.registry import StandIn, serve_registry

pytestmark = pytest.mark.lab

FOLDER = Path(__file__).parents[3] / "docs" / "snapshots"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
Say = Callable[..., tuple[int, Any]]


def commands_on(page: str) -> list[list[str]]:
    """The words of a page's commands, in order; blocks of another language are none."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    blocks = [block for language, block in _BLOCK.findall(text) if not language]
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line]


@pytest.fixture
def say(lab, desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> Say:
    """Run a page's command with this test's names; returns its status and what it printed as JSON."""
    config = tmp_path / "replicator.yaml"
    store = json.dumps({"store": str(desk.folder)})
    config.write_text(f"{lab.config_path.read_text()}\nsnapshots: {store}\n")
    monkeypatch.chdir(tmp_path)

    def spoken(words: list[str], names: Mapping[str, str]) -> tuple[int, Any]:
        said = ["=".join(names.get(part, part) for part in word.split("=")) for word in words]
        capsys.readouterr()
        status = run(["-c", str(config), "--no-input", "-o", "json", *said])
        out = capsys.readouterr()
        document = json.loads(out.out) if out.out else {}
        return status, document.get("item", document.get("items", out.err))

    return spoken


def test_schemas(lab, desk, names, say: Say, tmp_path: Path) -> None:
    """A snapshot holds what the registry beside east holds; the page's commands bring it to west's, ids and all."""
    topic = fill(desk, names, count=3)
    with serve_registry(StandIn()) as east, serve_registry(StandIn()) as west:
        east.put(f"{topic}-value", 41, '"string"')
        east.put(f"{topic}-value", 47, '"bytes"', version=4)
        with (tmp_path / "replicator.yaml").open("a") as config:
            config.write(f"\nregistries: {json.dumps({'east': {'url': east.url}, 'west': {'url': west.url}})}\n")
        assert say(["snapshot", "create", "--cluster", "east", "--topics", topic], {})[0] == 0
        shown = say(["snapshot", "show", "latest"], {})[1]
        assert shown["captured_beside"]["schemas"] == 2
        assert "schemas" not in [one["what"] for one in shown["not_captured"]]
        planned, restored = commands_on("schemas")
        status, plan = say(planned, {})
        assert (status, len(plan["steps"]), west.subjects) == (0, 2, {})
        status, done = say(restored, {})
        assert (status, done["registered"], done["moved"]) == (0, 2, [])
        assert west.told() == east.told()


def fill(desk, names, *, count: int) -> str:
    """A topic with numbered records on east."""
    topic = desk.make_topic(names.topic("orders"), partitions=1)
    desk.write([Outgoing(topic, b"k", b"%d" % n, partition=0) for n in range(count)])
    return topic


def test_someone_deleted_a_topic(desk, names, say: Say) -> None:
    """The topic is back with its group where it stood; the dry run changed nothing."""
    topic, group = fill(desk, names, count=50), names.group("billing")
    desk.cluster().groups.commit(group, {TopicPartition(topic, 0): 30}, Deadline.after(30))
    desk.create(topic)
    known = {"orders": topic, "billing": group}
    listed, planned, restored = commands_on("someone-deleted-a-topic")
    assert len(say(listed, known)[1]) == 1
    status, plan = say(planned, known)
    assert (status, plan["groups"][0]["offsets"]) == (0, {topic: {"0": 30}})
    assert topic not in desk.cluster("west").topics.names(Deadline.after(30))
    status, done = say(restored, known)
    assert (status, done["written_records"], done["groups"]) == (0, 50, [group])
    assert desk.read(topic, partitions=1, on="west") == desk.read(topic, partitions=1)


def test_bad_data_since_tuesday(desk, names, say: Say, tmp_path: Path) -> None:
    """The good state stands beside the topic and as a file; what came since is told; the snapshot is held."""
    topic = fill(desk, names, count=20)
    good = desk.create(topic)
    before = desk.read(topic, partitions=1)
    desk.write([Outgoing(topic, b"k", b"bad", partition=0)] * 5)
    desk.create(topic)
    known = {"GOOD": good.id, "orders": topic, "orders.good": names.topic("good")}
    listed, compared, restored, exported, kept = commands_on("bad-data-since-tuesday")
    assert len(say(listed, known)[1]) == 2
    (change,) = say(compared, known)[1]["topics"]
    assert (change["partitions"][0]["old_end"], change["partitions"][0]["new_end"]) == (20, 25)
    assert say(restored, known)[0] == 0
    assert desk.read(names.topic("good"), partitions=1, on="west") == before
    assert say(exported, known)[0] == 0
    lines = (tmp_path / "good-orders" / f"{topic}-0.jsonl").read_text().splitlines()
    assert [json.loads(line)["value"] for line in lines] == [str(n) for n in range(20)]
    assert say(kept, known)[0] == 0
    assert [row["hold"] for row in say(listed, known)[1]] == ["bad data since Tuesday", None]


def test_prove_last_quarters_backups(desk, names, say: Say) -> None:
    """Whole: all is well and remembered. Damaged: the check of bytes fails."""
    made = desk.create(fill(desk, names, count=20))
    checked, verified, drilled, sampled, planned, counted, locked = commands_on("prove-last-quarters-backups")
    assert (say(checked, {})[1]["is_ok"], say(verified, {})[1]["is_ok"]) == (True, True)
    status, proven = say(drilled, {})
    assert (status, proven["drill"]["records"], len(proven["drill"]["partitions"])) == (0, 20, 1)
    status, looked = say(sampled, {})
    assert (status, looked["sample_percent"], looked["statuses"]) == (0, 5.0, {"ok": 1})
    assert say(locked, {})[0] == 0
    status, plan = say(planned, {})
    assert (status, plan["is_done"], plan["forgotten"]) == (0, False, [])
    assert any("verified" in reason for reason in plan["decisions"][0]["reasons"])
    assert say(counted, {})[1]["snapshots"] == 1
    (pack,) = (desk.folder / "packs").glob("*/*")
    content = bytearray(pack.read_bytes())
    content[100] ^= 1
    pack.write_bytes(content)
    assert say(checked, {})[1]["is_ok"] is True
    status, found = say(verified, {})
    assert (status, found["is_ok"], found["snapshot"]) == (1, False, made.id)


def test_nobody_else_may_read_it(desk, names, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypted from a command on; proven without the key; one topic gone for ever; opened by another identity."""
    topic = fill(desk, names, count=20)
    known = {"orders": topic}
    here, away, began, created, proven, planned, shredded, rewrapped = commands_on("nobody-else-may-read-it")
    recipients = [say(one, known)[1]["recipient"] for one in (here, away)]
    signing = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    settings = {"SIGNING_KEY": "env:TEST_SIGNING_KEY", "ENCRYPTION__RECIPIENTS": json.dumps(recipients)}
    monkeypatch.setenv("TEST_SIGNING_KEY", signing.decode())
    for key, value in {**settings, "ENCRYPTION__IDENTITY": "file:identity.txt"}.items():
        monkeypatch.setenv(f"REPLICATOR_SNAPSHOTS__{key}", value)
    assert say(began, known)[1]["recipients"] == sorted(recipients)
    assert say(created, known)[0] == 0
    with monkeypatch.context() as keyless:
        keyless.delenv("REPLICATOR_SNAPSHOTS__ENCRYPTION__IDENTITY")
        assert say(proven, known)[1]["is_ok"] is True
        assert say([*proven[:-1], "3"], known)[0] == 12
    assert len(say(planned, known)[1]["keys"]) == 1
    assert say(shredded, known)[0] == 0
    status, found = say([*proven[:-1], "4"], known)
    assert (status, found["shredded_topics"], found["statuses"]) == (0, [topic], {"shredded": 1})
    monkeypatch.setenv("REPLICATOR_SNAPSHOTS__ENCRYPTION__IDENTITY", "file:away.txt")
    monkeypatch.setenv("REPLICATOR_SNAPSHOTS__ENCRYPTION__RECIPIENTS", json.dumps(recipients[1:]))
    assert say(rewrapped, known)[1]["recipients"] == recipients[1:]


def test_same_offsets(desk, names, say: Say) -> None:
    """The plan tells what it takes and changes nothing; then log start, records and group are where they were."""
    topic, group = fill(desk, names, count=50), names.group("billing")
    tp = TopicPartition(topic, 0)
    desk.cluster().positions.delete_records({tp: 20}, Deadline.after(30))
    desk.cluster().groups.commit(group, {tp: 30}, Deadline.after(30))
    desk.create(topic)
    known = {"orders": topic, "billing": group}
    planned, restored = commands_on("same-offsets")
    status, plan = say(planned, known)
    assert (status, plan["topics"][0]["exact"]["burned_offsets"]) == (0, 20)
    assert plan["groups"][0]["offsets"] == {topic: {"0": 30}}
    assert topic not in desk.cluster("west").topics.names(Deadline.after(30))
    status, done = say(restored, known)
    assert (status, done["written_records"], done["groups"]) == (0, 30, [group])
    ends = desk.raw("west").read_ends([tp], deadline=Deadline.after(30))[tp]
    assert (ends.log_start, ends.last_stable, ends.end) == (20, 50, 50)


def test_part_of_a_snapshot(desk, names, say: Say) -> None:
    """Under a prefix, up to an offset: planned, then done."""
    topic = fill(desk, names, count=50)
    desk.create(topic)
    known = {"orders": topic, "orders[0]": f"{topic}[0]"}
    planned, restored = commands_on("part-of-a-snapshot")
    (one,) = say(planned, known)[1]["topics"]
    assert (one["target"], one["stops"], one["records"]) == (f"restored.{topic}", {"0": 30}, 30)
    status, done = say(restored, known)
    assert (status, done["written_records"]) == (0, 30)
    assert desk.read(f"restored.{topic}", partitions=1, on="west") == [desk.read(topic, partitions=1)[0][:30]]


def test_settings_and_rules(desk, names, say: Say) -> None:
    """The plan shows the difference, and what was there stays."""
    topic = fill(desk, names, count=5)
    desk.create(topic)
    desk.make_topic(topic, partitions=1, on="west", retention_ms="86400000000")
    known = {"orders": topic}
    planned, restored = commands_on("settings-and-rules")
    (one,) = say(planned, known)[1]["topics"]
    assert one["drift"] == [{"key": "retention.ms", "captured": "-1", "there": "86400000000"}]
    assert say(restored, known)[0] == 0
    settings = desk.cluster("west").topics.configs([topic], Deadline.after(30))[topic]
    assert settings["retention.ms"].value == "86400000000"
    assert desk.read(topic, partitions=1, on="west") == desk.read(topic, partitions=1)


def test_every_page_is_run() -> None:
    """A new page needs a test of its own here."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert all(f'commands_on("{page.stem}")' in text for page in FOLDER.glob("*.md"))
