"""The repository at rest: every flipped byte is found, forged and foreign objects are refused, ids resolve."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.errors import (
    ConfigInvalid,
    DataCorrupt,
    NotFound,
    OperationFailed,
    PreflightBlocked,
    ReplicatorError,
    UsageError,
)
from replicator.model.archive.snapshots import ChunkEncoding, VerifyLevel
from replicator.model.names import SnapshotId
from replicator.snapshot import verify_snapshot
from replicator.snapshot.capture.packing import Compression
from replicator.snapshot.repository import Keys, Repository, load_keys, new_snapshot_id
from replicator.snapshot.repository.manifest import SNAPSHOT_ID, write_manifest
from replicator.snapshot.repository.sealing import fingerprint, seal, unseal
from replicator.storage.remote import open_memory

FIRST, SECOND = "20261122T120000Z-aaaaaa", "20261122T120000Z-aabbbb"


def small(tools, *, size: int = 3) -> list:
    """Slices of two batches."""
    raw = tools["batch"](0, [b"x" * size] * 3) + tools["batch"](3, [b"y" * size] * 2)
    return [tools["slice"](raw, start=0, stop=5)]


def private_pem(key: Ed25519PrivateKey) -> str:
    """The PEM text of a private key."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def public_pem(key: Ed25519PrivateKey) -> str:
    """The PEM text of its public half."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def test_what_was_published_is_read_back(workshop, tools) -> None:
    """A manifest comes back as it went in, states too, and the snapshot verifies at every level."""
    manifest = workshop.take(FIRST, small(tools), stop=5)
    again = workshop.reopen()
    assert again.read_manifest(SnapshotId(FIRST)) == manifest
    assert again.read_state(manifest, "configs")["topics"] == {"orders": {"retention.ms": "-1"}}
    for level in VerifyLevel:
        report = verify_snapshot(again, SnapshotId(FIRST), level=level, clock=tools["clock"])
        assert (report.is_ok, report.chunks_ok) == (True, 1)


def test_every_flipped_byte_of_every_object_is_found_and_named(workshop, tools) -> None:
    """One flipped bit at any position of any object: opening or verifying says which object or chunk."""
    workshop.take(FIRST, small(tools), stop=5)
    for key in workshop.keys_of():
        original = workshop.store.get(key)
        for position in range(len(original)):
            damaged = bytearray(original)
            damaged[position] ^= 1 << (position % 8)
            workshop.store.put(key, [damaged])
            problem = find_problem(workshop, tools)
            assert problem is not None, (key, position)
            assert names_object(problem, key), (key, position, problem)
        workshop.store.put(key, [original])
    assert find_problem(workshop, tools) is None


def test_every_flipped_bit_of_a_signed_head_is_found(tools) -> None:
    """Also the bits of base64's last characters, which decode to the same signature."""
    key = Ed25519PrivateKey.generate()
    workshop = tools["workshop"](load_keys(private_pem(key)))
    workshop.take(FIRST, small(tools), stop=5)
    original = workshop.store.get(f"manifests/{FIRST}")
    for position in range(original.index(b"\n")):
        for bit in range(8):
            damaged = bytearray(original)
            damaged[position] ^= 1 << bit
            workshop.store.put(f"manifests/{FIRST}", [damaged])
            with pytest.raises(ReplicatorError, match=FIRST):
                workshop.reopen(load_keys(public_pem(key))).read_manifest(SnapshotId(FIRST))


def find_problem(workshop, tools) -> str | None:
    """What opening and verifying complain about, in words; None when they do not."""
    try:
        repository = workshop.reopen()
        report = verify_snapshot(repository, repository.find("latest"), clock=tools["clock"])
    except ReplicatorError as exc:
        return str(exc)
    return None if report.is_ok else "; ".join(f"{f.where}: {f.problem}" for f in report.findings)


def names_object(problem: str, key: str) -> bool:
    """Whether the words lead to the object: by its key, by its name, or by the partition stored there."""
    name = key.rpartition("/")[2]
    return name in problem or (key.startswith("packs/") and "orders[0]" in problem)


