"""An encrypted repository: what a key opens, what its loss costs, what shows without it, and a topic shredded."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.errors import (
    AccessDenied,
    ConfigInvalid,
    DataCorrupt,
    NotFound,
    PreflightBlocked,
    ReplicatorError,
)
from replicator.model.archive.snapshots import ChunkEncoding, ChunkStatus, VerifyLevel
from replicator.model.archive.unlocking import Unlock
from replicator.model.names import SnapshotId, TopicName, TopicPartition
from replicator.snapshot import (
    apply_shred,
    begin_encryption,
    check_repository,
    hold_snapshot,
    plan_shred,
    release_snapshot,
    rewrap_key,
    verify_snapshot,
)
from replicator.snapshot.capture.packing import Compression
from replicator.snapshot.reading import leave_out_shredded
from replicator.snapshot.repository import Keys, Repository
from replicator.snapshot.repository.age import make_identity

FIRST, SECOND = SnapshotId("20261122T120000Z-aaaaaa"), SnapshotId("20261122T120000Z-aabbbb")
OTHER = TopicPartition(TopicName("payments"), 0)
SECRET = b"the secret of the records " * 20


@cache
def ours() -> Keys:
    """Keys that sign, and open what is encrypted for them."""
    signing = Ed25519PrivateKey.generate()
    identity, recipient = make_identity()
    return Keys(signing, signing.public_key().public_bytes_raw(), Unlock(recipients=(recipient,), identity=identity))


def without_key() -> Keys:
    """Keys that open nothing."""
    return replace(ours(), unlock=Unlock())


def with_another_key() -> Keys:
    """Keys that open other repositories."""
    identity, recipient = make_identity()
    return replace(ours(), unlock=Unlock(recipients=(recipient,), identity=identity))


@pytest.fixture
def safe(tools):
    """A workshop whose repository is encrypted for one recipient."""
    return tools["workshop"](ours())


def pieces(tools, *, value: bytes = SECRET) -> list:
    """Slices of two batches."""
    raw = tools["batch"](0, [value] * 3) + tools["batch"](3, [value[::-1]] * 2)
    return [tools["slice"](raw, start=0, stop=5)]


def first_chunk(manifest):
    """The first chunk of a manifest."""
    return manifest.chunks()[0][1]


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.AUTO])
def test_records_come_back_and_nothing_of_them_is_in_the_store(safe, tools, compression) -> None:
    """Every level is clean for who has the key; no object holds a record, nor a hash of a chunk or of a state."""
    manifest = safe.take(FIRST, pieces(tools), stop=5, compression=compression)
    repository = safe.reopen(ours())
    assert repository.read_manifest(FIRST) == manifest
    assert bytes(repository.read_chunk(first_chunk(manifest))) == bytes(pieces(tools)[0].data)
    assert repository.read_state(manifest, "configs")["topics"] == {"orders": {"retention.ms": "-1"}}
    encoding = ChunkEncoding.ZSTD if compression is Compression.AUTO else ChunkEncoding.NONE
    assert first_chunk(manifest).stored.encoding is encoding
    for level in VerifyLevel:
        report = verify_snapshot(repository, FIRST, level=level, clock=tools["clock"])
        assert (report.is_ok, report.chunks_ok) == (True, 1)
    plain = tools["workshop"]()
    same = plain.take(FIRST, pieces(tools), stop=5, compression=compression)
    known = [first_chunk(same).stored.id, first_chunk(same).stored.stored_sha256, *same.states.values()]
    for key in safe.keys_of():
        data = safe.store.get(key)
        assert b"secret of the records" not in data
        assert not any(name in key or name.encode() in data for name in known)


def test_every_flipped_byte_of_every_object_is_found(safe, tools) -> None:
    """One flipped bit anywhere, in keys too: opening or verifying says so, with the key and without it."""
    safe.take(FIRST, pieces(tools, value=b"v"), stop=5)
    looks = ((ours(), VerifyLevel.BATCHES), (without_key(), VerifyLevel.CHECKSUM))
    for key in safe.keys_of():
        original = safe.store.get(key)
        for position in range(len(original)):
            damaged = bytearray(original)
            damaged[position] ^= 1 << (position % 8)
            safe.store.put(key, [damaged])
            assert find_problem(safe, tools, *looks[position % 2]) is not None, (key, position)
        safe.store.put(key, [original])
    assert find_problem(safe, tools, ours(), VerifyLevel.BATCHES) is None
    assert find_problem(safe, tools, without_key(), VerifyLevel.CHECKSUM) is None


def find_problem(shop, tools, keys: Keys, level: VerifyLevel) -> str | None:
    """What opening and verifying complain about; None when they do not."""
    try:
        report = verify_snapshot(shop.reopen(keys), FIRST, level=level, clock=tools["clock"])
    except ReplicatorError as exc:
        return str(exc)
    return None if report.is_ok else report.findings[0].problem


def test_without_the_key_what_is_stored_is_proven_and_the_rest_is_unchecked(safe, tools) -> None:
    """Presence and checksums need no key; deeper levels cannot be looked at, which is not the same as bad."""
    safe.take(FIRST, pieces(tools), stop=5)
    repository = safe.reopen(without_key())
    for level in (VerifyLevel.MANIFEST, VerifyLevel.PRESENCE, VerifyLevel.CHECKSUM):
        report = verify_snapshot(repository, FIRST, level=level, clock=tools["clock"])
        assert (report.is_ok, report.chunks_ok) == (True, 1)
    deeper = verify_snapshot(repository, FIRST, level=VerifyLevel.BATCHES, clock=tools["clock"])
    assert {finding.status for finding in deeper.findings} == {ChunkStatus.UNCHECKED}
    assert [check.status for check in deeper.checks] == [ChunkStatus.UNCHECKED]
    (pack,) = safe.keys_of("packs")
    data = bytearray(safe.store.get(pack))
    data[30] ^= 1
    safe.store.put(pack, [data])
    damaged = verify_snapshot(safe.reopen(without_key()), FIRST, level=VerifyLevel.CHECKSUM, clock=tools["clock"])
    assert ChunkStatus.CORRUPT in {finding.status for finding in damaged.findings}


@pytest.mark.parametrize(
    ("keys", "words"), [(without_key, "no key to it is configured"), (with_another_key, "it is another key")]
)
def test_no_key_and_another_key_are_told_apart(safe, tools, keys, words) -> None:
    """Reading and writing say which setting is meant; nothing is written plain by mistake."""
    manifest = safe.take(FIRST, pieces(tools), stop=5)
    repository = safe.reopen(keys())
    for act in (
        lambda: repository.read_chunk(first_chunk(manifest)),
        lambda: repository.read_state(manifest, "configs"),
        lambda: repository.vault.make_topic_keys(["orders"]),
        lambda: repository.put_state("configs", {}),
    ):
        with pytest.raises(AccessDenied, match=words) as caught:
            act()
        assert "snapshots.encryption." in (caught.value.hint or "")
    assert len(repository.list_snapshots()) == 1


def test_a_lost_topic_key_is_missing_and_named(safe, tools) -> None:
    """A key that is neither there nor shredded: presence alone finds it, without any other key."""
    manifest = safe.take(FIRST, pieces(tools), stop=5)
    (topics,) = [key for key in safe.keys_of("keys") if "/topics-" in key]
    safe.store.delete([topics])
    report = verify_snapshot(safe.reopen(without_key()), FIRST, level=VerifyLevel.PRESENCE, clock=tools["clock"])
    assert [(one.status, one.where) for one in report.findings] == [(ChunkStatus.MISSING, "topic orders")]
    with pytest.raises(NotFound, match="is lost"):
        safe.reopen(ours()).read_chunk(first_chunk(manifest))
    with pytest.raises(NotFound, match="is lost"):
        leave_out_shredded(safe.reopen(ours()), manifest, {TopicName("orders"): TopicName("orders")})


def test_lost_keys_are_a_problem_of_the_repository_and_shredded_ones_are_not(safe, tools) -> None:
    """`repo check` needs no key to tell: what was meant to go is in order, what went by itself is named."""
    now = tools["clock"].now()
    safe.take(FIRST, pieces(tools), stop=5)
    safe.take(SECOND, pieces(tools), stop=5, tp=OTHER)
    apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    assert check_repository(safe.reopen(without_key()), now=now).is_ok
    kept = {key: safe.store.get(key) for key in safe.keys_of("keys")}
    for words, gone in (("is lost", "/topics-"), ("repository's key", "/ring-")):
        safe.store.delete([key for key in kept if gone in key])
        found = check_repository(safe.reopen(without_key()), now=now)
        assert any(words in problem for problem in found.problems), found.problems
        for key, data in kept.items():
            safe.store.put(key, [data])


def test_a_shredded_topic_is_gone_and_others_are_not(safe, tools) -> None:
    """Nobody reads it again, in any snapshot; its bytes are still proven; another topic is untouched."""
    orders = safe.take(FIRST, pieces(tools), stop=5)
    payments = safe.take(SECOND, pieces(tools), stop=5, tp=OTHER)
    before = {key: safe.store.get(key) for key in safe.keys_of() if not key.startswith(("keys/", "claims/"))}
    plan = plan_shred(safe.reopen(without_key()), "orders")
    assert (plan.keys, plan.snapshots, plan.refusals) == ((orders.topics[0].key,), (FIRST,), ())
    apply_shred(safe.reopen(ours()), "orders", reason="erasure 17", clock=tools["clock"])
    repository = safe.reopen(ours())
    with pytest.raises(NotFound, match="topic orders was shredded at 2026-11-22T12:00:00Z"):
        repository.read_chunk(first_chunk(orders))
    assert bytes(repository.read_chunk(first_chunk(payments))) == bytes(pieces(tools)[0].data)
    for level in VerifyLevel:
        report = verify_snapshot(repository, FIRST, level=level, clock=tools["clock"])
        assert (report.is_ok, report.shredded_topics) == (True, ("orders",))
    assert [check.status for check in report.checks] == [ChunkStatus.SHREDDED]
    assert verify_snapshot(repository, SECOND, clock=tools["clock"]).chunks_ok == 1
    (gone,) = repository.find_shredded(orders).values()
    assert (gone.topic, gone.reason) == ("orders", "erasure 17")
    assert before == {key: safe.store.get(key) for key in before}
    wrapped = [safe.store.get(key) for key in safe.keys_of("keys")]
    assert not any(b'"wrapped":"' in data and b'"topic":"orders"' in data for data in wrapped if b"orders" in data)


def test_a_shredded_topic_is_left_out_of_a_restore_and_said_so(safe, tools) -> None:
    """What is left is restored with a warning; nothing left is an error."""
    orders = safe.take(FIRST, pieces(tools), stop=5)
    apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    name, rest = TopicName("orders"), TopicName("payments")
    kept, (warning,) = leave_out_shredded(safe.reopen(ours()), orders, {name: name, rest: rest})
    assert kept == {rest: rest}
    assert "orders" in warning
    with pytest.raises(NotFound, match="shredded"):
        leave_out_shredded(safe.reopen(ours()), orders, {name: name})


def test_a_topic_captured_after_its_shredding_has_a_key_of_its_own(safe, tools) -> None:
    """The new snapshot can be read, the old one still cannot; shredding again takes the new key too."""
    old = safe.take(FIRST, pieces(tools), stop=5)
    apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    safe.repository = safe.reopen(ours())
    new = safe.take(SECOND, pieces(tools), stop=5)
    assert new.topics[0].key not in (None, old.topics[0].key)
    repository = safe.reopen(ours())
    assert bytes(repository.read_chunk(first_chunk(new))) == bytes(pieces(tools)[0].data)
    with pytest.raises(NotFound, match="shredded"):
        repository.read_chunk(first_chunk(old))
    again = apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    assert again.keys == (new.topics[0].key,)
    assert plan_shred(safe.reopen(ours()), "orders").keys == ()


def test_a_held_snapshot_is_not_shredded(safe, tools) -> None:
    """A hold keeps the topic's key until it is released; a topic nobody knows is told."""
    safe.take(FIRST, pieces(tools), stop=5)
    hold_snapshot(safe.repository, FIRST, reason="audit", now=tools["clock"].now())
    with pytest.raises(PreflightBlocked, match="is held"):
        apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    release_snapshot(safe.repository, FIRST)
    assert apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"]).keys
    with pytest.raises(NotFound, match="nothing of topic"):
        plan_shred(safe.reopen(ours()), "unknown")


