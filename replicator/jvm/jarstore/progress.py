"""A progress bar for the one long wait of a first run: the download of the jars. On stderr."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from replicator.jvm.jarstore.fetch import Progress


@contextlib.contextmanager
def show_download(what: str = "Kafka's jars") -> Iterator[Progress]:
    """Give a callable that draws a bar on stderr from its first call on; draws nothing if never called."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("fetching {task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    task = bar.add_task(what, total=None, start=True)

    def advance(done: int, total: int) -> None:
        if not bar.live.is_started:
            bar.start()
        bar.update(task, completed=done, total=total)

    try:
        yield advance
    finally:
        if bar.live.is_started:
            bar.stop()
