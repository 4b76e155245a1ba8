"""Observations as bytes: any of them comes back as it was, and the newest of each thing wins."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import DataCorrupt
from replicator.journal.codec import read_partition
from replicator.journal.observations import Observation, decode_observation, encode_observation, fold
from replicator.kafka import Record
from replicator.model.names import ClusterName, FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import (
    ClusterObservation,
    GroupObservation,
    GroupState,
    PartitionEnds,
    Reachability,
    TailCount,
    TopicObservation,
)
from replicator.model.offsets import Grade, GroupTranslation, Translation

FLOW = FlowName("orders")
NOW = datetime(2026, 11, 22, 16, 8, 1, 500000, tzinfo=UTC)

offsets = st.integers(0, 2**63 - 1)
numbers = st.integers(0, 2**31 - 1)
topics = st.text("abcXYZ019._-", min_size=1, max_size=249).map(TopicName)
groups = st.text(min_size=1, max_size=30).map(GroupName)
times = st.datetimes(timezones=st.just(UTC)).map(lambda t: t.replace(microsecond=t.microsecond // 1000 * 1000))
partitions = st.builds(TopicPartition, topics, numbers)

clusters = st.builds(
    ClusterObservation,
    cluster=st.just(ClusterName("east")),
    cluster_id=st.none() | st.text(),
    reachability=st.sampled_from(Reachability),
    observed_at=times,
    last_reached_at=st.none() | times,
    unreachable_since=st.none() | times,
    listeners=st.lists(st.text(), max_size=3).map(tuple),
)
topic_observations = st.builds(
    TopicObservation,
    cluster=st.just(ClusterName("east")),
    topic=topics,
    topic_id=st.text(),
    observed_at=times,
    partitions=st.lists(
        st.builds(PartitionEnds, partition=numbers, log_start=offsets, last_stable=offsets, end=offsets), max_size=3
    ).map(tuple),
    mirrored_positions=st.dictionaries(numbers, offsets, max_size=3),
    tails=st.lists(
        st.builds(TailCount, partition=numbers, from_offset=offsets, to_offset=offsets, visible_records=offsets),
        max_size=2,
    ).map(tuple),
    peak_rate=st.none() | st.floats(0, 1e9),
)
group_observations = st.builds(
    GroupObservation,
    cluster=st.just(ClusterName("east")),
    group=groups,
    state=st.sampled_from(GroupState),
    observed_at=times,
    committed=st.dictionaries(partitions, offsets, max_size=3),
    members=st.none() | numbers,
    protocol_type=st.text(),
)
translations = st.builds(
    GroupTranslation,
    flow=st.just(FLOW),
    group=groups,
    translations=st.lists(
        st.builds(
            Translation,
            partition=partitions,
            target_partition=partitions,
            source_offset=offsets.map(Offset),
            target_offset=st.none() | offsets.map(Offset),
            grade=st.sampled_from(Grade),
            reread_records_max=st.none() | offsets,
            rule=st.text(),
            evidence=st.dictionaries(st.text(), st.integers() | st.text(), max_size=2),
            is_clamped=st.booleans(),
            observed_at=st.none() | times,
        ),
        max_size=2,
    ).map(tuple),
)
observations = clusters | topic_observations | group_observations | translations


def record(key: bytes | None, value: bytes | None, offset: int) -> Record:
    """Return a record of the observations' topic."""
    return Record(
        partition=TopicPartition(TopicName("__replicator.observations"), 0),
        offset=offset,
        timestamp_ms=0,
        is_log_append_time=False,
        key=key,
        value=value,
        headers=(),
    )


def records(*items: Observation, flow: FlowName = FLOW) -> list[Record]:
    """Return the records that writing the items would make."""
    return [record(*encode_observation(flow, item), offset) for offset, item in enumerate(items)]


def group(name: str, position: int) -> GroupObservation:
    """Return an observation of a group at a position."""
    return GroupObservation(
        cluster=ClusterName("east"),
        group=GroupName(name),
        state=GroupState.EMPTY,
        observed_at=NOW,
        committed={TopicPartition(TopicName("t"), 0): position},
    )


