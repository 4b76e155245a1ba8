"""A repository of each format, kept for ever, is read as it was written: the first was made on a real broker,
the second holds the same batches, encrypted, the third tells the evidence for its consistency.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from replicator.clock import SYSTEM_CLOCK
from replicator.model.archive.consistency import Level
from replicator.model.archive.snapshots import ChunkEncoding, Manifest
from replicator.model.archive.unlocking import Unlock
from replicator.snapshot import Repository, load_keys, verify_snapshot
from replicator.snapshot.restore.batches import ready_chunk
from replicator.wire.format import decode_records, walk_batches

DATA = Path(__file__).parents[2] / "data"
VERSIONS = ("repository-v1", "repository-v2", "repository-v3")


@pytest.fixture(params=VERSIONS)
def golden(request: pytest.FixtureRequest) -> tuple[Repository, Manifest]:
    """Each kept repository, its signature demanded, and its one snapshot."""
    folder = DATA / request.param
    identity = folder / "identity.txt"
    unlock = Unlock(identity=identity.read_text()) if identity.exists() else None
    keys = load_keys((folder / "public.pem").read_text(), unlock=unlock)
    repository = Repository.open(str(folder / "store"), keys=keys)
    return repository, repository.read_manifest(repository.find("latest"))


def test_it_is_whole_and_signed(golden: tuple[Repository, Manifest]) -> None:
    """Every byte of it is proven, by the key it was signed with."""
    repository, manifest = golden
    report = verify_snapshot(repository, manifest.id, clock=SYSTEM_CLOCK)
    assert report.is_ok
    assert report.signed_by is not None
    assert report.chunks == 4


def test_it_holds_what_it_was_made_to_hold(golden: tuple[Repository, Manifest]) -> None:
    """All codecs, aborted transactions, compaction's holes, append times and a compressed chunk are in it."""
    _repository, manifest = golden
    facts = [chunk.facts for _tp, chunk in manifest.chunks()]
    assert {codec for fact in facts for codec in fact.codecs} == {"none", "gzip", "snappy", "lz4", "zstd"}
    assert any(chunk.aborted for _tp, chunk in manifest.chunks())
    assert sum(fact.markers for fact in facts) == 2
    assert sum(fact.rebuilds for fact in facts) == 2
    encodings = {chunk.stored.encoding for _tp, chunk in manifest.chunks()}
    assert encodings == {ChunkEncoding.NONE, ChunkEncoding.ZSTD}
    assert [len(partition.chunks) for partition in manifest.topics[0].partitions] == [1, 1, 0]


def test_a_restore_of_it_produces_what_its_clients_saw(golden: tuple[Repository, Manifest]) -> None:
    """Every record comes out as a committed-only consumer read it on the day, in order."""
    repository, manifest = golden
    found: dict[str, list[object]] = {
        f"{topic.name}[{partition.partition}]": [] for topic in manifest.topics for partition in topic.partitions
    }
    for tp, chunk in manifest.chunks():
        for ready in ready_chunk(repository.read_chunk(chunk), chunk, where=str(tp)):
            (batch,) = walk_batches(memoryview(ready.make(None)))
            found[str(tp)] += [
                [r.timestamp_ms, encode(r.key), encode(r.value), [[name, encode(value)] for name, value in r.headers]]
                for r in decode_records(batch)
            ]
    assert found == json.loads((DATA / "repository-v1" / "expected.json").read_text())


def encode(content: bytes | None) -> str | None:
    """Bytes as the kept file holds them."""
    return None if content is None else base64.b64encode(content).decode()


def test_its_states_are_read(golden: tuple[Repository, Manifest]) -> None:
    """Topic settings and group positions come out as they were captured."""
    repository, manifest = golden
    assert repository.read_state(manifest, "configs")["topics"]["planes"]["cleanup.policy"] == "compact"
    (group,) = repository.read_state(manifest, "groups")["groups"]
    assert (group["group"], group["offsets"]) == ("billing", [["orders", 0, 17]])


def test_the_third_tells_what_its_cut_promises() -> None:
    """Levels with their evidence, what a cut left out, and what a consumer left with its position are read."""
    repository = Repository.open(str(DATA / VERSIONS[2] / "store"))
    manifest = repository.read_manifest(repository.find("latest"))
    assert [one.level for one in manifest.consistency.evidence if not one.is_held] == [Level.QUIESCENT]
    assert manifest.consistency.level == "transaction_atomic"
    left_out = [r for topic in manifest.topics for partition in topic.partitions for r in partition.left_out]
    assert left_out == [r for _tp, chunk in manifest.chunks() for r in chunk.aborted]
    assert left_out
    (group,) = repository.read_state(manifest, "groups")["groups"]
    assert group["metadata"] == [["orders", 0, "left by a consumer"]]


def test_an_erased_topic_is_known_and_the_version_is_said() -> None:
    """The second one knows a key that was destroyed, and each manifest says its version."""
    for number, name in enumerate(VERSIONS, start=1):
        (manifest,) = (DATA / name / "store" / "manifests").iterdir()
        assert f'"format":"replicator.manifest/{number}"'.encode() in manifest.read_bytes()
    repository = Repository.open(str(DATA / VERSIONS[1] / "store"))
    (key,) = repository.vault.keys_of("erased")
    assert (key.wrapped, key.reason) == (None, "kept for ever as an example")
