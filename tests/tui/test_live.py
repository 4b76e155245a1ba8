"""The dashboard over a live API in this process: what happens is seen, and a lost connection comes back."""

from __future__ import annotations

import asyncio
import gzip
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest

from replicator.api.app import create_app
from replicator.api.client import ApiClient
from replicator.api.schema import StatusView
from replicator.api.server import ApiServer, serve
from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import DataCorrupt, NotFound
from replicator.model.flow import FlowState
from replicator.model.forms.plain import to_json
from replicator.model.lag import FlowLag
from replicator.model.names import ClusterName, FlowName
from replicator.model.objectives import Objectives
from replicator.model.observations import Reachability
from replicator.model.supervision.overview import Answer, Overview, Readiness
from replicator.model.supervision.status import ClusterStatus, FlowStatus, Role, Status
from tui.dashboard import Dashboard
from tui.feeds import LiveFeed, Recorder, ReplayFeed
from tui.feeds.live import PAUSE_SECONDS_MAX, pause_seconds
from tui.feeds.recording import read_recording
from tui.picture import Contact
from tui.pictures import LiveShot, find_second, is_promoted, to_text
from tui.scenes import story
from tui.watching import every_part

FLOW = FlowName("orders")


def make_overview(state: FlowState = FlowState.HEALTHY, *, number: int = 0) -> Overview:
    """Return the overview of one flow in a state, `number` seconds from now."""
    now = SYSTEM_CLOCK.now() + timedelta(seconds=number)

    def cluster(name: str) -> ClusterStatus:
        return ClusterStatus(
            cluster=ClusterName(name),
            cluster_id=name,
            reachability=Reachability.REACHABLE,
            observed_at=now,
            last_reached_at=now,
            unreachable_since=None,
        )

    lag = FlowLag(
        flow=FLOW,
        lag_records=7,
        lag_seconds=0.5,
        rate_in=1.0,
        rate_out=1.0,
        eta_seconds=None,
        stalled_partitions=0,
        observed_at=now,
        topics=(),
    )
    flow = FlowStatus(
        flow=FLOW,
        source=cluster("east"),
        target=cluster("west"),
        role=Role.LEADER,
        state=state,
        cause=None,
        since=now,
        lag=lag,
        objectives=Objectives(),
        verdicts=(),
        window_seconds=0.1,
        connectors=(),
        connectors_observed_at=None,
        active=ClusterName("east"),
        groups_observed=None,
        groups_observed_at=None,
        heartbeat_sent_at=None,
        heartbeat_arrived_at=None,
        recorded_at=None,
    )
    status = Status(supervisor="main", version="0.1.0", started_at=now, computed_at=now, flows=(flow,))
    return Overview(status=status, readiness={FLOW: Readiness(flow=FLOW, answer=Answer.YES)})


class Source:
    """An overview that a test sets."""

    def __init__(self) -> None:
        self.now = make_overview()

    def overview(self) -> Overview:
        """Return what was set."""
        return self.now

    def set(self, state: FlowState) -> None:
        """Let the flow be in this state from now on."""
        started_at = self.now.status.started_at
        made = make_overview(state)
        self.now = replace(made, status=replace(made.status, started_at=started_at))


@pytest.fixture
def source() -> Source:
    """A source under the test's hand."""
    return Source()


@pytest.fixture
def server(source: Source) -> Iterator[ApiServer]:
    """A live API."""
    running = serve(create_app(source), "127.0.0.1:0")
    yield running
    running.stop(Deadline.after(5))


