"""README's part for people with their own clusters: its file, and each of its commands as it stands there, run
between secured clusters; what each is said to do is what it does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.http import HttpClient
from replicator.kafka import KafkaCluster, Outgoing
from replicator.lab import Lab, free_address
from replicator.model.acls import AclBinding
from replicator.model.cluster import Secret, TopicSpec
from replicator.model.names import GroupName, TopicName, TopicPartition

from .conftest import OPERATOR, Face, wait_until

ROOT = Path(__file__).parents[3]
TOPIC, GROUP = TopicName("shop.orders"), GroupName("shop.billing")
RECORDS = 30


def section() -> str:
    """Return README's part."""
    return (ROOT / "README.md").read_text().partition("## With your own two clusters\n")[2].partition("\n## ")[0]


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", section(), flags=re.DOTALL)


def commands() -> list[str]:
    """Return the command lines, in their order, without what is said about them."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert all(line.startswith("replicator ") for line in lines)
    return [line.partition("  #")[0].strip() for line in lines]


@pytest.fixture(scope="module")
def reader(secure_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A reader with two clusters who has copied README's file, and put addresses and folders of its own into it."""
    folder = tmp_path_factory.mktemp("reader")
    environ = {"REPLICATOR_TOKEN": OPERATOR, "TERM": "xterm-256color"}
    for cluster in ("east", "west"):
        for variable, principal in (("PASSWORD", "replicator"), ("MM2_PASSWORD", "mm2")):
            password = secure_lab.access(cluster, principal).security.password
            assert password is not None
            environ[f"{cluster.upper()}_{variable}"] = password.value
    text = blocks("yaml")[0]
    for theirs, ours in {
        "kafka.east.example.com:9093": secure_lab.east.bootstrap,
        "kafka.west.example.com:9093": secure_lab.west.bootstrap,
        "http://connect.west.example.com:8083": secure_lab.connect_url("west"),
        "/etc/replicator/secrets": str(secure_lab.folders.secrets / "mm2"),
        "127.0.0.1:9108": free_address(),
    }.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    (folder / "ca.pem").write_bytes((secure_lab.folders.secrets / "ca.pem").read_bytes())
    face = Face(secure_lab, folder, "shop", TOPIC, GROUP, {**os.environ, **environ})
    face.config.write_text(text)
    fill(secure_lab)
    try:
        yield face
    finally:
        if face.process is not None and face.process.poll() is None:
            face.process.kill()
            face.process.wait(timeout=30)
        face.run("flow", "stop", "shop", "--yes", status=None)


