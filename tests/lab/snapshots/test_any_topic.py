"""Whatever a topic holds, a snapshot of it restores to the same: record by record, with exact offsets offset by offset.

Topics are drawn from a seed: codecs, null and empty keys, values and headers, tombstones, times out of order, committed
and aborted transactions, compaction, LogAppendTime, records of megabytes, deleted beginnings, partitions without any.
A few seeds run with every test run; the rest, marked long, in `make long`. A failure prints its seed.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import Outgoing
from replicator.model.archive.restores import OffsetRule, RestoreAction
from replicator.model.archive.snapshots import Manifest, VerifyLevel
from replicator.model.flow import Selection
from replicator.model.names import GroupName, TopicName, TopicPartition
from replicator.snapshot import RestoreRequest, verify_snapshot
from tests.lab.snapshots.test_exact import look
from tests.lab.snapshots.test_round_trip import LONG_AGO, make_holes

pytestmark = pytest.mark.lab

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
KINDS = ("plain", "append_time", "large")
SHORT = range(3)
LONG = range(3, 43)
EVERYTHING = {*(f"codec {codec}" for codec in CODECS), "large", "committed", "aborted", "deleted", *KINDS}
"""What the short seeds together must have done: a generator that draws nothing proves nothing."""
LARGE_BYTES = 8_000_000


@dataclass
class Story:
    """One topic, what was done to it so far, and chance."""

    topic: TopicName
    partitions: int
    kind: str
    rng: random.Random
    done: Counter[str]

    def records(self, count: int) -> list[Outgoing]:
        """Records as odd as producers can send them, over all partitions but the last, which stays empty."""
        rng = self.rng
        keys = [None, b"", b"\x00\xff", b"key", rng.randbytes(20)]
        values = [None, b"", b"text", rng.randbytes(rng.randrange(3000)), b"A" * rng.randrange(30_000)]
        heads = ["h", "", "ключ", "h\n"]
        return [
            Outgoing(
                self.topic,
                rng.choice(keys),
                rng.choice(values),
                partition=rng.randrange(max(1, self.partitions - 1)),
                headers=tuple((rng.choice(heads), rng.choice(values[:3])) for _ in range(rng.randrange(3))),
                timestamp_ms=LONG_AGO + rng.randrange(-10_000, 10_000_000),
            )
            for _ in range(count)
        ]


def write_plain(desk, story: Story, prefix: str) -> None:
    """Some records in batches of a random size, by each codec in a random order."""
    for codec in story.rng.sample(CODECS, len(CODECS)):
        size = story.rng.choice([1, 2000, 100_000])
        desk.write(story.records(story.rng.randrange(1, 40)), **{"compression.type": codec, "batch.size": size})
        story.done[f"codec {codec}"] += 1


def write_large(desk, story: Story, prefix: str) -> None:
    """A record of megabytes, compressible or not, where the topic takes one."""
    if story.kind != "large":
        return write_plain(desk, story, prefix)
    size = story.rng.randrange(1_500_000, 5_000_000)
    value = story.rng.randbytes(size) if story.rng.random() < 0.5 else b"B" * size
    desk.write([Outgoing(story.topic, b"large", value, partition=0)], **{"message.max.bytes": LARGE_BYTES})
    story.done["large"] += 1
    return None


def write_transactions(desk, story: Story, prefix: str) -> None:
    """Two transactions that overlap, each committed or aborted, with plain records between them."""
    from confluent_kafka import Producer

    rng = story.rng
    base = {"bootstrap.servers": desk.cluster().access.bootstrap, "compression.type": rng.choice(CODECS)}
    producers = [Producer({**base, "transactional.id": f"{prefix}-{n}-{rng.random()}"}) for n in range(2)]
    for producer in producers:
        producer.init_transactions(30)
        producer.begin_transaction()
    for record in story.records(rng.randrange(2, 60)):
        rng.choice(producers).produce(
            record.topic, record.value, record.key, record.partition, headers=list(record.headers),
            timestamp=record.timestamp_ms or LONG_AGO,
        )  # fmt: skip
        if rng.random() < 0.2:
            for producer in producers:
                producer.flush(30)
    for producer in producers:
        producer.flush(30)
    desk.write(story.records(3))
    for producer in rng.sample(producers, 2):
        is_committed = rng.random() < 0.5
        (producer.commit_transaction if is_committed else producer.abort_transaction)(30)
        story.done["committed" if is_committed else "aborted"] += 1


def delete_beginning(desk, story: Story, prefix: str) -> None:
    """The log start of one partition moves up, often into a batch, sometimes to the end."""
    tp = TopicPartition(story.topic, story.rng.randrange(story.partitions))
    ends = desk.cluster().positions.ends([tp], Deadline.after(30))[tp]
    upto = ends.end if story.rng.random() < 0.15 else story.rng.randint(ends.log_start, ends.log_start + 20)
    if ends.log_start < min(upto, ends.end):
        desk.cluster().positions.delete_records({tp: min(upto, ends.end)}, Deadline.after(30))
        story.done["deleted"] += 1


ACTS: tuple[Callable[..., None], ...] = (
    write_plain, write_plain, write_transactions, write_transactions, write_large, delete_beginning,
)  # fmt: skip


def begin(desk, names, seed: int) -> Story:
    """An empty topic drawn from the seed."""
    rng = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    settings = {
        "append_time": {"message_timestamp_type": "LogAppendTime"},
        "large": {"max_message_bytes": str(LARGE_BYTES)},
    }.get(kind, {})
    partitions = rng.randint(1, 4)
    topic = desk.make_topic(names.topic(f"s{seed}"), partitions=partitions, **settings)
    return Story(topic, partitions, kind, rng, Counter({kind: 1}))


def go_on(desk, story: Story, prefix: str, acts: int) -> None:
    """So many more acts on the topic."""
    for _ in range(acts):
        story.rng.choice(ACTS)(desk, story, prefix)


def place_groups(desk, names, story: Story) -> dict[GroupName, dict[TopicPartition, int]]:
    """Groups at random offsets of every partition, holes and the ends among them."""
    parts = [TopicPartition(story.topic, number) for number in range(story.partitions)]
    ends = desk.cluster().positions.ends(parts, Deadline.after(30))
    placed = {}
    for number in range(3):
        group = names.group(f"g{number}")
        placed[group] = {tp: story.rng.randint(one.log_start, one.last_stable) for tp, one in ends.items()}
        desk.cluster().groups.commit(group, placed[group], Deadline.after(30))
    return placed


def check_both_ways(desk, names, manifest: Manifest, topic: TopicName, partitions: int, groups) -> None:
    """Restored remapped and exact: equal, groups with just the same records before them, and again nothing to do."""
    assert verify_snapshot(desk.repository, manifest.id, level=VerifyLevel.RECORDS, clock=SYSTEM_CLOCK).is_ok
    original = look(desk, topic, "east", partitions)
    assert manifest.totals.records == sum(len(part[3]) for part in original)
    for way in OffsetRule:
        target = names.topic(f"{topic.rsplit('.', 1)[-1]}-{way}")
        request = RestoreRequest(
            topics=Selection(include=(topic,)),
            renames={topic: target},
            groups=Selection(include=tuple(groups) or ("nobody",)),
            offsets=way,
        )
        desk.restorer().apply(desk.restorer().plan(manifest.id, request))
        found = look(desk, target, "west", partitions)
        if way is OffsetRule.EXACT:
            assert found == original
        assert [[r[1:] for r in part[3]] for part in found] == [[r[1:] for r in part[3]] for part in original]
        stand = desk.cluster("west").groups.committed(list(groups), Deadline.after(30)) if groups else {}
        for group, places in groups.items():
            for tp, offset in places.items():
                there = stand[group].committed[TopicPartition(target, tp.partition)]
                before = sum(record[0] < offset for record in original[tp.partition][3])
                assert sum(record[0] < there for record in found[tp.partition][3]) == before
                assert way is OffsetRule.REMAP or there == offset
            desk.cluster("west").groups.delete([group], Deadline.after(30))
        again = desk.restorer().plan(manifest.id, request)
        assert again.topics[0].action in (RestoreAction.COMPARE, RestoreAction.FILL)
        assert desk.restorer().apply(again).written_records == 0


def check_seed(desk, names, seed: int) -> Counter[str]:
    """A topic drawn from the seed, captured in two steps, comes back both ways; return what was done to it."""
    story = begin(desk, names, seed)
    write_large(desk, story, names.prefix)
    write_transactions(desk, story, names.prefix)
    go_on(desk, story, names.prefix, story.rng.randint(0, 2))
    desk.create(story.topic)
    go_on(desk, story, names.prefix, story.rng.randint(1, 3))
    groups = place_groups(desk, names, story)
    manifest = desk.create(story.topic)
    print(f"seed {seed}: {manifest.totals.records} records, {dict(story.done)}")
    check_both_ways(desk, names, manifest, story.topic, story.partitions, groups)
    return story.done


def test_any_topic_comes_back_both_ways(desk, names) -> None:
    """Captured in two steps, the second built upon the first, and restored remapped and exact: nothing differs; and
    among the topics is every oddity there is."""
    done = Counter[str]()
    for seed in SHORT:
        done += check_seed(desk, names, seed)
    assert set(done) >= EVERYTHING


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG)
def test_any_other_topic_comes_back_both_ways(desk, names, seed: int) -> None:
    """As above, for many more topics."""
    assert check_seed(desk, names, seed)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 4))])
def test_any_compacted_topic_comes_back_both_ways(desk, names, seed: int) -> None:
    """What the cleaner has left, tombstones and transactions too; it rests while both sides are compared."""
    topic = desk.make_topic(
        names.topic("t"), partitions=1, cleanup_policy="compact", min_cleanable_dirty_ratio="0.01", segment_ms="500",
        max_compaction_lag_ms="1000", delete_retention_ms="86400000",
    )  # fmt: skip
    story = Story(topic, 1, "plain", random.Random(seed), Counter())
    story.records = lambda count: [  # type: ignore[method-assign]  # a compacted topic takes no null key
        Outgoing(topic, b"%d" % story.rng.randrange(40), story.rng.choice([None, b"", b"v"]), partition=0)
        for _ in range(count)
    ]
    for _ in range(3):
        write_transactions(desk, story, names.prefix)
    make_holes(desk, topic)
    desk.cluster().topics.alter_configs(topic, {"cleanup.policy": "delete"}, Deadline.after(30))
    deadline, seen = Deadline.after(90), None
    while seen != (now := look(desk, topic, "east", 1)):
        deadline.check("the log cleaner does not rest")
        seen, manifest = now, desk.create(topic)
    assert any(chunk.facts.rebuilds for _tp, chunk in manifest.chunks()), "sparse batches were captured"
    check_both_ways(desk, names, manifest, topic, 1, {})
