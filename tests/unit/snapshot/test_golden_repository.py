"""A repository of format 1, made on a real broker and kept for ever, is read as it was written."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from replicator.clock import SYSTEM_CLOCK
from replicator.model.archive.snapshots import ChunkEncoding, Manifest
from replicator.snapshot import Repository, load_keys, verify_snapshot
from replicator.snapshot.restore.batches import ready_chunk
from replicator.wire.format import decode_records, walk_batches

FOLDER = Path(__file__).parents[2] / "data" / "repository-v1"


def open_golden() -> tuple[Repository, Manifest]:
    """The kept repository, its signature demanded, and its one snapshot."""
    repository = Repository.open(str(FOLDER / "store"), keys=load_keys((FOLDER / "public.pem").read_text()))
    return repository, repository.read_manifest(repository.find("latest"))


def test_it_is_whole_and_signed() -> None:
    """Every byte of it is proven, by the key it was signed with."""
    repository, manifest = open_golden()
    report = verify_snapshot(repository, manifest.id, clock=SYSTEM_CLOCK)
    assert report.is_ok
    assert report.signed_by is not None
    assert report.chunks == 4


def test_it_holds_what_it_was_made_to_hold() -> None:
    """All codecs, aborted transactions, compaction's holes, append times and a compressed chunk are in it."""
    _repository, manifest = open_golden()
    facts = [chunk.facts for _tp, chunk in manifest.chunks()]
    assert {codec for fact in facts for codec in fact.codecs} == {"none", "gzip", "snappy", "lz4", "zstd"}
    assert any(chunk.aborted for _tp, chunk in manifest.chunks())
    assert sum(fact.markers for fact in facts) == 2
    assert sum(fact.rebuilds for fact in facts) == 2
    encodings = {chunk.stored.encoding for _tp, chunk in manifest.chunks()}
    assert encodings == {ChunkEncoding.NONE, ChunkEncoding.ZSTD}
    assert [len(partition.chunks) for partition in manifest.topics[0].partitions] == [1, 1, 0]


def test_a_restore_of_it_produces_what_its_clients_saw() -> None:
    """Every record comes out as a committed-only consumer read it on the day, in order."""
    repository, manifest = open_golden()
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
    assert found == json.loads((FOLDER / "expected.json").read_text())


def encode(content: bytes | None) -> str | None:
    """Bytes as the kept file holds them."""
    return None if content is None else base64.b64encode(content).decode()


def test_its_states_are_read() -> None:
    """Topic settings and group positions come out as they were captured."""
    repository, manifest = open_golden()
    assert repository.read_state(manifest, "configs")["topics"]["planes"]["cleanup.policy"] == "compact"
    (group,) = repository.read_state(manifest, "groups")["groups"]
    assert (group["group"], group["offsets"]) == ("billing", [["orders", 0, 17]])
