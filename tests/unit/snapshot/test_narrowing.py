"""Less of a snapshot: counts stay true, order stays, and what is left out is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from replicator.errors import UsageError
from replicator.model.archive.snapshots import CapturedPartition, Chunk, ChunkFacts, Manifest
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot.restore.narrowing import LEFT_OUT, Extent, find_stops, find_time_stop, narrow
from replicator.wire.format.records import RawRecord, encode_batch
from tests.unit.snapshot.test_exact_planning import ORDERS, captured
from tests.unit.snapshot.test_restore_planning import STORED, make_mark, manifest, topic

TIMES = [[10, 20, 30, 40], [25, 50, 60], [35, 36, 37, 38, 39]]
"""Record times of three chunks; the second begins earlier than the first ends."""


def chunks(*times: list[int]) -> tuple[list[Chunk], Callable[[Chunk], memoryview]]:
    """A chunk for each list of times, one batch each, offsets from 0; and what loads it."""
    made, content, offset = [], {}, 0
    for own in times:
        batch = bytearray(encode_batch([RawRecord(n, time, b"k", b"v") for n, time in enumerate(own)]))
        batch[:8] = offset.to_bytes(8, "big")
        facts = ChunkFacts(
            batches=1, records=len(own), codecs={"none": 1}, largest_batch_bytes=len(batch),
            min_base_timestamp_ms=own[0], max_timestamp_ms=max(own),
        )  # fmt: skip
        made.append(Chunk(start=offset, stop=offset + len(own), stored=STORED, pack="b" * 64, offset=0, facts=facts))
        content[offset] = bytes(batch)
        offset += len(own)
    return made, lambda chunk: memoryview(content[chunk.start])


MADE, LOAD = chunks(*TIMES)
SNAPSHOT = manifest(captured(0, 12, *MADE))
PARTITION: CapturedPartition = SNAPSHOT.topics[0].partitions[0]
TARGETS = {ORDERS: ORDERS}

UNTIL = [
    (9, (0, 0)),
    (10, (1, 0)),
    (24, (2, 0)),
    (25, (2, 1)),
    (40, (5, 5)),
    (49, (5, 5)),
    (50, (6, 5)),
    (60, (12, 0)),
    (99, (12, 0)),
]


@pytest.mark.parametrize(("until", "expected"), UNTIL)
def test_a_time_ends_a_partition_before_its_first_later_record(until: int, expected: tuple[int, int]) -> None:
    """What stands behind it and is not later is counted, not hidden."""
    assert find_time_stop(PARTITION, until, LOAD) == expected


@pytest.mark.parametrize("stop", range(13))
def test_a_stop_anywhere_leaves_true_counts(stop: int) -> None:
    """As many records as offsets before it, in as many chunks as reach below it."""
    short = narrow(SNAPSHOT, {ORDERS: {0: stop}}, LOAD).topics[0].partitions[0]
    assert (short.end, short.high_watermark, short.records) == (stop, stop, stop)
    assert [chunk.start for chunk in short.chunks] == [chunk.start for chunk in MADE if chunk.start < stop]
    assert all(chunk.stop <= stop for chunk in short.chunks)


def stops_of(extent: Extent, snapshot: Manifest = SNAPSHOT) -> dict[str, dict[int, int]]:
    """The stops of an extent, as plain values."""
    names = {one.name: one.name for one in snapshot.topics}
    return {name: dict(own) for name, own in find_stops(snapshot, names, extent, LOAD).stops.items()}


def test_the_earlier_of_two_stops_counts() -> None:
    """An offset and a time together: neither is passed."""
    tp = TopicPartition(ORDERS, 0)
    assert stops_of(Extent(stops={tp: 3}, until_ms=24)) == {"orders": {0: 2}}
    assert stops_of(Extent(stops={tp: 1}, until_ms=24)) == {"orders": {0: 1}}
    assert stops_of(Extent(stops={tp: 12}, until_ms=99)) == {}
    assert stops_of(Extent()) == {}


def test_partitions_that_are_not_chosen_are_left_out() -> None:
    """They exist on the target, empty, from offset 0."""
    two = manifest(topic("a", 10, 5), topic("b", 7))
    assert stops_of(Extent(partitions=frozenset({1})), two) == {"a": {0: LEFT_OUT}, "b": {0: LEFT_OUT}}
    left = narrow(two, {TopicName("a"): {0: LEFT_OUT}}, LOAD).topics
    assert [p.records for p in left[0].partitions] == [0, 5]
    assert (left[0].partitions[0].start, left[0].partitions[0].end) == (0, 0)
    assert left[1].records == 7


def test_what_is_left_out_is_told() -> None:
    """Records of an earlier time behind the stop, and that a transaction may be cut."""
    told = find_stops(SNAPSHOT, TARGETS, Extent(until_ms=40), LOAD).warnings
    assert "5 records of an earlier time" in told[0]
    assert "a transaction may be restored in part" in told[-1]
    assert find_stops(SNAPSHOT, TARGETS, Extent(until_ms=99), LOAD).warnings == ()


NONSENSE = [
    (Extent(stops={TopicPartition(ORDERS, 0): 13}), "0 to 12 were captured"),
    (Extent(stops={TopicPartition(ORDERS, 1): 3}), "not restored"),
    (Extent(stops={TopicPartition(TopicName("other"), 0): 3}), "not restored"),
    (Extent(partitions=frozenset({0, 4})), "--partitions 4"),
]


@pytest.mark.parametrize(("extent", "told"), NONSENSE)
def test_extents_that_mean_nothing_are_refused(extent: Extent, told: str) -> None:
    """A stop outside of what was captured, a partition that nobody has."""
    with pytest.raises(UsageError, match=told):
        find_stops(SNAPSHOT, TARGETS, extent, LOAD)


def test_each_extent_has_its_mark() -> None:
    """A topic that is half restored up to one offset is not gone on with up to another."""
    marks = {make_mark(SNAPSHOT, ORDERS, stops=stops) for stops in ({}, {0: 3}, {0: 4}, {1: 3}, {0: LEFT_OUT})}
    assert len(marks) == 5