@given(observations)
def test_every_observation_comes_back_as_it_was(item: Observation) -> None:
    """Names of any text, every optional field present or not, offsets of 63 bits: all survive the bytes."""
    _, value = encode_observation(FLOW, item)
    assert decode_observation(value) == item


def test_the_newest_of_each_thing_wins() -> None:
    """A later observation of the same group replaces the earlier; others stay."""
    observed = fold(FLOW, records(group("a", 1), group("b", 2), group("a", 3)))
    assert [g.committed[TopicPartition(TopicName("t"), 0)] for g in observed.groups.values()] == [3, 2]
    assert observed.clusters == {}
    assert observed.topics == {}


def test_another_flows_observations_do_not_count() -> None:
    """Two flows share the topic; each sees its own, even where a group's name holds slashes."""
    foreign = records(group("x/orders/y", 1), flow=FlowName("billing"))
    assert fold(FLOW, foreign).is_empty
    assert list(fold(FlowName("billing"), foreign).groups) == ["x/orders/y"]


def test_a_tombstone_forgets() -> None:
    """A deleted thing is not observed any more."""
    key, value = encode_observation(FLOW, group("a", 1))
    assert fold(FLOW, [record(key, value, 0), record(key, None, 1)]).is_empty


def test_one_unreadable_record_hides_only_itself() -> None:
    """A failover goes on with the rest, and is told which record could not be read."""
    key, _ = encode_observation(FLOW, group("bad", 1))
    observed = fold(FLOW, [*records(group("good", 1)), record(key, b'{"v":9,"kind":"group","data":{}}', 7)])
    assert list(observed.groups) == ["good"]
    assert observed.unreadable == ("group/orders/bad at offset 7: observation: version 9, not 1",)


@pytest.mark.parametrize("key", [None, b"", b"group", b"group/orders", b"\xff\xfe/\xff/\xff"])
def test_a_foreign_key_is_passed_over(key: bytes | None) -> None:
    """Records that somebody else put into the topic do not belong to the flow."""
    assert fold(FLOW, [record(key, b"{}", 0)]).is_empty


@given(
    st.binary(max_size=100) | st.from_regex(r'\{"v":1,"kind":"(cluster|topic|group)","data":.{0,40}\}').map(str.encode)
)
def test_any_bytes_give_an_observation_or_the_declared_error(value: bytes) -> None:
    """Foreign bytes raise DataCorrupt and nothing else."""
    with pytest.raises(DataCorrupt):
        decode_observation(value)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"cluster": "east"},
        {"cluster": "east", "group": "g", "state": "EMPTY", "observed_at": 5},
        {"cluster": "east", "group": "g", "state": "NEW", "observed_at": "2026-11-22T16:00:00Z"},
        {"cluster": "east", "group": "g", "state": "EMPTY", "observed_at": "2026-11-22T16:00:00Z", "members": True},
        {
            "cluster": "east",
            "group": "g",
            "state": "EMPTY",
            "observed_at": "2026-11-22T16:00:00Z",
            "committed": {"t": 1},
        },
    ],
)
def test_a_group_with_a_missing_or_odd_field_is_refused(data: Any) -> None:
    """Nothing is filled in by guess."""
    from replicator.model.forms.plain import to_json

    with pytest.raises(DataCorrupt):
        decode_observation(to_json({"v": 1, "kind": "group", "data": data}).encode())


def test_fields_of_a_later_minor_change_are_left_out() -> None:
    """A field this version does not know does not make the observation unreadable."""
    _, value = encode_observation(FLOW, group("a", 1))
    assert decode_observation(value.replace(b'"members"', b'"mood": "fine", "members"')) == group("a", 1)


@pytest.mark.parametrize("text", ["", "t", "t[", "t[x]", "t[1", "[1]x"])
def test_what_is_no_partition_is_refused(text: str) -> None:
    """A partition is `topic[n]` and nothing else."""
    with pytest.raises(ValueError):
        read_partition(text)
