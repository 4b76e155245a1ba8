"""A group's positions with the metadata its consumers left: librdkafka appends a NUL to any, so this goes by hand."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.clock import Deadline
from replicator.errors import AccessDenied, DeadlineExceeded, OperationFailed, PreflightBlocked, Unreachable
from replicator.model.names import GroupName, TopicPartition
from replicator.wire.answers import Fault
from replicator.wire.client import PAUSE_SECONDS, REQUEST_SECONDS, RawClient
from replicator.wire.messages import call_find_coordinator, call_offset_commit, classify, name_error

Positions = Mapping[TopicPartition, tuple[int, str]]
"""Next offset and metadata of each partition."""
_LIVE = frozenset({22, 25, 27})  # ILLEGAL_GENERATION, UNKNOWN_MEMBER_ID, REBALANCE_IN_PROGRESS


def commit_with_metadata(client: RawClient, group: GroupName, positions: Positions, *, deadline: Deadline) -> None:
    """The group, which has no members, stands at these positions, each with its metadata.

    Raises: PreflightBlocked when it has members; AccessDenied; OperationFailed; DeadlineExceeded when its coordinator
    is not found in time.
    """
    doing = f"cluster {client.access.name}: group {group}"
    while positions:
        code = _try_once(client, group, positions, deadline)
        if code == 0:
            return
        if code in _LIVE:
            raise PreflightBlocked(f"{doing} has members: its positions are its own", hint="stop its consumers")
        fault = classify(code)
        if fault is Fault.DENIED:
            raise AccessDenied(f"{doing}: {name_error(code)}", hint=f"grant READ on group {group} and its topics")
        if fault not in (Fault.RETRY, Fault.STALE_LEADER):
            raise OperationFailed(f"{doing}: its positions were refused: {name_error(code)}")
        if deadline.left <= PAUSE_SECONDS:
            raise DeadlineExceeded(f"{doing}: no coordinator took its positions in time: {name_error(code)}")
        deadline.clock.sleep(PAUSE_SECONDS)


def _try_once(client: RawClient, group: GroupName, positions: Positions, deadline: Deadline) -> int:
    """Return the first error code of asking for the coordinator and committing there; 0 when it is done."""
    within = Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)
    leader = min(client.find_leaders(positions, deadline=within).values())
    connection = client.open_connection(leader, deadline=within)
    try:
        code, broker = connection.ask(call_find_coordinator(group), deadline=within)
    finally:
        connection.close()
    if code:
        return int(code)
    try:
        connection = client.open_connection(broker, deadline=within)
    except Unreachable:
        if deadline.is_over:
            raise
        return _NOT_AVAILABLE
    try:
        answers: tuple[int, ...] = connection.ask(call_offset_commit(group, positions), deadline=within)
    finally:
        connection.close()
    return next((answer for answer in answers if answer), 0)


_NOT_AVAILABLE = 15
"""COORDINATOR_NOT_AVAILABLE: to be asked again."""
