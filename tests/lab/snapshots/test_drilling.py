"""A snapshot drilled: restored to a cluster, read back by a client, compared record by record."""

from __future__ import annotations

import random

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.errors import PreflightBlocked
from replicator.kafka import Outgoing
from replicator.model.flow import Selection
from replicator.model.names import TopicPartition
from replicator.snapshot import Progress, Stage, drill_snapshot, say_nothing
from replicator.snapshot.drilling import OrderedDigest
from replicator.wire.format.records import RawRecord

pytestmark = pytest.mark.lab
SECONDS = 90.0


def drill(desk, snapshot, *topics: str, report=say_nothing):
    """Drill these topics of a snapshot on west."""
    return drill_snapshot(
        desk.repository, snapshot.id, desk.cluster("west"), desk.raw("west"), clock=SYSTEM_CLOCK,
        deadline=Deadline.after(SECONDS), topics=Selection(include=topics), report=report,
    )  # fmt: skip


def fill(desk, names) -> tuple:
    """Two topics of two partitions: random nulls, empties and headers; one compacted, stamped by the broker."""
    rng = random.Random(7)
    plain = desk.make_topic(names.topic("plain"))
    table = desk.make_topic(names.topic("table"), cleanup_policy="compact", message_timestamp_type="LogAppendTime")
    desk.write(
        [
            Outgoing(
                topic,
                rng.choice([None, b"", b"k%d" % (n % 5)]) if topic == plain else b"k%d" % (n % 5),
                rng.choice([None, b"", rng.randbytes(50)]),
                partition=n % 2,
                headers=(("h", None), ("é", b"\xff")) if n % 3 else (),
            )
            for topic in (plain, table)
            for n in range(400)
        ]
    )
    return plain, table


def test_everything_comes_back_as_a_client_reads_it(desk, names) -> None:
    """Tombstones, headers, nulls, append times, a group: all equal; a cluster that is not empty is refused."""
    topics, group = fill(desk, names), names.group("g")
    desk.cluster().groups.commit(group, {TopicPartition(topics[1], 0): 7}, Deadline.after(SECONDS))
    snapshot = desk.create(*topics)
    found = drill(desk, snapshot, *topics)
    assert found.is_ok, found
    assert (found.records, found.groups) == (snapshot.totals.records, (group,))
    assert len({one.digest for one in found.partitions}) == 4


def test_a_cluster_that_is_not_empty_is_no_scratch(desk, names) -> None:
    """A topic of that name with records of its own: refused, and left as it was."""
    topic = names.topic("taken")
    for side, count in (("east", 1), ("west", 2)):
        desk.make_topic(topic, on=side)
        desk.write([Outgoing(topic, b"k", side.encode(), partition=0)] * count, on=side)
    with pytest.raises(PreflightBlocked, match="no empty one"):
        drill(desk, desk.create(topic), topic)
    assert [value for _time, _key, value, _headers in desk.read(topic, on="west")[0]] == [b"west"] * 2


def test_what_did_not_come_back_is_told_by_partition(desk, names) -> None:
    """A record that is not the snapshot's, written after the restore: its partition differs, the others do not."""
    topics = fill(desk, names)
    snapshot = desk.create(*topics)
    seen = []

    def disturb(progress: Progress) -> None:
        if progress.stage is Stage.COMPARE and progress.total == 4 and not seen:
            seen.append(progress)
            desk.write([Outgoing(topics[1], b"k", b"a stranger's", partition=1)], on="west")

    found = drill(desk, snapshot, *topics, report=disturb)
    assert seen
    assert not found.is_ok
    (bad,) = [one for one in found.partitions if not one.is_same]
    assert (bad.topic, bad.partition, bad.found_records - bad.records) == (topics[1], 1, 1)


@pytest.mark.parametrize(
    "changed",
    [
        RawRecord(0, 2, b"k", b"v", (("h", None),)),
        RawRecord(0, 1, None, b"v", (("h", None),)),
        RawRecord(0, 1, b"", b"v", (("h", None),)),
        RawRecord(0, 1, b"kv", b"", (("h", None),)),
        RawRecord(0, 1, b"k", None, (("h", None),)),
        RawRecord(0, 1, b"k", b"v", (("h", b""),)),
        RawRecord(0, 1, b"k", b"v", ()),
        RawRecord(0, 1, b"k", b"v", (("h", None), ("h", None))),
    ],
)
def test_any_difference_changes_the_digest(changed: RawRecord) -> None:
    """Time, null or empty, where one field ends, headers, and order."""
    record = RawRecord(5, 1, b"k", b"v", (("h", None),))
    same = RawRecord(9, 1, b"k", b"v", (("h", None),))
    assert digest_of(record, same) == digest_of(same, record)
    assert digest_of(record) != digest_of(changed)
    assert digest_of(record, changed) != digest_of(changed, record)


def digest_of(*records: RawRecord) -> str:
    """The digest of records in that order."""
    digest = OrderedDigest()
    for record in records:
        digest.add(record)
    return digest.hexdigest()
