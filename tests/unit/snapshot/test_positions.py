"""Where groups go on after a restore: the number of visible records below, whatever lies between."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.model.flow import Selection
from replicator.model.names import ClusterName, GroupName, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.snapshot.reading import count_below, visible_records
from replicator.snapshot.restore.positions import plan_positions, read_positions
from tests.unit.snapshot.conftest import TP, make_batch, make_slice, make_workshop

TRANSACTIONAL = 0x10
GROUP = GroupName("billing")
RENAMED = {TopicName("orders"): TopicName("orders2")}
TARGET = TopicPartition(TopicName("orders2"), 0)


def captured(*, chunk_bytes: int = 1 << 20):
    """A partition with holes, an aborted batch and several chunks; and the offsets a consumer sees."""
    raw = b"".join(
        [
            make_batch(10, [b"a", b"b", b"c"]),
            make_batch(20, [b"aborted"] * 3, producer=7, attributes=TRANSACTIONAL),
            make_batch(25, [b"d", b"e"], codec=4),
            make_batch(40, [b"f"]),
            make_batch(41, [b"g", b"h", b"beyond"]),
        ]
    )
    workshop = make_workshop()
    slices = [make_slice(raw, start=11, stop=43, aborted=[(7, 20)])]
    manifest = workshop.take("20261101T000000Z-0000aa", slices, stop=43, chunk_bytes=chunk_bytes)
    return workshop, manifest, [11, 12, 25, 26, 40, 41, 42]


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 20])
def test_the_place_is_the_number_of_visible_records_below(chunk_bytes: int) -> None:
    """At every offset, below the log start and beyond the end too, with one chunk or one for each batch."""
    workshop, manifest, visible = captured(chunk_bytes=chunk_bytes)
    (partition,) = manifest.topics[0].partitions
    seen = [r.offset for c in partition.chunks for r in visible_records(workshop.repository.read_chunk(c), c)]
    assert seen == visible
    for offset in range(50):
        assert count_below(workshop.repository, partition, offset) == sum(at < offset for at in visible), offset


@given(sizes=st.lists(st.integers(1, 4), min_size=1, max_size=8), gaps=st.lists(st.integers(0, 3), min_size=8))
def test_counting_by_header_is_counting_by_record(sizes: list[int], gaps: list[int]) -> None:
    """Whatever batches and holes there are, no offset counts otherwise than its records."""
    at, raw, visible = 0, b"", []
    for size, gap in zip(sizes, gaps, strict=False):
        raw += make_batch(at, [b"x"] * size)
        visible += list(range(at, at + size))
        at += size + gap
    workshop = make_workshop()
    manifest = workshop.take("20261101T000000Z-0000aa", [make_slice(raw, start=0, stop=at)], stop=at)
    (partition,) = manifest.topics[0].partitions
    counts = [count_below(workshop.repository, partition, offset) for offset in range(at + 1)]
    assert counts == [sum(one < offset for one in visible) for offset in range(at + 1)]


def there(state: GroupState, committed: dict[TopicPartition, int]) -> dict[GroupName, GroupObservation]:
    """The group as the target knows it."""
    return {
        GROUP: GroupObservation(
            cluster=ClusterName("west"), group=GROUP, state=state, protocol_type="consumer",
            members=int(state is GroupState.ACTIVE), committed=committed, observed_at=datetime.now(UTC),
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({}, None),
        (there(GroupState.DEAD, {}), None),
        (there(GroupState.EMPTY, {}), None),
        (there(GroupState.EMPTY, {TARGET: 103}), None),
        (
            there(GroupState.EMPTY, {TARGET: 104}),
            "offset 104 there already, it would be set to 103",
        ),
        (there(GroupState.ACTIVE, {}), "its positions are its own"),
    ],
)
def test_a_group_that_moved_on_its_own_is_left_alone(
    known: dict[GroupName, GroupObservation], told: str | None
) -> None:
    """Only an idle group that stands nowhere else is set; the place counts from the target's log start."""
    _workshop, manifest, _visible = captured()
    (plan,) = plan_positions(
        manifest,
        {GROUP: {TP: 26, TopicPartition(TopicName("not-restored"), 0): 5}},
        targets=RENAMED,
        log_starts={TARGET: 100},
        there=known,
        count=lambda _partition, _offset: 3,
    )
    assert plan.offsets == {"orders2": {0: 103}}
    assert (plan.refusal is None) == (told is None)
    assert (told or "") in (plan.refusal or "")


def test_positions_are_read_from_the_snapshot() -> None:
    """The selected groups alone, with every partition."""
    from dataclasses import replace

    workshop, manifest, _visible = captured()
    rows = [
        {"group": name, "state": "EMPTY", "protocol_type": "consumer", "offsets": [["orders", 0, 26]]}
        for name in ("billing", "other")
    ]
    digest = workshop.repository.put_state("groups", {"groups": rows})
    manifest = replace(manifest, states={**manifest.states, "groups": digest})
    assert read_positions(workshop.repository, manifest, Selection(include=("bill*",))) == {GROUP: {TP: 26}}
