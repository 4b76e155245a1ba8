"""`replicator run`: the supervisor, until a signal ends it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from replicator.cli.context import App, pass_app


@click.command()
@pass_app
def run(app: App) -> None:
    """Start the supervisor: observe, record, heal; API and metrics."""
    from replicator import log
    from replicator.errors import ConfigInvalid
    from replicator.supervisor.assemble import World
    from replicator.supervisor.daemon import Supervisor

    settings = app.settings
    if not settings.flows:
        raise ConfigInvalid(f"{settings.path}: there is no flow to supervise", hint="add one under `flows`")
    log.configure(level="debug" if app.verbosity > 1 else "info")
    with _until_signalled() as ended:
        supervisor = Supervisor(World(settings, clock=app.clock), clock=app.clock)
        supervisor.start()
        ended.wait()
        _leave(is_clean=supervisor.stop())


@contextmanager
def _until_signalled() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or Ctrl-C sets; the handlers before are put back afterwards."""
    ended = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
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