def fill(lab: Lab) -> None:
    """Put records on east, and let the group stand in the middle of them."""
    with KafkaCluster(lab.access("east", "app")) as east, closing(east.writer("test")) as writer:
        east.topics.create([TopicSpec(name=TOPIC, partitions=1)], Deadline.after(60))
        for number in range(RECORDS):
            writer.send(Outgoing(TOPIC, b"k", str(number).encode(), partition=0))
        writer.flush(Deadline.after(60))
        east.groups.commit(GROUP, {TopicPartition(TOPIC, 0): RECORDS // 2}, Deadline.after(60))


def run(reader: Face, line: str, *, status: int = 0) -> str:
    """Return what the command printed; it ended with `status`."""
    return reader.run(*line.split()[1:], status=status).stdout


def connectors(reader: Face) -> dict[str, str]:
    """Return the state of each of the flow's connectors, as Connect tells it."""
    with ConnectClient(reader.lab.connect_url("west")) as connect:
        found = connect.list(Deadline.after(30))
    return {
        name: one.status.state.value if one.status else "" for name, one in found.items() if name.startswith("shop.")
    }


def wait_running(reader: Face) -> None:
    """Return once both connectors run: in a rebalance one may be UNASSIGNED for a moment."""
    wanted = {"shop.source": "RUNNING", "shop.checkpoint": "RUNNING"}
    wait_until(lambda: connectors(reader) == wanted, what="both connectors RUNNING")


def validate(reader: Face, line: str) -> None:
    """It is valid; without one of its secrets it is not."""
    run(reader, line)
    assert "EAST_PASSWORD" in reader.run(*line.split()[1:], status=14, EAST_PASSWORD="").stderr


def show_rights(reader: Face, line: str) -> None:
    """Each line is a command for a cluster, for one of the two principals; the flow's topics are named by prefix."""
    printed = [one for one in run(reader, line).splitlines() if not one.startswith("#")]
    assert all(one.startswith("kafka-acls.sh --bootstrap-server ") for one in printed)
    assert {re.findall(r"User:\w+", one)[0] for one in printed} == {"User:mm2", "User:replicator"}
    assert any("--operation Read --topic shop. --resource-pattern-type prefixed" in one for one in printed)
    assert AclBinding.__name__ not in "".join(printed)


def init(reader: Face, line: str) -> None:
    """There is a repository where the file says."""
    run(reader, line)
    assert (reader.folder / "snapshots" / "repository.json").is_file()


def consult(reader: Face, line: str) -> None:
    """Nothing blocks and every right is there; that cluster ids are not configured is what it warns of."""
    run(reader, line, status=3)
    found = reader.answer("doctor", "--only-issues", status=3)["items"]
    assert {(one["check"], one["severity"]) for one in found} == {("config", "warning"), ("cluster-id", "warning")}


def plan(reader: Face, line: str) -> None:
    """It names what it would make, and makes nothing."""
    assert "shop.source" in run(reader, line)
    assert connectors(reader) == {}


def apply(reader: Face, line: str) -> None:
    """The connectors run; a second time there is nothing to do."""
    run(reader, line)
    wait_running(reader)
    assert reader.answer(*line.split()[1:])["items"][0]["changes"] == []


def keep_running(reader: Face, line: str) -> None:
    """It answers, and knows the lag."""
    assert line == "replicator run"
    reader.start()


def ask_status(reader: Face, line: str) -> None:
    """The live supervisor tells the flow's state."""
    assert "east → west" in run(reader, line)
    assert reader.answer("status")["item"]["is_standalone"] is False


def ask_lag(reader: Face, line: str) -> None:
    """The topic is there, without lag."""
    assert TOPIC in run(reader, line)
    assert reader.answer(*line.split()[1:])["items"][0]["lag_records"] == 0


def follow(reader: Face, line: str) -> None:
    """The first event comes, and the reader stays."""
    process = subprocess.Popen(reader.command(*line.split()[1:]), env=reader.environ, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert "supervisor" in process.stdout.readline()
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate(timeout=30)


def open_dashboard(reader: Face, line: str) -> None:
    """It draws the flow in a terminal of 80 by 24, and q leaves it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    argv = reader.command(*line.split()[1:])
    process = subprocess.Popen(argv, env=reader.environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = bytearray()

    def shows_flow() -> bool:
        with contextlib.suppress(OSError):  # the other end is closed: the dashboard has gone
            if select.select([ours], [], [], 0.1)[0]:
                seen.extend(os.read(ours, 65_536))
        return b"shop" in seen

    try:
        wait_until(shows_flow, what="the flow on the screen")
        os.write(ours, b"q")
        wait_until(lambda: shows_flow() and process.poll() is not None, what="its end")
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait(timeout=30)
        os.close(ours)


def translate(reader: Face, line: str) -> None:
    """The group's place on west is known to the record."""
    assert GROUP in line
    run(reader, line)
    (row,) = reader.answer(*line.split()[1:])["items"]
    assert (row["source_offset"], row["grade"]) == (RECORDS // 2, "EXACT")


def capture(reader: Face, line: str) -> None:
    """The snapshot holds what was produced, and is listed."""
    run(reader, line)
    assert [one["records"] for one in reader.answer("snapshot", "list")["items"]] == [RECORDS]


def rehearse(reader: Face, line: str) -> None:
    """It names the step that would stop it, since the source lives, and changes nothing."""
    assert "east is alive" in reader.run(*line.split()[1:], status=4).stderr
    wait_running(reader)


def refuse(reader: Face, line: str) -> None:
    """A living source is not failed over from: exit 4 or 9 as it got, and the flow still runs."""
    done = reader.run(*line.split()[1:], status=None)
    assert done.returncode in (4, 9), done.stderr
    assert "east is alive" in done.stderr
    wait_running(reader)


def list_operations(reader: Face, line: str) -> None:
    """The failover that was refused is told, not done."""
    run(reader, line)
    operations = reader.answer(*line.split()[1:])["items"]
    assert "done" not in {one["state"] for one in operations if one["flow"] == "shop"}


EFFECTS: Mapping[str, Callable[[Face, str], None]] = {
    "replicator config validate --secrets": validate,
    "replicator acl show --commands": show_rights,
    "replicator repo init": init,
    "replicator doctor": consult,
    "replicator plan": plan,
    "replicator apply": apply,
    "replicator run": keep_running,
    "replicator status": ask_status,
    "replicator lag --by topic": ask_lag,
    "replicator events --follow": follow,
    "replicator tui --allow-actions": open_dashboard,
    "replicator group translate shop.billing": translate,
    "replicator snapshot create --flow shop": capture,
    "replicator failover shop --dry-run": rehearse,
    "replicator failover shop --confirm shop": refuse,
    "replicator op list": list_operations,
}


def test_every_command_of_the_readme_has_its_effect(reader: Face) -> None:
    """In README's order, each command as it is written there does what it is said to do."""
    assert sorted(commands()) == sorted(EFFECTS), "README and this test name the same commands"
    for line in commands():
        EFFECTS[line](reader, line)


def test_the_alerts_of_the_readme_are_about_metrics_that_are_there(reader: Face) -> None:
    """README's Prometheus file leads to rules whose metrics the live supervisor serves, to who has a token; those of
    drills and schedules come with the first of them."""
    prometheus = YAML(typ="safe").load(blocks("yaml")[1])
    (rules,) = [(ROOT / name).read_text() for name in prometheus["rule_files"]]
    wanted = set(re.findall(r"\breplicator_[a-z_]+", rules))
    assert wanted
    assert prometheus["scrape_configs"][0]["static_configs"][0]["targets"] == ["127.0.0.1:9108"]
    listen = YAML(typ="safe").load(reader.config.read_text())["supervisor"]["listen"]
    with HttpClient(f"http://{listen}", timeout_seconds=30, token=Secret("env:T", OPERATOR)) as client:
        served = client.request("GET", "/metrics").text()
    offered = set(re.findall(r"^# TYPE (\w+) ", served, flags=re.MULTILINE))
    missing = {name for name in wanted if not any(name.startswith(one) or one.startswith(name) for one in offered)}
    later = {name for name in missing if name.startswith(("replicator_drill_", "replicator_schedule_"))}
    assert missing - later <= {"replicator_snapshot_last_verify_timestamp_seconds"}
    assert len(wanted - missing) > 8
