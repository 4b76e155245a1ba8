"""What the board remembers between two looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replicator.flow import HEARTBEATS
from replicator.model.cluster import ClusterAccess
from replicator.model.names import ClusterName, TopicPartition
from replicator.supervisor.board import BEATS_MAX, FlowBoard
from replicator.supervisor.observe.watch import ClusterWatch
from replicator.supervisor.samples import MirroredSample

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def make_board() -> FlowBoard:
    """A board on which nothing was put yet."""
    access = ClusterAccess(name=ClusterName("west"), bootstrap="127.0.0.1:1")
    return FlowBoard(source_watch=ClusterWatch(access), target_watch=ClusterWatch(access))


def arrived(board: FlowBoard, position: int | None) -> datetime | None:
    """When the newest heartbeat was sent that has arrived, once the heartbeats are mirrored up to this position."""
    positions = {} if position is None else {TopicPartition(HEARTBEATS, 0): position}
    board.put_mirrored(MirroredSample(began_at=NOON, ended_at=NOON, positions=positions))
    return board.heartbeat_arrived_at


def test_a_heartbeat_has_arrived_once_the_mirrored_position_is_past_it() -> None:
    """The newest one below the position counts; what stands still or is unknown takes nothing back."""
    board = make_board()
    assert arrived(board, 5) is None
    for number in range(4):
        board.put_beat(NOON + timedelta(seconds=number), offset=10 + number)
    assert board.heartbeat_sent_at == NOON + timedelta(seconds=3)
    told = [arrived(board, position) for position in (10, 11, None, 11, 13, 14, 14)]
    assert told == [None, NOON, NOON, NOON, *(NOON + timedelta(seconds=seconds) for seconds in (2, 3, 3))]


def test_heartbeats_of_a_long_outage_are_bounded() -> None:
    """What nobody mirrors for hours takes no more memory than those of one; the newest still tell when it goes on."""
    board = make_board()
    for number in range(BEATS_MAX + 10):
        board.put_beat(NOON + timedelta(seconds=number), offset=number)
    assert arrived(board, 5) is None
    assert arrived(board, BEATS_MAX + 10) == NOON + timedelta(seconds=BEATS_MAX + 9)