def wait_until(is_true: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Return once it is true; fail after a while."""
    deadline = Deadline.after(seconds)
    while not is_true():
        assert not deadline.is_over, "it never became true"
        SYSTEM_CLOCK.sleep(0.02)


def test_the_feed_follows_and_finds_back(server: ApiServer, source: Source) -> None:
    """A change is seen; when the server goes the last picture stays; when it is back at its address so is contact."""
    feed = LiveFeed(ApiClient(server.url), rng=random.Random(1))
    feed.start()
    try:
        wait_until(lambda: feed.picture.status is not None)
        source.set(FlowState.STALLED)
        wait_until(lambda: state_of(feed) == "STALLED")
        assert server.stop(Deadline.after(5))
        wait_until(lambda: feed.picture.contact is Contact.LOST)
        assert state_of(feed) == "STALLED"
        source.set(FlowState.HEALTHY)
        again = serve(create_app(source), f"127.0.0.1:{server.port}")
        try:
            wait_until(lambda: feed.picture.contact is Contact.CONNECTED and state_of(feed) == "HEALTHY")
            assert feed.picture.missed
        finally:
            again.stop(Deadline.after(5))
    finally:
        feed.close()


def state_of(feed: LiveFeed) -> str | None:
    """Return the flow's state as the feed knows it."""
    status = feed.picture.status
    return None if status is None else status.flows[0].state


def test_parts_are_fetched_while_they_are_wanted(server: ApiServer) -> None:
    """Lag comes when it is looked at; a part the supervisor does not have comes as the reason why not."""
    feed = LiveFeed(ApiClient(server.url))
    feed.start()
    try:
        feed.want(["lag:orders", "snapshots"])
        wait_until(
            lambda: feed.picture.lag("orders") is not None and feed.picture.part("snapshots").refusal is not None
        )
        assert feed.picture.snapshots() is None
        assert "catalog" in str(feed.picture.part("snapshots").refusal)
    finally:
        feed.close()


def test_the_dashboard_starts_without_a_supervisor(source: Source) -> None:
    """Where nobody answers the dashboard says so, takes keys, and shows all once the supervisor is there."""
    first = serve(create_app(source), "127.0.0.1:0")
    port = first.port
    first.stop(Deadline.after(5))

    async def play() -> None:
        dashboard = Dashboard(LiveFeed(ApiClient(f"http://127.0.0.1:{port}")))
        async with dashboard.run_test(size=(80, 24)) as pilot:
            await see(dashboard, pilot, "no contact")
            await pilot.press("2", "3", "1")
            running = serve(create_app(source), f"127.0.0.1:{port}")
            try:
                await pilot.press("r")
                await see(dashboard, pilot, "HEALTHY")
            finally:
                await asyncio.to_thread(running.stop, Deadline.after(5))
            await see(dashboard, pilot, "DISCONNECTED")
            assert "orders" in to_text(dashboard)

    asyncio.run(play())


async def see(dashboard: Dashboard, pilot: object, words: str) -> None:
    """Return once the words are on the screen."""
    deadline = Deadline.after(20)
    while words not in to_text(dashboard):
        assert not deadline.is_over, to_text(dashboard)
        await asyncio.sleep(0.05)


def test_a_recording_shows_the_same(server: ApiServer, source: Source, tmp_path: Path) -> None:
    """What was recorded plays back to the picture that was seen."""
    path = tmp_path / "seen.jsonl"
    feed = LiveFeed(ApiClient(server.url), recorder=Recorder.open(path))
    feed.start()
    feed.want(["lag:orders"])
    wait_until(lambda: feed.picture.lag("orders") is not None)
    source.set(FlowState.LAGGING)
    wait_until(lambda: state_of(feed) == "LAGGING")
    feed.close()
    seen = feed.picture
    replay = ReplayFeed(read_recording(path), from_seconds=3600)
    played = replay.picture
    assert played.status == seen.status
    assert played.events == seen.events
    assert played.lag("orders") == seen.lag("orders")
    with pytest.raises(NotFound):
        Recorder.open(path)


@pytest.mark.parametrize(
    "line", ["nonsense", "{}", '{"at": 1}', '{"at": "x", "kind": "status", "value": {}}', "[" * 9000]
)
def test_a_file_that_is_no_recording_is_refused(tmp_path: Path, line: str) -> None:
    """A line that is none of a recording is refused by its number."""
    path = tmp_path / "bad.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(DataCorrupt, match=":1: no line of a recording"):
        read_recording(path)


def test_a_packed_recording_reads_the_same(tmp_path: Path) -> None:
    """A gzipped recording is read as it was written; half of one is refused."""
    plain, packed, torn = tmp_path / "seen.jsonl", tmp_path / "seen.jsonl.gz", tmp_path / "torn.jsonl.gz"
    plain.write_text("".join(to_json({"at": m.at, "kind": m.kind, "value": m.value}) + "\n" for m in story()[:50]))
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    torn.write_bytes(packed.read_bytes()[:500])
    assert read_recording(packed) == read_recording(plain)
    with pytest.raises(DataCorrupt, match="no whole gzip file"):
        read_recording(torn)


def test_a_picture_is_taken_when_what_it_shows_is_there() -> None:
    """The second of a live picture is the first at which it shows what is meant; a recording without it is refused."""
    moments = story()
    second = find_second(LiveShot("promoted", is_promoted, 0.5), moments)
    assert is_promoted(ReplayFeed(moments, from_seconds=second).picture)
    assert not is_promoted(ReplayFeed(moments, from_seconds=second - 1).picture)
    with pytest.raises(NotFound, match="no moment for promoted"):
        find_second(LiveShot("promoted", is_promoted), moments[:10])


def test_everything_of_every_flow_is_watched() -> None:
    """Who records without a screen asks for every part of every flow, and for nothing before flows are known."""
    picture = ReplayFeed(story(), from_seconds=60).picture
    parts = every_part(picture.status)
    assert {f"groups:{FLOW}", f"lag:{FLOW}", f"history:{FLOW}:300", "snapshots", "schedules"} <= set(parts)
    assert every_part(None) == []


def test_a_recorder_writes_nothing_twice() -> None:
    """The same picture twice makes no line; a long story makes each status once."""
    stream = StringIO()
    recorder = Recorder(stream)
    picture = ReplayFeed(story(), from_seconds=60).picture
    recorder.note(picture, picture, at=1.0)
    assert stream.getvalue() == ""
    assert isinstance(picture.status, StatusView)


def test_pauses_grow_and_are_bounded() -> None:
    """Pauses between tries spread over a bound that doubles, up to 15 s, and the first is short."""
    rng = random.Random(7)
    assert pause_seconds(1, rng) <= 0.5
    for failures in range(2, 60):
        assert 0 <= pause_seconds(failures, rng) <= PAUSE_SECONDS_MAX
    assert max(pause_seconds(40, rng) for _ in range(200)) > 10


def test_the_supervisor_is_asked_before_the_screens_are_loaded() -> None:
    """What the command line calls loads the screens' library only when its question is on its way."""
    asked = "import sys, tui.app; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], timeout=60, check=False).returncode == 0
