"""Snapshot → verify → restore under another name, on either cluster: the same records, in the same order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from replicator.clock import SYSTEM_CLOCK, Deadline
from replicator.kafka import Outgoing
from replicator.model.archive.snapshots import VerifyLevel
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.snapshot import Repository, RestoreRequest, verify_snapshot
from replicator.wire import count_visible
from replicator.wire.committing import commit_with_metadata, read_metadata

pytestmark = pytest.mark.lab

LONG_AGO = 1_357_000_000_000  # 2013: any retention would have deleted it


def odd_records(topic: TopicName, *, seed: int, count: int = 400, partitions: int = 2) -> list[Outgoing]:
    """Records with every oddity a producer can send: null and empty keys, values and headers, times out of order."""
    rng = random.Random(seed)
    blobs = [None, b"", b"\x00", b"text", rng.randbytes(3000), b"A" * 20_000]
    names = ["h", "", "ключ", "h"]
    return [
        Outgoing(
            topic,
            rng.choice(blobs[:5]),
            rng.choice(blobs),
            partition=rng.randrange(partitions),
            headers=tuple((rng.choice(names), rng.choice(blobs[:4])) for _ in range(rng.randrange(4))),
            timestamp_ms=LONG_AGO + rng.randrange(-1000, 10_000_000),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_each_codec_comes_back_on_both_clusters(desk, names, codec: str) -> None:
    """Whatever codec the producer chose, keys, values, headers, times and order return on both clusters."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(odd_records(topic, seed=1), **{"compression.type": codec})
    original = desk.read(topic)
    assert sum(map(len, original)) == 400
    manifest = desk.create(topic)
    assert manifest.totals.records == 400
    for cluster in ("west", "east"):
        target = names.topic(f"back-{cluster}")
        report = desk.restore(manifest.id, {topic: target}, on=cluster)
        assert report.written_records == 400
        assert desk.read(target, on=cluster) == original
    codecs = {codec for _tp, chunk in manifest.chunks() for codec in chunk.facts.codecs}
    assert codec in codecs


def test_aborted_records_and_markers_never_return(desk, names) -> None:
    """Of committed and aborted transactions, interleaved, only the committed records come back."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    write_interleaved_transactions(desk, topic, names.prefix)
    original = desk.read(topic, partitions=1)
    assert {value for _time, _key, value, _headers in original[0]} == {b"kept"}
    manifest = desk.create(topic)
    facts = [chunk.facts for _tp, chunk in manifest.chunks()]
    assert sum(fact.markers for fact in facts) >= 4, "transactions left their markers in the captured bytes"
    assert any(chunk.aborted for _tp, chunk in manifest.chunks())
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    assert desk.read(target, partitions=1, on="west") == original
    tp = TopicPartition(target, 0)
    end = desk.cluster("west").positions.ends([tp], Deadline.after(30))[tp].end
    everything = desk.cluster("west").read_range(tp, 0, end, deadline=Deadline.after(30), is_committed_only=False)
    assert [record.value for record in everything.records] == [b"kept"] * len(original[0])
    assert end == len(original[0]), "no marker was written"


def write_interleaved_transactions(desk, topic: TopicName, prefix: str) -> None:
    """Two producers whose transactions overlap in one partition: one commits, one aborts, three times over."""
    from confluent_kafka import Producer

    bootstrap = desk.cluster().access.bootstrap
    good, bad = (
        Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{prefix}-{name}"}) for name in ("good", "bad")
    )
    for producer in (good, bad):
        producer.init_transactions(30)
    for _round in range(3):
        for producer in (good, bad):
            producer.begin_transaction()
        for _ in range(5):
            good.produce(topic, b"kept", partition=0)
            good.flush(30)
            bad.produce(topic, b"dropped", partition=0)
            bad.flush(30)
        bad.abort_transaction(30)
        good.produce(topic, b"kept", partition=0)
        good.flush(30)
        good.commit_transaction(30)


def test_open_transaction_stays_outside(desk, names) -> None:
    """The cut is the last stable offset: what an open transaction wrote is not in the snapshot."""
    from confluent_kafka import Producer

    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write([Outgoing(topic, b"k", b"before", partition=0)])
    producer = Producer({"bootstrap.servers": desk.cluster().access.bootstrap, "transactional.id": names.prefix})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(30)
    manifest = desk.create(topic)
    producer.abort_transaction(30)
    assert manifest.totals.records == 1
    assert manifest.topics[0].partitions[0].high_watermark == 2
    assert manifest.topics[0].partitions[0].end == 1


def test_compacted_topic_with_holes_returns(desk, names) -> None:
    """Batches that compaction made sparse are rebuilt: the records that are left return in order, tombstones too."""
    topic = desk.make_topic(
        names.topic("t"),
        partitions=1,
        cleanup_policy="compact",
        min_cleanable_dirty_ratio="0.01",
        segment_ms="500",
        max_compaction_lag_ms="1000",
        delete_retention_ms="86400000",
    )
    make_holes(desk, topic)
    deadline, original = Deadline.after(60), None
    while original != desk.read(topic, partitions=1):
        deadline.check("the log cleaner does not rest")
        original = desk.read(topic, partitions=1)
        desk.repository = fresh_repository(desk)  # built upon, an older snapshot keeps what was compacted since
        manifest = desk.create(topic)
    rebuilt = sum(chunk.facts.rebuilds for _tp, chunk in manifest.chunks())
    assert rebuilt > 0, "the captured bytes hold sparse batches"
    assert manifest.totals.records == len(original[0])
    target = names.topic("back")
    report = desk.restore(manifest.id, {topic: target})
    assert report.topics[0].rebuilt_batches == rebuilt
    assert desk.read(target, partitions=1, on="west") == original
    settings = desk.cluster("west").topics.configs([target], Deadline.after(30))[target]
    assert settings["cleanup.policy"].value == "compact"


def fresh_repository(desk) -> Repository:
    """A repository in which nothing is, beside the desk's."""
    folder = desk.folder.parent / f"fresh-{len(list(desk.folder.parent.iterdir()))}"
    return Repository.init(str(folder), clock=SYSTEM_CLOCK, tool="test")[0]


