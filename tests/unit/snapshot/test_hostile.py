"""Manifests, states and chunks made by somebody who can write to the store: refused in words, never followed."""

from __future__ import annotations

import resource
from dataclasses import replace

import cramjam
import pytest

from replicator.errors import DataCorrupt, ReplicatorError
from replicator.model.archive.snapshots import VerifyLevel
from replicator.model.flow import Selection
from replicator.model.names import SnapshotId, TopicName
from replicator.snapshot import ExportFormat, export_snapshot, verify_snapshot
from replicator.snapshot.repository import Keys
from replicator.snapshot.repository.ciphers import digest_of
from replicator.snapshot.repository.manifest import write_manifest
from replicator.snapshot.repository.packs import pack_key
from replicator.snapshot.repository.sealing import canonical, seal, unseal
from replicator.snapshot.restore.batches import ready_chunk

FIRST, SECOND = SnapshotId("20261122T120000Z-aaaaaa"), SnapshotId("20261122T120000Z-aabbbb")


def pieces(tools, *, fill: bytes = b"x", count: int = 4) -> list:
    """One slice a batch, so that small chunks hold one batch each."""
    return [tools["slice"](tools["batch"](3 * n, [fill * 50] * 3), start=3 * n, stop=3 * n + 3) for n in range(count)]


def put_manifest(shop, payload: bytes, snapshot_id: str = FIRST) -> None:
    """Seal any payload as a manifest, as anybody can where signatures are not demanded."""
    data = seal(
        "manifest", payload, subject=snapshot_id, repository=shop.repository.id, keys=Keys(), is_compressed=True
    )
    shop.store.put(f"manifests/{snapshot_id}", [data])


def with_state(shop, manifest, kind: str, stored: bytes):
    """Put bytes as a state that the manifest names, with the right hash."""
    digest = digest_of([stored])
    shop.store.put(f"states/{digest}", [stored])
    return replace(manifest, states={**manifest.states, kind: digest})


def state_bytes(content: bytes, claimed: int | None = None) -> bytes:
    """A state as it is stored."""
    size = len(content) if claimed is None else claimed
    return size.to_bytes(8, "big") + bytes(cramjam.zstd.compress(content))


HOSTILE_STATES = {
    "no JSON": state_bytes(b"\x00\xff"),
    "nested": state_bytes(b"[" * 200_000),
    "not an object": state_bytes(b"[1,2]"),
    "another kind": state_bytes(canonical({"format": "replicator.state.groups/1", "groups": []})),
    "topics are a list": state_bytes(canonical({"format": "replicator.state.configs/1", "topics": ["a"]})),
    "a name that leaves": state_bytes(
        canonical({"format": "replicator.state.configs/1", "topics": {"../../etc": {"a": "b"}}})
    ),
    "a setting that is no text": state_bytes(
        canonical({"format": "replicator.state.configs/1", "topics": {"orders": {"retention.ms": 5}}})
    ),
    "a number that is none": state_bytes(
        canonical({"format": "replicator.state.configs/1", "topics": {"orders": {"retention.ms": "soon"}}})
    ),
    "claims more": state_bytes(b"{}", claimed=400 << 20),
    "claims too much": state_bytes(b"{}", claimed=1 << 62),
    "a bomb": state_bytes(b" " * (64 << 20), claimed=100),
    "nothing": b"",
}


@pytest.mark.parametrize("stored", HOSTILE_STATES.values(), ids=HOSTILE_STATES)
def test_hostile_states_are_refused(workshop, tools, stored) -> None:
    """Whatever the bytes of a state are, whose hash is right: one error that names it."""
    manifest = with_state(workshop, workshop.take(FIRST, pieces(tools), stop=12), "configs", stored)
    with pytest.raises(DataCorrupt, match="state configs"):
        workshop.reopen().read_state(manifest, "configs")


@pytest.mark.parametrize("offset", [-1, 1 << 63, "seven", None])
def test_hostile_positions_are_refused(workshop, tools, offset) -> None:
    """A group's position is an offset or the state is refused."""
    rows = [{"group": "g", "state": "empty", "protocol_type": "", "offsets": [["orders", 0, offset]]}]
    stored = state_bytes(canonical({"format": "replicator.state.groups/1", "groups": rows}))
    manifest = with_state(workshop, workshop.take(FIRST, pieces(tools), stop=12), "groups", stored)
    with pytest.raises(DataCorrupt, match="state groups"):
        workshop.reopen().read_state(manifest, "groups")


def test_a_manifest_that_is_a_bomb_takes_no_more_than_it_may(workshop, tools) -> None:
    """A frame that decodes to more than its head says is stopped there; a head that says too much is not believed."""
    workshop.take(FIRST, pieces(tools), stop=12)
    honest = seal(
        "manifest", b" " * (256 << 20), subject=FIRST, repository=workshop.repository.id, keys=Keys(),
        is_compressed=True,
    )  # fmt: skip
    line, _newline, frame = honest.partition(b"\n")
    for claimed in (1000, (1 << 30) + 1, 1 << 62):
        head = line.replace(b'"plain_bytes":%d' % (256 << 20), b'"plain_bytes":%d' % claimed)
        assert head != line
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(DataCorrupt):
            unseal("manifest", head + b"\n" + frame, keys=Keys(), where="manifest")
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


@pytest.mark.parametrize("payload", [b"[" * 100_000, b"\xff\xfe", b"null", b'{"id":' + b"9" * 50_000 + b"}", b""])
def test_payloads_that_are_no_manifest_are_refused(workshop, tools, payload) -> None:
    """Nested deeper than any stack, no text, numbers without end: an error that names the manifest."""
    workshop.take(FIRST, pieces(tools), stop=12)
    put_manifest(workshop, payload)
    with pytest.raises(DataCorrupt, match=FIRST):
        workshop.reopen().read_manifest(FIRST)
    assert workshop.reopen().list_snapshots()[0].problem is not None


