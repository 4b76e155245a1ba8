"""`replicator run`: the supervisor with its API, until a signal ends it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType
from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.clock import Deadline

if TYPE_CHECKING:
    from replicator.api.server import ApiServer
    from replicator.api.wiring import SupervisorSource
    from replicator.supervisor.assemble import World
    from replicator.supervisor.daemon import Supervisor

API_STOP_SECONDS = 3.0
FACE_SECONDS = 3.0
LOOK_SECONDS = 2.0
"""The process ends after this: a loop that only looks need not finish its look."""
NAMES_SHOWN = 5


@click.command()
@pass_app
def run(app: App) -> None:
    """Start the supervisor: observe, record, heal; API and metrics at `supervisor.listen`."""
    from replicator import log
    from replicator.errors import ConfigInvalid
    from replicator.supervisor.assemble import World
    from replicator.supervisor.daemon import Supervisor

    settings = app.settings
    if not settings.flows:
        raise ConfigInvalid(f"{settings.path}: there is no flow to supervise", hint="add one under `flows`")
    log.configure(level="debug" if app.verbosity > 1 else "info")
    with _until_signalled() as ended:
        world = World(settings, clock=app.clock)
        supervisor = Supervisor(world, clock=app.clock)
        face = _open_face(app, world, supervisor)
        supervisor.start()
        ended.wait()
        _leave(is_clean=_end(app, supervisor, face))


def _end(app: App, supervisor: Supervisor, face: _Face | None) -> bool:
    """Return whether all has ended in time; whoever asked for it is told at once, and what is waited for."""
    app.tell("ending: what is being changed is finished first; Ctrl-C again ends at once")
    closed: list[bool] = []

    def wait_told(names: Sequence[str]) -> None:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        app.tell(f"waiting for {', '.join(names[:NAMES_SHOWN])}{more}")

    def close_face() -> None:
        closed.append(face is None or face.close())

    closing = threading.Thread(target=close_face, name="close-api", daemon=True)
    closing.start()
    is_stopped = supervisor.stop(look_seconds=LOOK_SECONDS, tell=wait_told)
    closing.join(FACE_SECONDS)
    is_clean = is_stopped and closed == [True]
    app.tell("ended" if is_clean else "ended; what did not answer in time is left to the end of the process")
    return is_clean


class _Face:
    """The API of a running supervisor and what feeds it."""

    def __init__(self, server: ApiServer, source: SupervisorSource) -> None:
        self._server = server
        self._source = source

    def close(self) -> bool:
        """Return whether both have ended in time."""
        is_closed = self._server.stop(Deadline.after(API_STOP_SECONDS))
        return self._source.stop() and is_closed


def _open_face(app: App, world: World, supervisor: Supervisor) -> _Face | None:
    """Return the API, answering; None where its packages are not installed: the supervisor works without.

    Raises:
        ConfigInvalid: its address cannot be had.
    """
    if find_spec("fastapi") is None or find_spec("uvicorn") is None:
        app.warn("no API and no metrics: they need the extra `api`: pip install 'replicator[api]'")
        return None
    from replicator.api.access import rules_of
    from replicator.api.app import create_app
    from replicator.api.server import Certificate, serve
    from replicator.api.wiring import SupervisorSource
    from replicator.cli.supervision.acts import make_acts
    from replicator.supervisor.metrics import Granularity

    serving = world.settings.api_serving()
    source = SupervisorSource(supervisor, world, clock=app.clock)
    granularity = Granularity(world.settings.supervisor.metrics)
    face = create_app(source, rules=rules_of(serving), acts=make_acts(app), clock=app.clock, granularity=granularity)
    certificate = None
    if serving.certificate_file is not None and serving.key_file is not None:
        certificate = Certificate(serving.certificate_file, serving.key_file)
    server = serve(face, serving.listen, certificate=certificate)
    source.start()
    app.tell(f"the API answers at {server.url}")
    return _Face(server, source)


@contextmanager
def _until_signalled() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or Ctrl-C sets; the handlers before are put back afterwards."""
    ended = threading.Event()

    def end(number: int, _frame: FrameType | None) -> None:
        if ended.is_set() and number == signal.SIGINT:
            os._exit(128 + number)  # asked twice: whatever is at work can be killed at any point, and resumed
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(*, is_clean: bool) -> None:
    """End the process at once where a client of a frozen cluster would hold the interpreter's own end up."""
    if not is_clean:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