def test_every_truncation_is_found(workshop, tools) -> None:
    """An object cut short anywhere, or with something after it, is found."""
    workshop.take(FIRST, small(tools), stop=5)
    for key in workshop.keys_of():
        original = workshop.store.get(key)
        for length in {0, 1, len(original) // 2, len(original) - 1}:
            workshop.store.put(key, [original[:length]])
            assert find_problem(workshop, tools) is not None, (key, length)
        workshop.store.put(key, [original, b"\x00"])
        assert find_problem(workshop, tools) is not None, key
        workshop.store.put(key, [original])


def test_missing_objects_are_named_missing(workshop, tools) -> None:
    """A pack or a state that is gone is missing, not corrupt."""
    manifest = workshop.take(FIRST, small(tools), stop=5)
    for key in workshop.keys_of("packs") + workshop.keys_of("states"):
        original = workshop.store.get(key)
        workshop.store.delete([key])
        report = verify_snapshot(workshop.reopen(), manifest.id, clock=tools["clock"])
        assert {finding.status for finding in report.findings} == {"missing"}
        workshop.store.put(key, [original])


def test_levels_look_as_deep_as_they_say(workshop, tools) -> None:
    """A damaged chunk is beyond level 1 and found by level 2."""
    manifest = workshop.take(FIRST, small(tools), stop=5)
    (key,) = workshop.keys_of("packs")
    damaged = bytearray(workshop.store.get(key))
    damaged[100] ^= 1
    workshop.store.put(key, [damaged])
    found = [
        verify_snapshot(workshop.reopen(), manifest.id, level=lv, clock=tools["clock"]).is_ok for lv in VerifyLevel
    ]
    assert found == [True, True, False, False, False]


def test_compressed_chunks_come_back_and_flips_are_found(workshop, tools) -> None:
    """A chunk that was worth compressing is smaller in the store, proven by both its hashes, and equal again."""
    manifest = workshop.take(FIRST, small(tools, size=4000), stop=5, compression=Compression.AUTO)
    (chunk,) = [chunk for _tp, chunk in manifest.chunks()]
    assert chunk.stored.encoding is ChunkEncoding.ZSTD
    assert chunk.stored.stored_bytes < chunk.stored.plain_bytes / 10
    assert bytes(workshop.reopen().read_chunk(chunk)) == bytes(small(tools, size=4000)[0].data)
    (key,) = workshop.keys_of("packs")
    original = workshop.store.get(key)
    for position in range(chunk.stored.stored_bytes):
        damaged = bytearray(original)
        damaged[position] ^= 0x80
        workshop.store.put(key, [damaged])
        with pytest.raises(DataCorrupt, match=chunk.stored.id):
            workshop.reopen().read_chunk(chunk)


def test_chunks_that_lie_about_their_size_are_refused(workshop, tools) -> None:
    """A compressed chunk that decodes to more than the manifest says is not decoded to the end."""
    manifest = workshop.take(FIRST, small(tools, size=4000), stop=5, compression=Compression.AUTO)
    (chunk,) = [chunk for _tp, chunk in manifest.chunks()]
    for wrong in (chunk.stored.plain_bytes - 1, chunk.stored.plain_bytes + 1, 10):
        lying = replace(chunk, stored=replace(chunk.stored, plain_bytes=wrong))
        with pytest.raises(DataCorrupt):
            workshop.reopen().read_chunk(lying)


def test_signed_snapshots_need_their_key(tools) -> None:
    """With a key configured, unsigned, forged and otherwise signed manifests are refused."""
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    workshop = tools["workshop"](load_keys(private_pem(key)))
    manifest = workshop.take(FIRST, small(tools), stop=5)
    name = fingerprint(key.public_key().public_bytes_raw())
    assert workshop.reopen(load_keys(public_pem(key))).read_signed(manifest.id) == (manifest, name)
    assert workshop.reopen().read_signed(manifest.id) == (manifest, name)
    with pytest.raises(DataCorrupt, match="signed by key"):
        workshop.reopen(load_keys(public_pem(other))).read_manifest(manifest.id)
    for forger in (Keys(), load_keys(private_pem(other))):
        forged = write_manifest(replace(manifest, tags=("forged",)))
        data = seal(
            "manifest", forged, subject=FIRST, repository=workshop.repository.id, keys=forger, is_compressed=True
        )
        workshop.store.put(f"manifests/{FIRST}", [data])
        with pytest.raises(DataCorrupt, match="sign"):
            workshop.reopen(load_keys(private_pem(key))).read_manifest(manifest.id)


def test_signature_of_another_document_is_refused(tools) -> None:
    """A good signature taken from one snapshot proves nothing of another."""
    key = Ed25519PrivateKey.generate()
    workshop = tools["workshop"](load_keys(private_pem(key)))
    workshop.take(FIRST, small(tools), stop=5)
    workshop.take(SECOND, small(tools), stop=5)
    first = workshop.store.get(f"manifests/{FIRST}")
    workshop.store.put(f"manifests/{SECOND}", [first])
    with pytest.raises(DataCorrupt, match=FIRST):
        workshop.reopen(load_keys(private_pem(key))).read_manifest(SnapshotId(SECOND))
    head = json.loads(first.partition(b"\n")[0])
    signature = base64.b64decode(head["signature"]["value"])
    head["signature"]["value"] = base64.b64encode(signature[:-1] + bytes([signature[-1] ^ 1])).decode()
    line = json.dumps(head, sort_keys=True, separators=(",", ":")).encode()
    workshop.store.put(f"manifests/{FIRST}", [line, b"\n", first.partition(b"\n")[2]])
    with pytest.raises(DataCorrupt, match="signature is wrong"):
        workshop.reopen().read_manifest(SnapshotId(FIRST))


def test_keys_that_cannot_sign_are_refused() -> None:
    """A key of another kind, an encrypted one or no key at all is a configuration error that says how to make one."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

    elliptic = generate_private_key(SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    locked = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    for text in (elliptic.decode(), locked.decode(), "no key", ""):
        with pytest.raises(ConfigInvalid, match="Ed25519"):
            load_keys(text)
    assert load_keys(None) == Keys()


def test_unknown_versions_stop_the_reader(workshop) -> None:
    """A document of a version this program does not know is not guessed at."""
    data = seal("manifest", b"{}", subject=FIRST, repository="r", keys=Keys(), is_compressed=False)
    newer = data.replace(b"replicator.manifest/1", b"replicator.manifest/4")
    with pytest.raises(PreflightBlocked, match="version 4"):
        unseal("manifest", newer, keys=Keys(), where="x")
    with pytest.raises(DataCorrupt, match=r"not a replicator\.other"):
        unseal("other", data, keys=Keys(), where="x")


HOSTILE = [
    ("pack outside", lambda text: text.replace('"pack":0', '"pack":1')),
    ("offset beyond", lambda text: text.replace('"offset":0', '"offset":999999')),
    ("negative offset", lambda text: text.replace('"offset":0', '"offset":-1')),
    ("bomb", lambda text: text.replace('"stored_bytes":', '"stored_bytes":9999999999999, "x":')),
    ("unknown key", lambda text: text.replace('"tags":', '"surprise":1,"tags":')),
    ("overlap", lambda text: text.replace('"from":0', '"from":1')),
    ("short", lambda text: text.replace('"end":5', '"end":6')),
    ("other topic name", lambda text: text.replace('"name":"orders"', '"name":"../orders"')),
    ("partition twice", lambda text: text.replace('"partition":0', '"partition":1')),
    ("records do not add up", lambda text: text.replace('"totals":{"records":5', '"totals":{"records":6')),
    ("path as pack", lambda text: text.replace('"packs":[{"id":"', '"packs":[{"id":"../')),
]


@pytest.mark.parametrize("change", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
def test_manifests_that_contradict_themselves_are_refused(workshop, tools, change) -> None:
    """A manifest whose seal is right but whose content cannot be is refused before any object is touched."""
    manifest = workshop.take(FIRST, small(tools), stop=5)
    text = write_manifest(manifest).decode()
    hostile = change(text)
    assert hostile != text
    data = seal(
        "manifest", hostile.encode(), subject=FIRST, repository=workshop.repository.id, keys=Keys(), is_compressed=True
    )
    workshop.store.put(f"manifests/{FIRST}", [data])
    with pytest.raises(DataCorrupt):
        workshop.reopen().read_manifest(manifest.id)


def test_ids_resolve(workshop, tools) -> None:
    """latest, oldest, an id and a unique beginning lead to one snapshot; anything else says why not."""
    with pytest.raises(NotFound, match="no snapshot yet"):
        workshop.repository.find("latest")
    for snapshot_id in (SECOND, FIRST, "20261123T000000Z-cccccc"):
        workshop.take(snapshot_id, small(tools), stop=5)
    find = workshop.repository.find
    assert (find("latest"), find("oldest")) == ("20261123T000000Z-cccccc", FIRST)
    assert (find(FIRST), find("20261122T120000Z-aab"), find("20261123")) == (FIRST, SECOND, "20261123T000000Z-cccccc")
    with pytest.raises(UsageError, match="2 snapshots"):
        find("20261122")
    for unknown in ("2025", "", "zzz"):
        with pytest.raises(NotFound):
            find(unknown)


def test_the_latest_is_no_export_of_orphans(workshop, tools) -> None:
    """What a failback kept of the old active is newer, and no copy of the data; alone, it is all there is."""
    tag = "orphans"
    workshop.take(SECOND, small(tools), stop=5, change=lambda manifest: replace(manifest, tags=(tag, "failback-1")))
    assert workshop.repository.find("latest") == SECOND
    workshop.take(FIRST, small(tools), stop=5)
    assert workshop.reopen().find("latest") == FIRST


def test_list_shows_bad_manifests_beside_good_ones(workshop, tools) -> None:
    """One damaged manifest hides no other snapshot."""
    workshop.take(FIRST, small(tools), stop=5)
    workshop.take(SECOND, small(tools), stop=5)
    workshop.store.put(f"manifests/{FIRST}", [b"rubbish"])
    listed = workshop.reopen().list_snapshots()
    assert [(one.id, one.manifest is None, one.problem is None) for one in listed] == [
        (FIRST, True, False),
        (SECOND, False, True),
    ]


def test_nothing_is_published_twice(workshop, tools) -> None:
    """A second manifest under a taken id is refused and the first one stays."""
    manifest = workshop.take(FIRST, small(tools), stop=5)
    with pytest.raises(OperationFailed, match="taken"):
        workshop.repository.publish(replace(manifest, tags=("other",)))
    assert workshop.reopen().read_manifest(manifest.id) == manifest


def test_a_manifest_whose_answer_was_lost_is_known_for_ours(workshop, tools, monkeypatch) -> None:
    """A put that was done, not answered and tried again finds itself: the snapshot was taken."""
    put = workshop.store.put

    def lose_answer(key: str, parts: list, **options: bool) -> bool:
        is_new = put(key, parts, **options)
        return is_new and not key.startswith("manifests/")

    monkeypatch.setattr(workshop.store, "put", lose_answer)
    manifest = workshop.take(FIRST, small(tools), stop=5)
    assert workshop.reopen().read_manifest(manifest.id) == manifest


def test_init_is_repeatable_and_refuses_strangers(tools) -> None:
    """A second init finds the first one's repository; a store with other things in it is left alone."""
    store = open_memory()
    first, is_new = Repository.init(store, clock=tools["clock"], tool="test")
    again, is_new_again = Repository.init(store, clock=tools["clock"], tool="test")
    assert (is_new, is_new_again) == (True, False)
    assert first.id == again.id
    foreign = open_memory()
    foreign.put("photos/cat", [b"meow"])
    with pytest.raises(PreflightBlocked, match="photos/cat"):
        Repository.init(foreign, clock=tools["clock"], tool="test")
    with pytest.raises(NotFound, match="not a repository"):
        Repository.open(foreign)


def test_equal_chunks_are_stored_once(workshop, tools) -> None:
    """The same data captured again makes no new pack object."""
    workshop.take(FIRST, small(tools), stop=5)
    packs = workshop.keys_of("packs")
    workshop.take(SECOND, small(tools), stop=5)
    assert workshop.keys_of("packs") == packs


def test_ids_of_one_second_sort_by_time() -> None:
    """The newest of several snapshots is the newest, even when all were taken within a second."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    ids = [new_snapshot_id(began + timedelta(milliseconds=number)) for number in range(0, 1000, 7)]
    assert ids == sorted(ids)
    assert all(re.fullmatch(SNAPSHOT_ID, one) for one in ids)
