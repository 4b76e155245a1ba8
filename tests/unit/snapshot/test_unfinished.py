"""Notes of captures that never finished: what they say is used where the packs bear it out, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from replicator.errors import DataCorrupt, Unreachable
from replicator.model.archive.snapshots import Manifest
from replicator.model.archive.unlocking import Unlock
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.snapshot import Keys, Repository, apply_prune, check_repository
from replicator.snapshot.capture import packing
from replicator.snapshot.capture.chunks import ChunkBuilder
from replicator.snapshot.capture.increments import PartitionPlan, plan_partition
from replicator.snapshot.capture.packing import Compression, PackWriter
from replicator.snapshot.capture.survey import Survey
from replicator.snapshot.capture.unfinished import NoteTaker, Unfinished, find_unfinished
from replicator.snapshot.keeping import begin_encryption
from replicator.snapshot.repository.notes import UNFINISHED, read_note, write_note
from replicator.snapshot.repository.packs import pack_key
from replicator.storage import open_store
from tests.unit.snapshot.conftest import NOW, TP, FixedClock, Workshop, make_batch, make_slice

CHUNKS = 6
RECORD_BYTES = 600_000
"""Two chunks are more than a pack here, and each is more than a small tail."""


@dataclass
class Bench(Workshop):
    """A repository in a folder, with captures that never came to their manifest."""

    folder: Path

    def capture(self, survey: Survey, stop: int = CHUNKS, *, plan: PartitionPlan | None = None) -> NoteTaker:
        """Store chunks of one batch each up to `stop`, and publish nothing."""
        self.repository.vault.make_topic_keys([TP.topic])
        plan = plan or plan_all()
        notes = NoteTaker(self.repository, survey, [plan], {})
        builder = ChunkBuilder(TP, start=0, stop=CHUNKS, chunk_bytes=1)
        writer = PackWriter(self.repository, {}, Compression.NONE, tell=notes.take)
        try:
            for offset in range(stop):
                batch = make_batch(offset, [b"%d" % offset * RECORD_BYTES])
                for chunk in builder.add(make_slice(batch, start=offset, stop=offset + 1)):
                    writer.add(chunk)
            writer.finish()
        finally:
            writer.close()
        return notes

    def find(self, survey: Survey) -> Unfinished:
        """What another process would go on from."""
        return find_unfinished(self.repository, survey)

    def notes(self) -> list[Path]:
        """The files of the notes."""
        return sorted((self.folder / UNFINISHED).glob("*-*"))


def plan_all() -> PartitionPlan:
    """The plan of the partition with nothing there yet."""
    ends = PartitionEnds(partition=0, log_start=0, last_stable=CHUNKS, end=CHUNKS)
    return plan_partition(TP, ends, base=None, is_full=False)


def make_survey(
    *, cluster_id: str = "E", topic_id: str = "T", policy: str = "delete", after: timedelta = timedelta()
) -> Survey:
    """As much of a survey as notes need."""
    return cast(
        "Survey",
        SimpleNamespace(
            identity=SimpleNamespace(cluster_id=cluster_id),
            cut=SimpleNamespace(at=NOW + after),
            topics={TP.topic: SimpleNamespace(topic_id=topic_id)},
            settings={TP.topic: {"cleanup.policy": policy, "delete.retention.ms": "86400000"}},
        ),
    )


def make_bench(path: Path, keys: Keys | None = None) -> Bench:
    """A bench with an empty repository."""
    store = open_store(str(path / "repository"))
    repository, _is_new = Repository.init(store, clock=FixedClock(), tool="test", keys=keys)
    return Bench(store, repository, path / "repository")  # type: ignore[arg-type]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A bench whose packs hold two chunks."""
    monkeypatch.setattr(packing, "PACK_BYTES", RECORD_BYTES * 2)
    return make_bench(tmp_path)


def kept(found: Unfinished) -> list[tuple[int, int]]:
    """The offsets that need not be read again."""
    return [(chunk.start, chunk.stop) for chunk in found.shorten([plan_all()])[0].kept_chunks]


ALL = [(n, n + 1) for n in range(CHUNKS)]