def make_holes(desk, topic: TopicName) -> None:
    """Write until the cleaner has left a batch with fewer records than offsets."""
    tp = TopicPartition(topic, 0)
    deadline = Deadline.after(60)
    round_number = 0
    while True:
        keys = [b"%d" % ((round_number * 37 + n) % 150) for n in range(100)]
        values = [None if n % 10 == 0 else b"v%d-%d" % (round_number, n) for n in range(100)]
        desk.write([Outgoing(topic, k, v, partition=0) for k, v in zip(keys, values, strict=True)])
        round_number += 1
        fetched = desk.raw().fetch(tp, 0, deadline=deadline, max_bytes=1 << 20)
        from replicator.wire.format.batches import walk_batches

        sparse = [b for b in walk_batches(fetched.records) if 0 < b.header.record_count <= b.header.last_offset_delta]
        if sparse and round_number > 3:
            return
        deadline.check("waiting for the log cleaner")
        SYSTEM_CLOCK.sleep(0.3)


def test_append_times_return_as_readers_saw_them(desk, names) -> None:
    """On a LogAppendTime topic the broker's times are the records' times; rebuilt in every codec, they come back."""
    topic = desk.make_topic(names.topic("t"), message_timestamp_type="LogAppendTime")
    for codec in ("none", "gzip", "snappy", "lz4", "zstd"):
        desk.write(odd_records(topic, seed=2, count=60), **{"compression.type": codec})
    original = desk.read(topic)
    assert all(time > LONG_AGO + 10**11 for partition in original for time, *_rest in partition)
    manifest = desk.create(topic)
    rebuilt = [chunk.facts for _tp, chunk in manifest.chunks()]
    assert {codec for facts in rebuilt for codec in facts.codecs} == {"none", "gzip", "snappy", "lz4", "zstd"}
    assert all(facts.rebuilds == facts.batches for facts in rebuilt)
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    assert desk.read(target, on="west") == original
    settings = desk.cluster("west").topics.configs([target], Deadline.after(30))[target]
    assert settings["message.timestamp.type"].value == "LogAppendTime"


def test_empty_partitions_and_topics_return(desk, names) -> None:
    """A partition without records is captured and comes back as one."""
    topic = desk.make_topic(names.topic("t"), partitions=3)
    desk.write([Outgoing(topic, b"k", b"v", partition=1)])
    manifest = desk.create(topic)
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    original = desk.read(topic, partitions=3)
    assert [len(partition) for partition in original] == [0, 1, 0]
    assert desk.read(target, partitions=3, on="west") == original