def test_a_shredding_killed_before_its_old_keys_went_is_gone_on_with(safe, tools, monkeypatch) -> None:
    """The word that a key is shredded counts at once; the same command again takes what was left."""
    orders = safe.take(FIRST, pieces(tools), stop=5)
    with monkeypatch.context() as patch:
        patch.setattr(safe.store, "delete", lambda _keys: None)
        apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    safe.store.delete(safe.keys_of("claims"))
    with pytest.raises(NotFound, match="shredded"):
        safe.reopen(ours()).read_chunk(first_chunk(orders))
    apply_shred(safe.reopen(ours()), "orders", reason="", clock=tools["clock"])
    keys = [safe.store.get(key) for key in safe.keys_of("keys")]
    assert not any(b'"wrapped":"' in data and b'"topic":"orders"' in data for data in keys)


def test_equal_data_is_stored_once_per_topic(safe, tools) -> None:
    """A capture that finds the same bytes makes no new pack; another topic shares nothing with it."""
    first = safe.take(FIRST, pieces(tools), stop=5)
    packs = safe.keys_of("packs")
    safe.take(SECOND, pieces(tools), stop=5)
    assert safe.keys_of("packs") == packs
    other = safe.take("20261122T120000Z-acaaaa", pieces(tools), stop=5, tp=OTHER)
    assert first_chunk(other).stored.id != first_chunk(first).stored.id
    assert len(safe.keys_of("packs")) == len(packs) + 1


