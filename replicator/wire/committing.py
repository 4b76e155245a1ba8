"""A group's positions with the metadata its consumers left, by hand: librdkafka appends a NUL where it writes, and
reads on in memory until it meets one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replicator.clock import Deadline
from replicator.errors import AccessDenied, DeadlineExceeded, OperationFailed, PreflightBlocked, Unreachable
from replicator.model.names import GroupName, TopicPartition
from replicator.wire.answers import Fault, LeftPositions
from replicator.wire.client import PAUSE_SECONDS, REQUEST_SECONDS, RawClient
from replicator.wire.messages import (
    call_find_coordinator,
    call_offset_commit,
    call_offset_fetch,
    classify,
    name_error,
)

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


def read_metadata(
    client: RawClient, positions: Mapping[GroupName, Mapping[TopicPartition, int]], *, deadline: Deadline
) -> dict[GroupName, dict[TopicPartition, str]]:
    """Return what consumers left with these positions (next offsets), letter by letter; nothing of one that has moved.

    librdkafka hands a text out without its end: what lies behind it in memory comes along, or is no text at all.

    Raises: AccessDenied; OperationFailed; DeadlineExceeded when a coordinator does not answer in time.
    """
    left = sorted(group for group, at in positions.items() if at)
    found: dict[GroupName, dict[TopicPartition, str]] = {}
    while left:
        answers = _fetch_round(client, left, deadline)
        left = [group for group in left if not _is_told(client, group, answers[group], deadline)]
        for group, answer in answers.items():
            seen = {tp: text for tp, (at, text) in answer.positions.items() if positions[group].get(tp) == at and text}
            if seen and group not in left:
                found[group] = seen
        if left:
            deadline.clock.sleep(PAUSE_SECONDS)
    return found


def _fetch_round(client: RawClient, groups: Sequence[GroupName], deadline: Deadline) -> dict[GroupName, LeftPositions]:
    """Return each group's answer, or the error code that stood in its way."""
    within = Deadline.after(deadline.capped(REQUEST_SECONDS), clock=deadline.clock)
    found: dict[GroupName, LeftPositions] = {}
    for batch in (groups[at : at + GROUPS_A_REQUEST] for at in range(0, len(groups), GROUPS_A_REQUEST)):
        told = client.find_coordinators(batch, deadline=within)
        found |= {group: LeftPositions(error_code=told.get(group, (_NOT_AVAILABLE, 0))[0]) for group in batch}
        for broker in {node for code, node in told.values() if not code}:
            own = [group for group in batch if told.get(group) == (0, broker)]
            found |= _fetch_from(client, broker, own, within)
    return found


def _fetch_from(
    client: RawClient, broker: int, groups: Sequence[GroupName], within: Deadline
) -> dict[GroupName, LeftPositions]:
    try:
        connection = client.open_connection(broker, deadline=within)
    except Unreachable:
        return {group: LeftPositions(error_code=_NOT_AVAILABLE) for group in groups}
    try:
        answers: dict[GroupName, LeftPositions] = connection.ask(call_offset_fetch(groups), deadline=within)
    finally:
        connection.close()
    return {group: answers.get(group, LeftPositions(error_code=_NOT_AVAILABLE)) for group in groups}


def _is_told(client: RawClient, group: GroupName, answer: LeftPositions, deadline: Deadline) -> bool:
    """Whether the group's answer is there; it is not yet while its coordinator moves or loads."""
    code, doing = answer.error_code, f"cluster {client.access.name}: group {group}"
    if code == 0:
        return True
    fault = classify(code)
    if fault is Fault.DENIED:
        raise AccessDenied(f"{doing}: {name_error(code)}", hint=f"grant DESCRIBE on group {group}")
    if fault not in (Fault.RETRY, Fault.STALE_LEADER):
        raise OperationFailed(f"{doing}: what was left with its positions was not told: {name_error(code)}")
    if deadline.left <= PAUSE_SECONDS:
        raise DeadlineExceeded(f"{doing}: no coordinator told its positions in time: {name_error(code)}")
    return False


GROUPS_A_REQUEST = 100
_NOT_AVAILABLE = 15
"""COORDINATOR_NOT_AVAILABLE: to be asked again."""
