"""Pictures of a live supervisor: one thread follows its events, another fetches the parts that are looked at."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from replicator.api.client import ApiClient
from replicator.api.schema import ActRequest, EventView, OperationView, SessionView
from replicator.clock import SYSTEM_CLOCK, Clock
from replicator.errors import AccessDenied, ReplicatorError
from tui.feeds.recording import Recorder
from tui.picture import Contact, Part, Picture, with_contact, with_part, with_told

PAUSE_SECONDS_MIN = 0.5
PAUSE_SECONDS_MAX = 15.0
PART_PERIOD_SECONDS: Mapping[str, float] = {
    "group": 5.0,
    "groups": 5.0,
    "lag": 2.0,
    "history": 5.0,
    "snapshots": 10.0,
    "schedules": 10.0,
    "alerts": 5.0,
    "runbooks": 60.0,
}
CLOSE_SECONDS_MAX = 2.0


class LiveFeed:
    """Follows one supervisor, for ever: a lost connection is tried again with growing, jittered pauses."""

    def __init__(
        self,
        client: ApiClient,
        *,
        clock: Clock = SYSTEM_CLOCK,
        rng: random.Random | None = None,
        recorder: Recorder | None = None,
    ) -> None:
        self._client = client
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter
        self._recorder = recorder
        self._lock = threading.Lock()
        self._picture = Picture(contact_since=clock.monotonic())
        self._last_event_id = ""
        self._wanted: frozenset[str] = frozenset()
        self._is_over = threading.Event()
        self._retry_now = threading.Event()
        self._fetch_now = threading.Event()
        self._fetched_at: dict[str, float] = {}
        self._is_session_old = True
        self._threads = (
            threading.Thread(target=self._follow, name="tui-events", daemon=True),
            threading.Thread(target=self._fetch, name="tui-parts", daemon=True),
        )

    @property
    def picture(self) -> Picture:
        """The newest picture."""
        return self._picture

    @property
    def where(self) -> str:
        """The supervisor's address."""
        return self._client.url

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._clock.monotonic()

    def start(self) -> None:
        """Let the threads run, those that do not yet."""
        for thread in self._threads:
            if thread.ident is None:
                thread.start()

    def close(self) -> None:
        """Let the threads end; one that waits for the network is left to the end of the process."""
        self._is_over.set()
        self._retry_now.set()
        self._fetch_now.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(CLOSE_SECONDS_MAX)
        self._client.close()
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is not None:
            recorder.close()

    def want(self, parts: Iterable[str]) -> None:
        """Fetch these parts from now on."""
        wanted = frozenset(parts)
        if wanted != self._wanted:
            self._wanted = wanted
            self._fetch_now.set()

    def refresh(self) -> None:
        """Fetch and connect now."""
        self._fetched_at = {}
        self._fetch_now.set()
        self._retry_now.set()

    def begin(self, act: str, *, flow: str, request: ActRequest) -> OperationView:
        """Ask for an act.

        Raises: what the supervisor answers.
        """
        begun = self._client.begin(act, flow=flow, request=request)
        self._update(partial(with_told, told=begun, now=self.now()))
        return begun

    def _update(self, change: Callable[[Picture], Picture]) -> None:
        with self._lock:
            before, self._picture = self._picture, change(self._picture)
            if self._recorder is not None:
                self._recorder.note(before, self._picture, at=self.now())

    def _follow(self) -> None:
        failures = 0
        while not self._is_over.is_set():
            try:
                self._follow_once()
                failures = 0
            except AccessDenied as error:
                self._lose(Contact.DENIED, error)
                self._retry_now.wait()
            except ReplicatorError as error:
                was_connected = self._picture.contact is Contact.CONNECTED
                failures = 1 if was_connected else failures + 1
                self._lose(Contact.LOST, error)
                self._retry_now.wait(pause_seconds(failures, self._rng))
            self._retry_now.clear()

    def _lose(self, contact: Contact, error: ReplicatorError) -> None:
        now = self.now()
        self._update(partial(with_contact, contact=contact, now=now, reason=str(error)))

    def _follow_once(self) -> None:
        with self._client.follow(last_event_id=self._last_event_id) as told:
            self._update(partial(with_contact, contact=Contact.CONNECTED, now=self.now()))
            self._is_session_old = True
            self._fetch_now.set()
            for one in told:
                if self._is_over.is_set():
                    return
                if isinstance(one, EventView):
                    self._last_event_id = one.id
                self._update(partial(with_told, told=one, now=self.now()))

    def _fetch(self) -> None:
        while not self._is_over.is_set():
            self._fetch_now.clear()
            if self._is_session_old and self._picture.contact is Contact.CONNECTED:
                self._fetch_session()
            for key in sorted(self._wanted):
                if self._is_due(key) and not self._is_over.is_set():
                    self._fetch_one(key)
            self._fetch_now.wait(0.5)

    def _fetch_session(self) -> None:
        """Ask who we are there. It is not what the first status waits for."""
        self._is_session_old = False
        try:
            session = self._client.session()
        except ReplicatorError:
            self._is_session_old = True  # asked again at the next look; until then the screen says nothing is offered
            return
        self._update(partial(_with_session, session=session))

    def _is_due(self, key: str) -> bool:
        if self._picture.contact is not Contact.CONNECTED:
            return False
        at = self._fetched_at.get(key)
        return at is None or self.now() - at >= PART_PERIOD_SECONDS[key.partition(":")[0]]

    def _fetch_one(self, key: str) -> None:
        self._fetched_at[key] = self.now()
        try:
            part = Part(self._ask(key), self.now())
        except ReplicatorError as error:
            part = Part(refusal=str(error))
        self._update(partial(with_part, key=key, part=part))

    def _ask(self, key: str) -> object:
        kind, _, rest = key.partition(":")
        match kind:
            case "groups":
                return self._client.groups(rest)
            case "group":
                flow, _, group = rest.partition(":")
                return self._client.group(flow, group)
            case "lag":
                return self._client.lag(rest, limit=500, has_partitions=True)
            case "history":
                flow, _, window = rest.rpartition(":")
                return self._client.history(flow, window_seconds=float(window))
            case "snapshots":
                return self._client.snapshots()
            case "alerts":
                return self._client.alerts()
            case "runbooks":
                return self._client.runbooks()
            case _:
                return self._client.schedules()


def _with_session(picture: Picture, session: SessionView) -> Picture:
    return replace(picture, session=session)


def pause_seconds(failures: int, rng: random.Random) -> float:
    """Return how long to wait after so many failures in a row: anything up to a bound that doubles to 15 s."""
    bound = min(PAUSE_SECONDS_MAX, PAUSE_SECONDS_MIN * 2 ** min(failures - 1, 10))
    return rng.uniform(0.0, bound) if failures > 1 else min(bound, PAUSE_SECONDS_MIN)
