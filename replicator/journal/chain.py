"""Records of the journal as bytes: canonical JSON, each naming the SHA-256 of the one before it.

    {"v":1,"writer":W,"sequence":n,…,"previous":digest of n-1,"digest":D}     D = SHA-256 of all but itself

The chain runs per writer (a supervisor id): two supervisors that share a topic never break each other's.
It shows a changed byte, a missing middle and another order. A cut tail shows only beside a copied head.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from replicator.clock import from_rfc3339, to_rfc3339
from replicator.errors import DataCorrupt
from replicator.model.forms.plain import to_plain
from replicator.model.names import FlowName, OperationId
from replicator.model.operations import JournalRecord

VERSION = 1
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
GENESIS = "0" * 64
"""What the first record of a writer names as the one before it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The value of one record as the log holds it."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """Where a writer's chain ends: the next record carries `sequence` and names `digest`."""

    sequence: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What somebody wants written; the chain adds sequence, epoch, time and digests."""

    operation_id: OperationId
    flow: FlowName
    kind: str
    step: str
    phase: str
    actor: str
    item: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A whole journal whose chain was verified.

    `records` are those this version understands; `newest_version` is the highest `v` met. A journal that
    holds a newer version may be read, never written.
    """

    records: tuple[JournalRecord, ...] = ()
    heads: Mapping[str, Head] = field(default_factory=dict)
    newest_version: int = VERSION

    @property
    def is_read_only(self) -> bool:
        """Whether a newer version of this program has written here."""
        return self.newest_version > VERSION

    @property
    def highest_epoch(self) -> int:
        """The highest epoch of any record, 0 for an empty journal."""
        return max((record.epoch for record in self.records), default=0)


def canonical_json(value: object) -> bytes:
    """Return the one JSON form of a value: keys sorted, no spaces, pure ASCII, no NaN."""
    return _ENCODER.encode(value).encode()


def seal(entry: Entry, *, head: Head, writer: str, epoch: int, written_at: datetime) -> JournalRecord:
    """Return the record that puts `entry` at the end of the writer's chain."""
    bare = JournalRecord(
        sequence=head.sequence,
        epoch=epoch,
        operation_id=entry.operation_id,
        flow=entry.flow,
        kind=entry.kind,
        step=entry.step,
        phase=str(entry.phase),
        item=entry.item,
        actor=entry.actor,
        written_at=from_rfc3339(to_rfc3339(written_at)),
        body=json.loads(canonical_json(to_plain(entry.body))),
        previous=head.digest,
        digest="",
        writer=writer,
    )
    return replace(bare, digest=_digest(_fields(bare)))


def encode(record: JournalRecord) -> bytes:
    """Return the record's bytes as the log holds them."""
    return canonical_json({**_fields(record), "digest": record.digest})


def next_head(record: JournalRecord) -> Head:
    """Return where the chain ends once `record` stands in it."""
    return Head(sequence=record.sequence + 1, digest=record.digest)


def verify(stored: Iterable[Stored]) -> Chain:
    """Return the whole chain, every link of it proven.

    Raises:
        DataCorrupt: it names the offset and what is wrong there.
    """
    reader = _ChainReader()
    for entry in stored:
        reader.take(entry)
    return Chain(records=tuple(reader.records), heads=reader.heads, newest_version=reader.newest_version)


class _ChainReader:
    """Walks a journal in order and holds each record against the one before it."""

    def __init__(self) -> None:
        self.records: list[JournalRecord] = []
        self.heads: dict[str, Head] = {}
        self.newest_version = VERSION
        self._epochs: dict[str, int] = {}

    def take(self, stored: Stored) -> None:
        fields, digest = _proven_fields(stored)
        self._check_link(fields, stored.offset)
        self.heads[fields["writer"]] = Head(sequence=fields["sequence"] + 1, digest=digest)
        if fields["v"] > VERSION:
            self.newest_version = max(self.newest_version, fields["v"])
        else:
            self._keep(fields, digest, stored.offset)

    def _check_link(self, fields: Mapping[str, Any], offset: int) -> None:
        head = self.heads.get(fields["writer"], Head())
        if fields["sequence"] != head.sequence:
            raise _corrupt(offset, f"sequence {fields['sequence']} of {fields['writer']} follows {head.sequence - 1}")
        if fields["previous"] != head.digest:
            raise _corrupt(
                offset, f"names {fields['previous'][:12]} as the record before it, which is {head.digest[:12]}"
            )

    def _keep(self, fields: Mapping[str, Any], digest: str, offset: int) -> None:
        try:
            record = _to_record(fields, digest=digest, offset=offset)
        except (KeyError, TypeError, ValueError) as exc:
            raise _corrupt(offset, f"a field is missing or odd: {exc!r}") from exc
        if record.epoch < self._epochs.get(record.writer, 0):
            raise _corrupt(offset, f"epoch {record.epoch} follows {self._epochs[record.writer]}")
        self._epochs[record.writer] = record.epoch
        self.records.append(record)


def _proven_fields(stored: Stored) -> tuple[dict[str, Any], str]:
    """Return the fields without the digest, and the digest, after the bytes have matched it."""
    try:
        fields = json.loads(stored.value)
        is_whole = isinstance(fields, dict) and canonical_json(fields) == stored.value
    except (ValueError, RecursionError) as exc:
        raise _corrupt(stored.offset, "is no JSON") from exc
    if not is_whole:
        raise _corrupt(stored.offset, "is not in canonical form")
    digest = fields.pop("digest", None)
    if digest != _digest(fields):
        raise _corrupt(stored.offset, "its bytes do not match its digest")
    _check_links_are_told(fields, stored.offset)
    return fields, str(digest)


def _check_links_are_told(fields: Mapping[str, Any], offset: int) -> None:
    kinds = {"v": int, "sequence": int, "writer": str, "previous": str}
    odd = [name for name, kind in kinds.items() if type(fields.get(name)) is not kind]
    if odd:
        raise _corrupt(offset, f"field {odd[0]} is missing or odd")


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json(fields)).hexdigest()


def _to_record(fields: Mapping[str, Any], *, digest: str, offset: int | None) -> JournalRecord:
    return JournalRecord(
        sequence=int(fields["sequence"]),
        epoch=int(fields["epoch"]),
        operation_id=OperationId(fields["operation_id"]),
        flow=FlowName(fields["flow"]),
        kind=str(fields["kind"]),
        step=str(fields["step"]),
        phase=str(fields["phase"]),
        item=fields["item"],
        actor=str(fields["actor"]),
        written_at=from_rfc3339(fields["written_at"]),
        body=dict(fields["body"]),
        previous=str(fields["previous"]),
        digest=digest,
        offset=offset,
        writer=str(fields["writer"]),
    )


def _fields(record: JournalRecord) -> dict[str, Any]:
    return {
        "v": VERSION,
        "writer": record.writer,
        "sequence": record.sequence,
        "epoch": record.epoch,
        "operation_id": record.operation_id,
        "flow": record.flow,
        "kind": record.kind,
        "step": record.step,
        "phase": record.phase,
        "item": record.item,
        "actor": record.actor,
        "written_at": to_rfc3339(record.written_at),
        "body": to_plain(record.body),
        "previous": record.previous,
    }


def _corrupt(offset: int, what: str) -> DataCorrupt:
    return DataCorrupt(
        f"journal: the record at offset {offset} {what}",
        hint="the journal was changed by somebody else: compare it with the copy on the peer cluster",
    )