def test_a_plain_repository_that_is_encrypted_later_holds_both(tools) -> None:
    """What was plain stays readable without a key, what comes after is encrypted; shredding tells the plain ones."""
    shop = tools["workshop"](without_key())
    old = shop.take(FIRST, pieces(tools), stop=5)
    begin_encryption(shop.reopen(ours()), clock=tools["clock"])
    with pytest.raises(PreflightBlocked, match="already"):
        begin_encryption(shop.reopen(ours()), clock=tools["clock"])
    shop.repository = shop.reopen(ours())
    new = shop.take(SECOND, pieces(tools), stop=5)
    keyless = shop.reopen(without_key())
    assert bytes(keyless.read_chunk(first_chunk(old))) == bytes(shop.reopen(ours()).read_chunk(first_chunk(new)))
    assert keyless.read_state(old, "configs")
    assert verify_snapshot(keyless, FIRST, clock=tools["clock"]).is_ok
    assert verify_snapshot(shop.reopen(ours()), SECOND, clock=tools["clock"]).is_ok
    plan = plan_shred(keyless, "orders")
    assert (plan.snapshots, plan.plain_snapshots) == ((SECOND,), (FIRST,))


def test_encryption_that_was_asked_for_is_never_left_out(tools) -> None:
    """Configured and not begun: nothing is written; recipients without signatures are refused."""
    shop = tools["workshop"](without_key())
    with pytest.raises(PreflightBlocked, match="not encrypted") as caught:
        shop.reopen(ours()).vault.make_topic_keys(["orders"])
    assert caught.value.hint == "replicator repo encrypt"
    unsigned = tools["workshop"]()
    with pytest.raises(PreflightBlocked, match="plant a key"):
        begin_encryption(unsigned.reopen(Keys(unlock=ours().unlock)), clock=tools["clock"])
    bad = replace(ours(), unlock=replace(ours().unlock, recipients=("age1nonsense",)))
    with pytest.raises(ConfigInvalid, match="no public age key"):
        begin_encryption(shop.reopen(bad), clock=tools["clock"])
    assert shop.keys_of("keys") == []