def test_a_note_follows_each_pack(bench: Bench) -> None:
    """What is durable is noted, pack by pack, and found by whoever comes next, with all that a manifest needs."""
    assert len(bench.capture(make_survey()).keys) == len(bench.notes()) == CHUNKS // 2
    found = bench.find(make_survey())
    plan = found.shorten([plan_all()])[0]
    assert kept(found) == ALL
    assert plan.spans == ()
    assert [chunk.facts.records for chunk in plan.kept_chunks] == [1] * CHUNKS
    assert set(found.pack_sizes) == {chunk.pack for chunk in plan.kept_chunks} == set(bench.repository.list_packs())
    assert found.warnings == []


def test_no_note_without_its_pack(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails while a pack is put leaves no note of it: what is half written is never gone on from."""
    real, left = Repository.put_pack, [1]

    def put_pack(self: Repository, pack: object) -> bool:
        if not left:
            raise Unreachable("the store went away")
        left.pop()
        return real(self, pack)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "put_pack", put_pack)
    with pytest.raises(Unreachable):
        bench.capture(make_survey())
    assert kept(bench.find(make_survey())) == ALL[:2]


@pytest.mark.parametrize(
    ("noted", "now", "is_used"),
    [
        ({}, {}, True),
        ({}, {"cluster_id": "W"}, False),
        ({}, {"topic_id": "U"}, False),
        ({"policy": "compact"}, {"policy": "compact", "after": timedelta(hours=11)}, True),
        ({"policy": "compact"}, {"policy": "compact", "after": timedelta(hours=13)}, False),
        ({"policy": "compact"}, {"after": timedelta(hours=13)}, False),
        ({}, {"policy": "compact,delete", "after": timedelta(hours=13)}, False),
        ({}, {"after": timedelta(days=3)}, True),
    ],
)
def test_whose_note_counts(bench: Bench, noted: dict, now: dict, is_used: bool) -> None:
    """Of the same cluster and topic id; of a compacted topic while tombstones cannot have gone."""
    bench.capture(make_survey(**noted))
    assert kept(bench.find(make_survey(**now))) == (ALL if is_used else [])


def shorten_pack(bench: Bench) -> None:
    path = bench.folder / pack_key(read_first(bench).chunks[0].chunk.pack)
    path.write_bytes(path.read_bytes()[:-1])


def remove_pack(bench: Bench) -> None:
    (bench.folder / pack_key(read_first(bench).chunks[0].chunk.pack)).unlink()


def flip_index(bench: Bench) -> None:
    path = bench.folder / pack_key(read_first(bench).chunks[0].chunk.pack)
    data = bytearray(path.read_bytes())
    data[-60] ^= 1
    path.write_bytes(data)


def read_first(bench: Bench):
    """The note of the first two chunks."""
    for path in bench.notes():
        note = read_note(
            bench.repository.unseal(UNFINISHED, path.read_bytes(), subject=path.name, where="n"), where="n"
        )
        if note.chunks[0].chunk.start == 0:
            return note
    raise AssertionError("no such note")


@pytest.mark.parametrize("damage", [shorten_pack, remove_pack, flip_index])
def test_a_note_is_believed_as_far_as_its_pack_bears_it_out(bench: Bench, damage: Callable[[Bench], None]) -> None:
    """What is in a pack that is gone, cut short or has another index is read anew."""
    bench.capture(make_survey())
    damage(bench)
    assert kept(bench.find(make_survey())) == ALL[2:]


def test_a_note_of_another_chunk_is_not_believed(bench: Bench) -> None:
    """A note that names a chunk its pack does not hold there is of no use."""
    bench.capture(make_survey(), stop=2)
    note, path = read_first(bench), bench.notes()[0]
    first = note.chunks[0]
    stored = replace(first.chunk.stored, id="0" * 64, stored_sha256="0" * 64)
    forged = replace(note, chunks=[replace(first, chunk=replace(first.chunk, stored=stored)), *note.chunks[1:]])
    path.write_bytes(bench.repository.seal(UNFINISHED, write_note(forged), subject=path.name))
    assert kept(bench.find(make_survey())) == [(1, 2)]


def test_a_note_that_is_not_whole_is_a_warning(bench: Bench) -> None:
    """One flipped bit, or a note cut short: told, and the data is read again."""
    bench.capture(make_survey())
    first, second, _third = bench.notes()
    data = bytearray(first.read_bytes())
    data[-9] ^= 4
    first.write_bytes(data)
    second.write_bytes(second.read_bytes()[:-1])
    found = bench.find(make_survey())
    assert len(kept(found)) == 2
    assert len(found.warnings) == 2
    assert all(warning.startswith("not gone on from: ") for warning in found.warnings)


def test_notes_nobody_signed_count_for_nothing_where_signatures_are_demanded(bench: Bench) -> None:
    """Who can write to the store and has no key plants no data into the next snapshot."""
    bench.capture(make_survey())
    key = Ed25519PrivateKey.generate()
    keys = Keys(signing=key, trusted=key.public_key().public_bytes_raw())
    found = find_unfinished(Repository.open(bench.store, keys=keys), make_survey())
    assert kept(found) == []
    assert len(found.warnings) == CHUNKS // 2


def test_a_note_that_contradicts_itself_is_refused(bench: Bench) -> None:
    """Chunks outside their pack, or covering nothing, are no note."""
    bench.capture(make_survey(), stop=2)
    note = read_first(bench)
    first = note.chunks[0]
    for chunk in (replace(first.chunk, offset=1 << 40), replace(first.chunk, stop=first.chunk.start)):
        with pytest.raises(DataCorrupt):
            read_note(write_note(replace(note, chunks=[replace(first, chunk=chunk)])), where="n")
    with pytest.raises(DataCorrupt):
        read_note(b"{}", where="n")


def test_what_a_transaction_leaves_out_is_not_noted(bench: Bench) -> None:
    """A chunk that reaches beyond what its capture left out may be another one's in the next snapshot."""
    bench.capture(make_survey(), plan=replace(plan_all(), left_out=((7, 3, 4),)))
    assert kept(bench.find(make_survey())) == ALL[:3]


def test_chunks_under_another_key_are_not_used(tmp_path: Path) -> None:
    """When encryption began since, or a topic has another key, what was stored before is read again."""
    make_bench(tmp_path).capture(make_survey())
    bench = make_bench(tmp_path, Keys(unlock=Unlock(passphrase="a long passphrase")))
    begin_encryption(bench.repository, clock=FixedClock())
    bench.repository.vault.make_topic_keys([TP.topic])
    assert kept(bench.find(make_survey())) == []
    bench.capture(make_survey())
    assert kept(bench.find(make_survey())) == ALL


def manifest_of(end: int, topic_id: str = "T") -> Manifest:
    """As much of a manifest as is asked: where its partition ends."""
    topic = SimpleNamespace(topic_id=topic_id, partitions=[SimpleNamespace(partition=0, end=end)])
    return cast("Manifest", SimpleNamespace(topics=[topic]))


def test_notes_go_with_the_manifest_that_says_as_much(bench: Bench) -> None:
    """Published, a capture deletes its own notes and those it makes needless; others stay."""
    own = bench.capture(make_survey())
    found = bench.find(make_survey())
    found.forget(manifest_of(CHUNKS, "U"), own=[])
    assert len(bench.notes()) == len(own.keys)
    found.forget(manifest_of(3), own=[])
    assert len(bench.notes()) == len(own.keys) - 1
    assert kept(bench.find(make_survey())) == ALL[2:]
    found.forget(manifest_of(0), own=own.keys)
    assert bench.notes() == []


def test_left_overs_are_listed_and_collected_after_the_grace_time(bench: Bench) -> None:
    """Notes and the packs they name are garbage from the start: kept a day, then gone."""
    bench.capture(make_survey())
    listed = check_repository(bench.repository, now=NOW).garbage
    assert {one.key.split("/")[0] for one in listed} == {"packs", UNFINISHED}
    assert len(listed) == CHUNKS
    apply_prune(bench.repository, [], clock=FixedClock())
    assert kept(bench.find(make_survey())) == ALL
    apply_prune(bench.repository, [], clock=FixedClock(), grace_seconds=-10 * 365 * 86400.0)
    assert bench.notes() == []
    assert bench.repository.list_packs() == {}


def test_another_topic_beside_it_is_not_mixed_up(bench: Bench) -> None:
    """What was noted of a partition is kept for that partition alone."""
    bench.capture(make_survey())
    other = replace(plan_all(), partition=TopicPartition(TopicName("others"), 0))
    assert bench.find(make_survey()).shorten([other]) == [other]
