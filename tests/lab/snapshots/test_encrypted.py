"""Encrypted snapshots on real brokers: taken, taken again, shredded, restored; and the verbs that manage the keys."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.cli.main import run
from replicator.clock import SYSTEM_CLOCK
from replicator.errors import NotFound
from replicator.kafka import Outgoing
from replicator.model.archive.unlocking import Unlock
from replicator.snapshot import Repository, apply_shred, begin_encryption, verify_snapshot
from replicator.snapshot.repository import Keys
from replicator.snapshot.repository.age import make_identity

pytestmark = pytest.mark.lab


@pytest.fixture
def keys() -> Keys:
    """Keys that sign and open."""
    signing = Ed25519PrivateKey.generate()
    identity, recipient = make_identity()
    return Keys(signing, signing.public_key().public_bytes_raw(), Unlock(recipients=(recipient,), identity=identity))


@pytest.fixture
def safe(desk, keys: Keys):
    """A desk whose repository is encrypted."""
    desk.repository = Repository.open(str(desk.folder), keys=keys)
    begin_encryption(desk.repository, clock=SYSTEM_CLOCK)
    return desk


def test_what_was_encrypted_comes_back_and_what_was_shredded_does_not(safe, names, keys: Keys) -> None:
    """A second snapshot adds only what is new; one topic is shredded, the other is restored as clients saw it."""
    kept, erased = safe.make_topic(names.topic("kept")), safe.make_topic(names.topic("erased"))
    safe.write([Outgoing(t, b"%d" % n, b"secret %d" % n, partition=n % 2) for t in (kept, erased) for n in range(300)])
    first = safe.create(kept, erased)
    again = safe.create(kept, erased)
    assert (first.totals.records, again.totals.new_chunks, again.parent) == (600, 0, first.id)
    safe.write([Outgoing(kept, b"more", b"secret more", partition=0)])
    last = safe.create(kept, erased)
    assert (last.totals.records, last.totals.new_chunks) == (601, 1)
    assert not any(b"secret" in path.read_bytes() for path in safe.folder.rglob("*") if path.is_file())
    apply_shred(Repository.open(str(safe.folder), keys=keys), erased, reason="asked for", clock=SYSTEM_CLOCK)
    safe.repository = Repository.open(str(safe.folder), keys=keys)
    assert verify_snapshot(safe.repository, last.id, clock=SYSTEM_CLOCK).shredded_topics == (erased,)
    back = names.topic("back")
    plan = safe.plan(last.id, {kept: back, erased: names.topic("never")})
    assert [topic.source for topic in plan.topics] == [kept]
    assert any(erased in warning for warning in plan.warnings)
    assert safe.restorer().apply(plan).written_records == 301
    assert safe.read(back, on="west") == safe.read(kept)
    with pytest.raises(NotFound, match="shredded"):
        safe.plan(last.id, {erased: names.topic("never")})


def test_a_topic_encrypted_later_is_read_anew_and_keeps_no_plain_chunk(desk, names, keys: Keys) -> None:
    """After `repo encrypt` nothing plain is reused: what is shredded later is in no new snapshot in the clear."""
    topic = desk.make_topic(names.topic("t"))
    desk.write([Outgoing(topic, b"%d" % n, b"v%d" % n, partition=n % 2) for n in range(100)])
    desk.repository = Repository.open(str(desk.folder), keys=replace(keys, unlock=Unlock()))
    plain = desk.create(topic)
    desk.repository = Repository.open(str(desk.folder), keys=keys)
    begin_encryption(desk.repository, clock=SYSTEM_CLOCK)
    safe = desk.create(topic)
    assert (safe.parent, safe.totals.new_chunks) == (None, plain.totals.chunks)
    assert all(chunk.stored.key == safe.topics[0].key for _tp, chunk in safe.chunks())
    for snapshot in (plain, safe):
        assert verify_snapshot(desk.repository, snapshot.id, clock=SYSTEM_CLOCK).is_ok


def test_the_verbs(lab, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """keygen, init, encrypt, rekey and shred: each says what was done, and the next one builds upon it."""
    signing = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    monkeypatch.setenv("TEST_SIGNING_KEY", signing.decode())
    monkeypatch.setenv("REPLICATOR_SNAPSHOTS__SIGNING_KEY", "env:TEST_SIGNING_KEY")

    def call(*words: str) -> tuple[int, dict[str, object]]:
        status = run(["-c", str(lab.config_path), *words, "-o", "json", "--no-input"])
        out = capsys.readouterr()
        return status, json.loads(out.out)["item"] if out.out else {"told": out.err}

    def use(identity: Path, recipient: object) -> None:
        monkeypatch.setenv("REPLICATOR_SNAPSHOTS__ENCRYPTION__IDENTITY", f"file:{identity}")
        monkeypatch.setenv("REPLICATOR_SNAPSHOTS__ENCRYPTION__RECIPIENTS", json.dumps([recipient]))

    old, new, store = tmp_path / "old.txt", tmp_path / "new.txt", tmp_path / "store"
    status, made = call("repo", "keygen", str(old))
    assert (status, old.stat().st_mode & 0o777) == (0, 0o600)
    assert call("repo", "keygen", str(old))[0] == 4
    assert call("repo", "encrypt", "--store", str(store))[0] == 14
    use(old, made["recipient"])
    status, found = call("repo", "init", str(store))
    assert (status, found["is_encrypted"]) == (0, True)
    assert call("repo", "encrypt", "--store", str(store))[0] == 4
    _status, second = call("repo", "keygen", str(new))
    use(new, second["recipient"])
    assert call("repo", "rekey", "--store", str(store))[0] == 12
    status, wrapped = call("repo", "rekey", "--store", str(store), "--old", f"file:{old}")
    assert (status, wrapped["recipients"]) == (0, [second["recipient"]])
    opened = Unlock(recipients=(str(second["recipient"]),), identity=new.read_text())
    private = serialization.load_pem_private_key(signing, password=None)
    assert isinstance(private, Ed25519PrivateKey)
    repository = Repository.open(
        str(store), keys=replace(Keys(private, private.public_key().public_bytes_raw()), unlock=opened)
    )
    repository.vault.make_topic_keys(["erased"])
    assert call("repo", "shred", "unknown", "--store", str(store))[0] == 10
    status, plan = call("repo", "shred", "erased", "--store", str(store), "--dry-run")
    assert (status, len(plan["keys"])) == (0, 1)  # type: ignore[arg-type]
    assert call("repo", "shred", "erased", "--store", str(store))[0] == 6
    status, gone = call(
        "repo", "shred", "erased", "--store", str(store), "--confirm", "erased", "--reason", "asked for"
    )
    assert (status, gone["keys"]) == (0, plan["keys"])
    assert Repository.open(str(store)).vault.keys_of("erased")[0].wrapped is None
