"""The whole story as a recording."""

from __future__ import annotations

from collections.abc import Iterator

from tui.feeds.recording import Moment
from tui.scenes.catalog import groups, schedules, snapshots
from tui.scenes.failover import EVENTS, operation, runbooks
from tui.scenes.flows import alerts, history, status, topics
from tui.scenes.times import END_AT, FAILOVER_AT, HISTORY_SECONDS, at


def story() -> list[Moment]:
    """Return the whole recording."""
    return sorted(_moments(), key=lambda moment: moment.at)


def _moments() -> Iterator[Moment]:
    session = {"name": "anonymous", "role": "viewer", "acts": []}
    yield Moment(0.0, "session", session)
    for second in range(int(END_AT) + 1):
        yield Moment(float(second), "status", status(float(second)))
    for number, (when, kind, severity, flow, text) in enumerate(EVENTS, start=1):
        value = {"id": f"aa-{number}", "at": at(when), "kind": kind, "severity": severity, "text": text, "flow": flow}
        operation_id = operation(when)["id"] if kind.startswith(("operation", "step")) else None
        yield Moment(max(0.0, when), "event", value | {"operation_id": operation_id})
    for second in range(int(FAILOVER_AT), int(END_AT) + 1):
        yield Moment(float(second), "operation", operation(float(second)))
    yield from _parts()


def _parts() -> Iterator[Moment]:
    yield _part(0.0, "snapshots", snapshots())
    yield _part(0.0, "schedules", schedules())
    yield _part(0.0, "runbooks", runbooks())
    for second in range(0, int(END_AT) + 1, 5):
        yield _part(float(second), "alerts", alerts(float(second)))
    for flow in ("orders", "payments", "audit"):
        for second in range(0, int(END_AT) + 1, 5):
            moment = float(second)
            yield _part(moment, f"lag:{flow}", topics(flow, moment))
            yield _part(moment, f"history:{flow}:900", history(flow, moment, HISTORY_SECONDS))
        listed = groups(flow, 0.0)
        yield _part(0.0, f"groups:{flow}", listed)
        for group in listed:
            yield _part(0.0, f"group:{flow}:{group['group']}", group)


def _part(second: float, key: str, value: object) -> Moment:
    return Moment(second, "part", {"key": key, "refusal": None, "value": value})