@pytest.mark.parametrize("name", ["..", ".", "../../etc/cron.d/x", "a/b", "a\\b", "a\x00b", "a\n", "", "x" * 250])
def test_topics_with_names_that_lead_elsewhere_are_refused(workshop, tools, name) -> None:
    """No name of a topic gets as far as a path or a broker; names that Kafka itself forbids are none."""
    manifest = workshop.take(FIRST, pieces(tools), stop=12)
    (topic,) = manifest.topics
    text = write_manifest(manifest).decode()
    hostile = text.replace('"name":"orders"', '"name":' + canonical(name).decode())
    assert hostile != text
    assert topic.name == "orders"
    put_manifest(workshop, hostile.encode())
    with pytest.raises(DataCorrupt):
        workshop.reopen().read_manifest(FIRST)


def test_an_old_manifest_under_a_new_id_is_refused(workshop, tools) -> None:
    """Yesterday's manifest, put where the newest one is looked for, is not taken for it, whoever resealed it."""
    old = workshop.take(FIRST, pieces(tools), stop=12)
    workshop.take(SECOND, pieces(tools, fill=b"y"), stop=12)
    workshop.store.put(f"manifests/{SECOND}", [workshop.store.get(f"manifests/{FIRST}")])
    with pytest.raises(DataCorrupt, match=FIRST):
        workshop.reopen().read_manifest(SECOND)
    put_manifest(workshop, write_manifest(old), SECOND)
    with pytest.raises(DataCorrupt, match="another snapshot"):
        workshop.reopen().read_manifest(SECOND)


def test_chunks_swapped_in_a_pack_are_refused(workshop, tools) -> None:
    """Two chunks of one size that change places: each is proven by its own hash before a byte is used."""
    manifest = workshop.take(FIRST, pieces(tools), stop=12, chunk_bytes=1)
    (one, other) = [chunk for _tp, chunk in manifest.chunks()][:2]
    assert one.stored.stored_bytes == other.stored.stored_bytes
    key = pack_key(one.pack)
    data = bytearray(workshop.store.get(key))
    size = one.stored.stored_bytes
    first, second = data[one.offset : one.offset + size], data[other.offset : other.offset + size]
    data[one.offset : one.offset + size], data[other.offset : other.offset + size] = second, first
    workshop.store.put(key, [data])
    for chunk in (one, other):
        with pytest.raises(DataCorrupt, match=chunk.stored.id):
            workshop.reopen().read_chunk(chunk)
    report = verify_snapshot(workshop.reopen(), FIRST, level=VerifyLevel.CHECKSUM, clock=tools["clock"])
    assert len([finding for finding in report.findings if finding.what == "chunk"]) == 2


def test_chunks_swapped_in_a_manifest_are_refused(workshop, tools, tmp_path) -> None:
    """A manifest that gives one chunk's offsets to another: the batches themselves say where they belong."""
    manifest = workshop.take(FIRST, pieces(tools), stop=12, chunk_bytes=1)
    (topic,) = manifest.topics
    (partition,) = topic.partitions
    one, other, *rest = partition.chunks
    swapped = (
        replace(one, stored=other.stored, pack=other.pack, offset=other.offset),
        replace(other, stored=one.stored, pack=one.pack, offset=one.offset),
        *rest,
    )
    lie = replace(manifest, topics=(replace(topic, partitions=(replace(partition, chunks=swapped),)),))
    put_manifest(workshop, write_manifest(lie))
    repository = workshop.reopen()
    report = verify_snapshot(repository, FIRST, level=VerifyLevel.BATCHES, clock=tools["clock"])
    assert len(report.findings) == 2
    for chunk in swapped[:2]:
        with pytest.raises(DataCorrupt):
            list(ready_chunk(repository.read_chunk(chunk), chunk, where="orders[0]"))
    for kind in ExportFormat:
        with pytest.raises(DataCorrupt):
            export_snapshot(
                repository, repository.read_manifest(FIRST), tmp_path / "out", kind=kind,
                topics=Selection(include=("*",)),
            )  # fmt: skip
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_pack_from_elsewhere_is_refused(workshop, tools) -> None:
    """A whole pack of another repository under this one's name: neither its index nor its chunks are ours."""
    manifest = workshop.take(FIRST, pieces(tools), stop=12)
    elsewhere = tools["workshop"]()
    other = elsewhere.take(FIRST, pieces(tools, fill=b"z"), stop=12)
    (pack,), (foreign,) = manifest.pack_sizes, other.pack_sizes
    workshop.store.put(pack_key(pack), [elsewhere.store.get(pack_key(foreign))])
    report = verify_snapshot(workshop.reopen(), FIRST, level=VerifyLevel.CHECKSUM, clock=tools["clock"])
    assert {finding.what for finding in report.findings} >= {"pack index", "chunk"}


def test_a_topic_twice_in_other_letters_is_another_topic(workshop, tools) -> None:
    """Names are compared as they are: nothing is folded, so nothing can be shadowed."""
    manifest = workshop.take(FIRST, pieces(tools), stop=12)
    (topic,) = manifest.topics
    twice = replace(manifest, topics=(topic, replace(topic, name=TopicName("orders"))))
    put_manifest(workshop, write_manifest(twice))
    with pytest.raises(ReplicatorError, match="listed twice"):
        workshop.reopen().read_manifest(FIRST)