def test_a_key_is_wrapped_anew_without_touching_data(safe, tools) -> None:
    """The new identity opens what the old one did; the old one opens nothing; no other object changed."""
    manifest = safe.take(FIRST, pieces(tools), stop=5)
    before = {key: safe.store.get(key) for key in safe.keys_of() if "keys/ring-" not in key}
    new = with_another_key()
    with pytest.raises(AccessDenied):
        rewrap_key(safe.reopen(new), opened_by=new.unlock, clock=tools["clock"])
    rewrap_key(safe.reopen(new), opened_by=ours().unlock, clock=tools["clock"])
    assert safe.reopen(new).read_chunk(first_chunk(manifest))
    with pytest.raises(AccessDenied, match="another key"):
        safe.reopen(ours()).read_chunk(first_chunk(manifest))
    assert before == {key: safe.store.get(key) for key in before}


def test_a_passphrase_opens_without_signatures(tools) -> None:
    """Who knows it reads; who knows another one is told so; it is in no text of the keys."""
    keys = Keys(unlock=Unlock(passphrase="correct horse"))
    assert "correct" not in repr(keys)
    shop = tools["workshop"](keys)
    assert shop.reopen(keys).put_state("configs", {"topics": {}})
    with pytest.raises(AccessDenied, match=r"snapshots\.encryption\.passphrase does not open it"):
        shop.reopen(Keys(unlock=Unlock(passphrase="wrong horse"))).put_state("configs", {})


