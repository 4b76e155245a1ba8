"""Batches counted many at a time amount to the same as counted one by one."""

from __future__ import annotations

import random

from replicator.snapshot.facts import FactsBuilder, Treatment, is_plain, treat_batch
from replicator.wire.format.batches import Batch, BatchHeader

START, STOP = 100, 1000
ATTRIBUTES = (0x00, 0x01, 0x03, 0x04, 0x08, 0x10, 0x20, 0x30, 0x40, 0x48)


def make_header(rng: random.Random) -> BatchHeader:
    """A header of any kind: inside the span or across its ends, dense or with holes, empty, of every attribute."""
    delta = rng.choice([0, 1, 9])
    count = rng.choice([delta + 1, delta + 1, delta, 0])
    base, first = rng.randrange(START - 20, STOP + 20), rng.randrange(10_000)
    return BatchHeader(
        base, 49 + rng.randrange(5000), 0, 2, 0, rng.choice(ATTRIBUTES), delta, first, first + rng.randrange(50),
        7, 0, 0, count,
    )  # fmt: skip


def test_plain_batches_are_those_that_go_raw_and_they_add_up_alike() -> None:
    """No batch is plain that one look more would not send raw; the facts do not tell how they were counted."""
    rng = random.Random(5)
    headers = [make_header(rng) for _ in range(5000)]
    plain = [header for header in headers if is_plain(header, start=START, stop=STOP)]
    assert 200 < len(plain) < len(headers) - 200
    for header in plain:
        assert treat_batch(header, start=START, stop=STOP, is_aborted=False) is Treatment.RAW
    at_once, singly = FactsBuilder(start=START, stop=STOP), FactsBuilder(start=START, stop=STOP)
    for piece in (plain[:0], plain[:1], plain[1:90], plain[90:]):
        at_once.add_plain(piece)
    for header in plain:
        singly.add(Batch(header, memoryview(b"")), is_aborted=False)
    assert at_once.build() == singly.build()
    assert at_once.build().batches == len(plain)
    assert FactsBuilder(start=START, stop=STOP).build().max_timestamp_ms is None


def test_what_is_not_plain_goes_raw_only_for_its_bits() -> None:
    """Of all batches that go raw, only transactional ones and those with a delete horizon are looked at singly."""
    rng = random.Random(6)
    for _ in range(5000):
        header = make_header(rng)
        is_raw = treat_batch(header, start=START, stop=STOP, is_aborted=False) is Treatment.RAW
        assert is_plain(header, start=START, stop=STOP) == (is_raw and not header.attributes & 0x50)