def test_log_start_inside_a_batch(desk, names) -> None:
    """Records before the log start are not captured, even where they share a batch with records that are."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write(
        [Outgoing(topic, b"k", b"%d" % n, partition=0) for n in range(100)], **{"linger.ms": 500, "batch.size": 1 << 20}
    )
    tp = TopicPartition(topic, 0)
    desk.cluster().positions.delete_records({tp: 37}, Deadline.after(30))
    manifest = desk.create(topic)
    assert manifest.totals.records == 63
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    assert [value for _t, _k, value, _h in desk.read(target, partitions=1, on="west")[0]] == [
        b"%d" % n for n in range(37, 100)
    ]


def test_large_records_return(desk, names) -> None:
    """Records beyond a megabyte are captured whole, and the target is made to take them."""
    topic = desk.make_topic(names.topic("t"), partitions=1, max_message_bytes="8000000")
    big = random.Random(3).randbytes(4_000_000)
    desk.write([Outgoing(topic, b"k", big, partition=0)] * 3, **{"message.max.bytes": 8_000_000})
    manifest = desk.create(topic)
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    assert desk.read(target, partitions=1, on="west") == [[*desk.read(topic, partitions=1)[0]]]


def test_settings_and_groups_are_captured(desk, names) -> None:
    """What was set on a topic returns with it; group positions are in the snapshot and not beyond its data."""
    topic = desk.make_topic(names.topic("t"), partitions=1, segment_bytes="12345678")
    desk.write([Outgoing(topic, b"k", b"v", partition=0)] * 5)
    group = names.group("g")
    desk.cluster().groups.commit(group, {TopicPartition(topic, 0): 3}, Deadline.after(30))
    manifest = desk.create(topic)
    groups = desk.repository.read_state(manifest, "groups")["groups"]
    assert [(row["group"], row["offsets"]) for row in groups if row["group"] == group] == [(group, [[topic, 0, 3]])]
    assert manifest.warnings == ()
    target = names.topic("back")
    desk.restore(manifest.id, {topic: target})
    settings = desk.cluster("west").topics.configs([target], Deadline.after(30))[target]
    own = {key: config.value for key, config in settings.items() if not config.is_default}
    assert own == {"retention.ms": "-1", "segment.bytes": "12345678"}


def test_what_consumers_left_with_positions_returns(desk, names) -> None:
    """Metadata of a commit is captured and restored letter by letter, also when the restore is run again."""
    topic, target, group = desk.make_topic(names.topic("t")), names.topic("back"), names.group("g")
    desk.write([Outgoing(topic, b"k", b"v", partition=n % 2) for n in range(6)])
    text = '{"state": "größer", "empty": ""}'
    positions = {TopicPartition(topic, 0): (2, text), TopicPartition(topic, 1): (3, "")}
    commit_with_metadata(desk.raw(), group, positions, deadline=Deadline.after(30))
    manifest = desk.create(topic)
    request = RestoreRequest(
        topics=Selection(include=(topic,)), renames={topic: target}, groups=Selection(include=(group,))
    )
    for _ in range(2):
        desk.restorer().apply(desk.restorer().plan(manifest.id, request))
        seen = desk.cluster("west").groups.committed([group], Deadline.after(30))[group]
        assert seen.committed == {TopicPartition(target, 0): 2, TopicPartition(target, 1): 3}
        left = read_metadata(desk.raw("west"), {group: seen.committed}, deadline=Deadline.after(30))
        assert left == {group: {TopicPartition(target, 0): text}}


def test_what_is_left_with_positions_ends_where_it_ends(desk, names) -> None:
    """Texts of every length, without a NUL behind them as Java's consumers leave them; nothing of a moved position."""
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"k", b"v", partition=n % 2) for n in range(6)])
    texts = {names.group(f"g{size}"): "ö" * size for size in (1, 7, 8, 20, 33, 500)}
    for group, text in texts.items():
        commit_with_metadata(desk.raw(), group, {TopicPartition(topic, 0): (2, text)}, deadline=Deadline.after(30))
    stands = {group: {TopicPartition(topic, 0): 2} for group in texts}
    expected = {group: {TopicPartition(topic, 0): text} for group, text in texts.items()}
    assert read_metadata(desk.raw(), stands, deadline=Deadline.after(30)) == expected
    moved = {group: {TopicPartition(topic, 0): 1} for group in texts}
    assert read_metadata(desk.raw(), moved, deadline=Deadline.after(30)) == {}
    nobody = {names.group("nobody"): {TopicPartition(topic, 0): 2}}
    assert read_metadata(desk.raw(), nobody, deadline=Deadline.after(30)) == {}