def test_chunks_in_each_others_place_do_not_open(safe, tools) -> None:
    """Whole bytes of another chunk, described as what they are stored as, do not pass for this one."""
    mine = first_chunk(safe.take(FIRST, pieces(tools), stop=5))
    other = first_chunk(safe.take(SECOND, pieces(tools, value=b"x" * len(SECRET)), stop=5))
    lie = replace(
        other,
        stored=replace(other.stored, id=mine.stored.id, plain_bytes=mine.stored.plain_bytes),
    )
    with pytest.raises(DataCorrupt, match="does not decrypt"):
        safe.reopen(ours()).read_chunk(lie)


def test_a_planted_key_is_not_used(safe, tools) -> None:
    """A second keyring, though signed by nobody or by a stranger, is refused instead of being wrapped for."""
    safe.take(FIRST, pieces(tools), stop=5)
    stranger = Ed25519PrivateKey.generate()
    theirs = Keys(stranger, stranger.public_key().public_bytes_raw(), ours().unlock)
    elsewhere = tools["workshop"](theirs)
    for key in elsewhere.keys_of("keys"):
        safe.store.put(key, [elsewhere.store.get(key)])
    with pytest.raises(DataCorrupt, match="signed by key"):
        safe.reopen(ours()).vault.make_topic_keys(["payments"])


def test_a_plain_snapshot_is_written_as_it_always_was(workshop, tools) -> None:
    """Its manifest and packs are of version 1; those of an encrypted one are of version 2."""
    workshop.take(FIRST, pieces(tools), stop=5)
    assert b"replicator.manifest/1" in workshop.store.get(f"manifests/{FIRST}")
    (pack,) = workshop.keys_of("packs")
    assert b"replicator.pack/1" in workshop.store.get(pack)
    safe = tools["workshop"](ours())
    safe.take(FIRST, pieces(tools), stop=5)
    assert b"replicator.manifest/2" in safe.store.get(f"manifests/{FIRST}")
    (pack,) = safe.keys_of("packs")
    assert b"replicator.pack/2" in safe.store.get(pack)


def test_the_same_repository_is_meant_by_its_keys(safe, tools) -> None:
    """Keys of another repository, copied over, belong to nobody here."""
    elsewhere = tools["workshop"](ours())
    for key in elsewhere.keys_of("keys"):
        safe.store.put(key, [elsewhere.store.get(key)])
    with pytest.raises(DataCorrupt, match="of repository"):
        _ = Repository.open(safe.store, keys=ours()).vault.key
