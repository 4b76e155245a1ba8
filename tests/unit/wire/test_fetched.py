"""Fetch answers read by our own slicer: the same as kafka-python's codec reads, without its copies."""

from __future__ import annotations

import random
from typing import Any

import pytest
from kafka.protocol.consumer import FetchResponse

from replicator.errors import DataCorrupt
from replicator.model.names import TopicName, TopicPartition
from replicator.wire.answers import FetchAnswer, FetchedPartition
from replicator.wire.format.fetched import read_fetch
from replicator.wire.format.transactions import AbortedTransaction
from replicator.wire.messages import FetchSpot, call_fetch

VERSIONS = range(4, 13)


def make_response(version: int, rng: random.Random, *, sizes: tuple[int, ...] = (0, 1, 300, 70_000)) -> Any:
    """A random answer: several topics, null and empty records, aborted transactions or none."""
    topic = FetchResponse.FetchableTopicResponse
    part = topic.PartitionData
    return FetchResponse(
        version=version, throttle_time_ms=rng.randrange(1000), error_code=rng.choice([0, 71]), session_id=0,
        responses=[
            topic(
                version=version, topic=f"orders-{number}-é",
                partitions=[
                    part(
                        version=version, partition_index=index, error_code=rng.choice([0, 1, 6]),
                        high_watermark=rng.randrange(1 << 60), last_stable_offset=rng.randrange(1 << 60),
                        log_start_offset=rng.randrange(1 << 60), preferred_read_replica=-1,
                        aborted_transactions=rng.choice([None, [], [
                            part.AbortedTransaction(version=version, producer_id=rng.randrange(1 << 40), first_offset=n)
                            for n in range(rng.randrange(1, 200))
                        ]]),
                        records=None if rng.random() < 0.2 else rng.randbytes(rng.choice(sizes)),
                    )
                    for index in range(rng.randrange(5))
                ],
            )
            for number in range(rng.randrange(4))
        ],
    )  # fmt: skip


def read_with_codec(body: bytes, version: int) -> FetchAnswer:
    """What kafka-python's codec makes of it, in our types."""
    seen = FetchResponse.decode(body, version=version)
    return FetchAnswer(
        error_code=seen.error_code or 0,
        throttle_seconds=(seen.throttle_time_ms or 0) / 1000,
        partitions=tuple(
            FetchedPartition(
                partition=TopicPartition(TopicName(topic.topic), one.partition_index),
                error_code=one.error_code, log_start=one.log_start_offset, last_stable=one.last_stable_offset,
                end=one.high_watermark,
                aborted=tuple(
                    AbortedTransaction(a.producer_id, a.first_offset) for a in one.aborted_transactions or ()
                ),
                records=memoryview(one.records or b""),
            )
            for topic in seen.responses for one in topic.partitions
        ),
    )  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_reads_what_the_codec_reads(version: int) -> None:
    """In every version we may speak, field by field and byte by byte."""
    rng = random.Random(version)
    seen_partitions = 0
    for _ in range(40):
        body = bytes(make_response(version, rng).encode(version=version))
        answer = read_fetch(memoryview(bytearray(body)), version)
        assert answer == read_with_codec(body, version)
        seen_partitions += len(answer.partitions)
    assert seen_partitions > 40


@pytest.mark.parametrize("version", VERSIONS)
def test_a_cut_answer_is_refused(version: int) -> None:
    """Cut anywhere, an answer is corrupt and never a shorter one; no other error comes out."""
    rng = random.Random(7)
    bodies = [bytes(make_response(version, rng, sizes=(20,)).encode(version=version)) for _ in range(8)]
    body = max(bodies, key=len)[:2000]
    assert len(body) > 100
    call = call_fetch(
        [FetchSpot(TopicPartition(TopicName("t"), 0), 0, 100)], is_committed_only=True, max_bytes=100, max_wait_ms=1
    )
    head = (5).to_bytes(4, "big") + (b"\0" if version >= 12 else b"")
    for size in range(len(body) - 1):
        with pytest.raises(DataCorrupt):
            call.decode(memoryview(head + body[:size]), version=version, correlation_id=5)


def test_large_records_are_views_and_small_ones_copies() -> None:
    """What fills the frame is not copied; a few bytes do not keep a frame of megabytes alive."""
    part = FetchResponse.FetchableTopicResponse.PartitionData
    big, small = b"a" * 100_000, b"b" * 50
    response = FetchResponse(
        version=12, throttle_time_ms=0, error_code=0, session_id=0,
        responses=[FetchResponse.FetchableTopicResponse(version=12, topic="t", partitions=[
            part(
                version=12, partition_index=index, error_code=0, high_watermark=1, last_stable_offset=1,
                log_start_offset=0, preferred_read_replica=-1, aborted_transactions=None, records=records,
            )
            for index, records in enumerate([big, small])
        ])],
    )  # fmt: skip
    frame = bytearray(response.encode(version=12))
    first, second = read_fetch(memoryview(frame), 12).partitions
    assert first.records.readonly
    frame[frame.index(b"aaaa")] = ord("c")
    frame[frame.index(b"bbbb")] = ord("c")
    assert bytes(first.records[:2]) == b"ca"
    assert bytes(second.records) == small
