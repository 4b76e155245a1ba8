"""Where status and lag come from: a live supervisor when one answers for us, else a look of our own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from replicator.cli.context import App
from replicator.cli.supervision.remote import make_client
from replicator.errors import AccessDenied, DataCorrupt, ReplicatorError, Unreachable

if TYPE_CHECKING:
    from replicator.api.client import ApiClient
    from replicator.api.schema import FlowLagView, StatusView
    from replicator.model.supervision.status import Status

ASK_SECONDS = 3.0
"""A live supervisor answers from memory; one that does not answer by now is not asked any longer."""
LOOK_SECONDS = 30.0
TOPICS_MAX = 2000


class Look(Protocol):
    """What was seen at one moment."""

    @property
    def status(self) -> StatusView:
        """Every flow that was asked for."""
        ...

    def lag(self, flow: str, *, has_partitions: bool) -> FlowLagView:
        """Return a flow's lag by topic, and by partition if asked."""
        ...


class LiveLook:
    """The last status of a supervisor that runs."""

    def __init__(self, client: ApiClient, status: StatusView) -> None:
        self._client = client
        self.status = status

    def lag(self, flow: str, *, has_partitions: bool) -> FlowLagView:
        """Return a flow's lag by topic, and by partition if asked."""
        return self._client.lag(flow, limit=TOPICS_MAX, has_partitions=has_partitions)


class OwnLook:
    """What we saw ourselves."""

    def __init__(self, seen: Status) -> None:
        from replicator.api.views import status_view
        from replicator.model.supervision.overview import Overview

        self._seen = seen
        self.status = status_view(Overview(status=seen))

    def lag(self, flow: str, *, has_partitions: bool) -> FlowLagView:
        """Return a flow's lag by topic, and by partition if asked."""
        from replicator.api.views import lag_view

        found = self._seen.flow(flow)
        if found is None:
            raise AssertionError("a flow is asked about that was looked at")
        return lag_view(found.lag, topics_max=TOPICS_MAX, has_partitions=has_partitions)


@contextmanager
def look(app: App, flow: str | None) -> Iterator[Look]:
    """Yield what a live supervisor knows of the flow, or of all; where none answers, or `--standalone`, a look of ours.

    Raises:
        NotFound: there is no such flow.
    """
    names = [app.settings.flow(flow).name] if flow is not None else [one.name for one in app.settings.flows]
    live = None if app.is_standalone else ask_supervisor(app, names)
    if live is None:
        yield OwnLook(_look_ourselves(app, names))
        return
    client, status = live
    with client:
        yield LiveLook(client, status)


def ask_supervisor(app: App, names: Sequence[str]) -> tuple[ApiClient, StatusView] | None:
    """Return a client and the status of the flows; None where no supervisor of ours answers for all of them.

    A supervisor that refuses us, or another program at its address, is told of and not asked further.
    """
    client = make_client(app, timeout_seconds=ASK_SECONDS)
    try:
        status = client.status()
    except (AccessDenied, DataCorrupt) as error:
        hint = f" ({error.hint})" if error.hint else ""
        app.warn(f"{error.message}{hint}; looking from here")
    except Unreachable as error:
        why = error.message.rpartition(": ")[2]
        app.tell(f"no supervisor answers at {client.url} ({why}); looking from here")
    except ReplicatorError:
        client.close()
        raise
    else:
        flows = tuple(found for name in names if (found := status.flow(name)) is not None)
        if status.supervisor == app.settings.supervisor.id and len(flows) == len(names):
            return client, status.model_copy(update={"flows": flows})
        app.warn(f"the supervisor at {client.url} runs another configuration; looking from here")
    client.close()
    return None


def _look_ourselves(app: App, names: Sequence[str]) -> Status:
    from replicator.supervisor.assemble import World
    from replicator.supervisor.standalone import look_at

    with World(app.settings, clock=app.clock) as world:
        return look_at(world, names, deadline=app.deadline(LOOK_SECONDS), clock=app.clock)