def test_groups_go_on_exactly_where_they_stood(desk, names) -> None:
    """Over aborted data and markers a restored group gets just the records it had not read; one that moved is left."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    write_interleaved_transactions(desk, topic, names.prefix)
    cluster, west, tp = desk.cluster(), desk.cluster("west"), TopicPartition(topic, 0)
    end = desk.raw().read_ends([tp], deadline=Deadline.after(30))[tp].end
    seen = cluster.read_range(tp, 0, end, deadline=Deadline.after(30), records_max=10_000).records
    groups = {names.group(f"at-{offset}"): offset for offset in (0, seen[1].offset, seen[2].offset + 1, end)}
    for group, offset in groups.items():
        cluster.groups.commit(group, {tp: offset}, Deadline.after(30))
    manifest = desk.create(topic)
    target = names.topic("back")
    request = RestoreRequest(
        topics=Selection(include=(topic,)), renames={topic: target}, groups=Selection(include=(f"{names.prefix}*",))
    )
    report = desk.restorer().apply(desk.restorer().plan(manifest.id, request))
    assert set(report.groups) == set(groups)
    there = TopicPartition(target, 0)
    stand = west.groups.committed(groups, Deadline.after(30))
    for group, offset in groups.items():
        place = stand[group].committed[there]
        rest = west.read_range(there, place, len(seen), deadline=Deadline.after(30), records_max=10_000).records
        assert [r.timestamp_ms for r in rest] == [r.timestamp_ms for r in seen if r.offset >= offset], group
    assert desk.restorer().apply(desk.restorer().plan(manifest.id, request)).groups == report.groups
    moved = next(iter(groups))
    west.groups.commit(moved, {there: 1}, Deadline.after(30))
    assert f"group {moved} stands at" in desk.restorer().plan(manifest.id, request).refusals[0]


def test_unchanged_data_costs_nothing(desk, names) -> None:
    """A second snapshot stores only what came since, and both restore to what was there at their time."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(odd_records(topic, seed=4, count=3000))
    first = desk.create(topic)
    before = desk.read(topic)
    packs = sorted(path.name for path in (desk.folder / "packs").rglob("*") if path.is_file())
    again = desk.create(topic)
    assert again.totals.new_bytes == again.totals.new_packs == 0
    assert again.totals.records == first.totals.records
    assert again.parent == first.id
    assert sorted(path.name for path in (desk.folder / "packs").rglob("*") if path.is_file()) == packs
    desk.write(odd_records(topic, seed=5, count=50))
    after = desk.read(topic)
    third = desk.create(topic)
    assert 0 < third.totals.new_bytes < first.totals.new_bytes / 4
    for manifest, expected in ((first, before), (again, before), (third, after)):
        target = names.topic(f"back-{manifest.id[-6:]}")
        desk.restore(manifest.id, {topic: target})
        assert desk.read(target, on="west") == expected


def test_topic_made_anew_starts_over(desk, names) -> None:
    """A topic that was deleted and made again shares no offset history with the old one."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    desk.write([Outgoing(topic, b"k", b"old", partition=0)] * 10)
    first = desk.create(topic)
    desk.cluster().topics.delete([topic], Deadline.after(30))
    desk.make_topic(topic, partitions=1)
    desk.write([Outgoing(topic, b"k", b"new", partition=0)] * 20)
    second = desk.create(topic)
    assert first.topics[0].topic_id != second.topics[0].topic_id
    assert second.parent is None
    target = names.topic("back")
    desk.restore(second.id, {topic: target})
    assert [value for _t, _k, value, _h in desk.read(target, partitions=1, on="west")[0]] == [b"new"] * 20


def test_visible_records_are_counted_without_opening_batches(desk, names) -> None:
    """The count of visible records in a span equals what a committed-only reader receives, markers left out."""
    topic = desk.make_topic(names.topic("t"), partitions=1)
    write_interleaved_transactions(desk, topic, names.prefix)
    tp = TopicPartition(topic, 0)
    end = desk.raw().read_ends([tp], deadline=Deadline.after(30))[tp].last_stable
    assert end > 18
    for low, high in ((0, end), (3, end - 2), (end // 2, end), (end, end)):
        seen = desk.cluster().read_range(tp, low, high, deadline=Deadline.after(30)).records if low < high else ()
        counted = count_visible(desk.raw(), tp, from_offset=low, to_offset=high, deadline=Deadline.after(30))
        assert (counted.visible_records, counted.to_offset) == (len(seen), high)


def test_verify_passes_at_every_level(desk, names) -> None:
    """A snapshot that was just taken is proven down to its batches."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(odd_records(topic, seed=6))
    manifest = desk.create(topic)
    for level in VerifyLevel:
        report = verify_snapshot(desk.repository, manifest.id, level=level, clock=SYSTEM_CLOCK)
        assert report.is_ok
        assert report.chunks == report.chunks_ok == len(manifest.chunks())
    assert report.checked_bytes == manifest.totals.stored_bytes


def test_folder_holds_no_residue(desk, names) -> None:
    """Nothing but named objects is left in the folder."""
    topic = desk.make_topic(names.topic("t"))
    desk.write(odd_records(topic, seed=7))
    desk.create(topic)
    files = [path.relative_to(desk.folder) for path in Path(desk.folder).rglob("*") if path.is_file()]
    assert {file.parts[0] for file in files} == {"repository.json", "manifests", "states", "packs"}
    assert not [file for file in files if file.name.startswith(".")]
