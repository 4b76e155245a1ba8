"""A failback with all that a difference may hold: orphans, compacted keys, and a topic that goes home whole.

What is true is known from the outside: what was written where. Both clusters are read to the record afterwards.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.lab import Lab
from tests.lab.failover.parted import FLOW, PLAIN, SINCE, TABLE, WHOLE, Scene, assert_ready, open_parted, wait_until
from tests.pages import said

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def scene(private_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Histories that have parted."""
    with open_parted(private_lab, tmp_path_factory.mktemp("whole")) as made:
        yield made


def test_a_rebuild_is_planned_with_bytes_and_time(scene: Scene) -> None:
    """What would be deleted and copied is told before anything is; a topic that nobody has is refused."""
    east = {topic: scene.rows("east", topic) for topic in (PLAIN, TABLE, WHOLE)}
    command = said("it-came-back", 3, flow=FLOW)
    planned = scene.run(*[WHOLE if word == "orders" else word for word in command], "-o", "json")
    assert planned.returncode == 0, planned.stderr
    steps = {step["step"]: step for step in json.loads(planned.stdout)["items"]}
    told = steps["seed_reverse"]["detail"]["says"]
    assert f"{WHOLE} (" in told
    assert "B)" in told
    assert "s at " in told
    assert {topic: scene.rows("east", topic) for topic in east} == east, "nothing was changed"
    refused = scene.run("failback", FLOW, "--dry-run", "--rebuild", "home.nobody")
    assert refused.returncode == 4
    assert "west does not hold it" in refused.stderr


def test_the_way_home_with_a_topic_made_anew(scene: Scene, tmp_path: Path) -> None:
    """The page's command, killed behind the deletion, run again without its last words, killed, and run once more: the
    topic is at home as west has it; the others lost nothing. A snapshot deleted meanwhile is taken anew.

    The table at home ends up as west's; the orphans, all of them and nothing else, are in the snapshot.
    """
    was = scene.topic_id("east", WHOLE)
    ahead_on_west = scene.ahead("west", WHOLE)
    orphaned = len(scene.rows("east", PLAIN))
    command = [WHOLE if word == "orders" else word for word in said("it-came-back", 4, flow=FLOW)]
    killed = scene.run(*command, crash_at="seed_reverse.before_topics")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    gone = scene.clusters["east"].topics.describe([WHOLE], Deadline.after(30))
    assert WHOLE not in gone, "it was deleted when the process died"
    (deleted,) = (scene.config.parent / "store" / "manifests").iterdir()
    deleted.unlink()
    killed = scene.run("failback", FLOW, "--confirm", FLOW, crash_at="seed_reverse.between_connectors")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    anew = scene.topic_id("east", WHOLE)
    assert anew != was, "it was made anew when the process died"
    ended = scene.run(*command, "-o", "json")
    assert ended.returncode == 0, ended.stderr
    report = json.loads(ended.stdout)["item"]
    assert report["state"] == "done"

    assert scene.topic_id("east", WHOLE) == anew, "and not once more"
    assert scene.values("east", WHOLE) == scene.values("west", WHOLE)
    assert "orphan-0" not in scene.values("east", WHOLE)
    assert scene.ahead("east", WHOLE)[-len(ahead_on_west) :] == ahead_on_west, "the group skips nothing"
    assert len(scene.rows("east", PLAIN)) == orphaned + SINCE, "of the other topic only the difference moved"
    assert scene.table("east") == scene.table("west") == {"kept": "loaded", "changed": "since", "new": "since"}

    orphans = report["orphans"]
    assert orphans["snapshot"] != deleted.name
    assert orphans["records"] == sum(len(values) for values in scene.orphans.values())
    folder = tmp_path / "orphans"
    assert_ready(scene.run("snapshot", "export", orphans["snapshot"], "--to", str(folder)))
    found = {
        path.name.rpartition(".orphans.")[0]: [json.loads(line)["value"] for line in path.read_text().splitlines()]
        for path in folder.glob("*.jsonl")
    }
    assert found == {str(topic): values for topic, values in scene.orphans.items()}

    scene.write("east", WHOLE, [(None, "afterwards")])
    wait_until(lambda: scene.values("west", WHOLE)[-1] == "afterwards", what="the standby follows again")
