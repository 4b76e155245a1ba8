"""Records of the journal as bytes: canonical JSON, each naming the SHA-256 of the one before it.

    {"v":1,"writer":W,"sequence":n,…,"previous":digest of n-1,"digest":D}     D = SHA-256 of all but itself

The chain runs per writer (a supervisor id): two supervisors that share a topic never break each other's.
It shows a changed byte, a missing middle and another order. A cut tail shows only beside a copied head.

A value that is no record at all, or a copy of an earlier one, is a stray: anybody with the right to write can leave one
between ours for ever.
It is named and left out, so that it cannot keep a failover from the journal; one that took a record's place
breaks the link after it, and that is refused, until somebody accepts that break by a record of its own
(`accepting`): from there on the chain is taken up as it stands, and the break is told for ever.
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
AUDIT_STEP, ACCEPTED_ITEM = "audit", "accepted_break"
"""Step and item of a record that accepts a break of the chain."""
GENESIS = "0" * 64
"""What the first record of a writer names as the one before it."""

STRAYS_MAX = 100
"""So many strays are named one by one; their number is told always."""


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


@dataclass(frozen=True, slots=True)
class Stray:
    """A value in the log that is no record of a journal; `what` says how that shows."""

    offset: int
    what: str

    def __str__(self) -> str:
        return f"the record at offset {self.offset} {self.what}"


@dataclass(frozen=True, slots=True)
class Break:
    """A record that contradicts what stands before it: where it is, which it is (`digest`), and how that shows.

    `is_intruder`: the chain goes on behind it as if it were not there, so that it is left out; otherwise something
    before it is missing or was changed, and it is the first of what is left.
    """

    offset: int
    digest: str
    what: str
    is_intruder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Somebody's word that the chain goes on behind a break: whose, when and why. `strays_count` were known then."""

    at: Break
    by: str
    reason: str
    accepted_at: datetime
    strays_count: int


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
    holds a newer version may be read, never written. `strays` names the first of `strays_count` values that are no
    records; `accepted` are the breaks behind which it was taken up again, `passed` the sequences [from, to) of a writer
    that are lost by that.
    """

    records: tuple[JournalRecord, ...] = ()
    heads: Mapping[str, Head] = field(default_factory=dict)
    newest_version: int = VERSION
    strays: tuple[Stray, ...] = ()
    strays_count: int = 0
    accepted: tuple[Acceptance, ...] = ()
    passed: tuple[tuple[str, int, int], ...] = ()

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


def verify(stored: Iterable[Stored], *, accepting: Iterable[Break] = ()) -> Chain:
    """Return the whole chain, every link of it proven; what is no record at all is named among the strays.

    Raises:
        DataCorrupt: a record contradicts the one before it, and nobody has accepted that, here or in the journal; the
            message names the offset and what is wrong there.
    """
    chain, broken = prove_prefix(stored, accepting=accepting)
    if broken is not None:
        raise broken
    return chain


def prove_prefix(stored: Iterable[Stored], *, accepting: Iterable[Break] = ()) -> tuple[Chain, DataCorrupt | None]:
    """Return the chain up to the first record that contradicts the one before it, and that contradiction or None."""
    chain, broken = _prove_to_break(stored, accepting)
    return chain, None if broken is None else _corrupt(broken.offset, broken.what)


def find_break(stored: Iterable[Stored], *, accepting: Iterable[Break] = ()) -> Break | None:
    """Return the first break of the chain that nobody has accepted; None where there is none."""
    values = list(stored)
    chain, broken = _prove_to_break(values, accepting)
    if broken is None:
        return None
    return replace(broken, is_intruder=_goes_on_without(chain, broken, values))


def _goes_on_without(chain: Chain, broken: Break, stored: Iterable[Stored]) -> bool:
    """Whether a later record names the head before the break as the one before it."""
    writer: str | None = None
    for entry in stored:
        try:
            fields, _ = _proven_fields(entry.value)
        except _NoRecordError:
            continue
        if entry.offset == broken.offset:
            writer = fields["writer"]
        elif entry.offset > broken.offset and fields["writer"] == writer:
            head = chain.heads.get(fields["writer"], Head())
            if (fields["sequence"], fields["previous"]) == (head.sequence, head.digest):
                return True
    return False


def _prove_to_break(stored: Iterable[Stored], accepting: Iterable[Break]) -> tuple[Chain, Break | None]:
    values = stored if isinstance(stored, list) else list(stored)
    chain, broken = _walk(values, list(accepting))
    if broken is None:
        return chain, None
    told = _told_acceptances(values)
    if not told:
        return chain, broken
    chain, broken = _walk(values, [*accepting, *(word.at for word in told)])
    return replace(chain, accepted=tuple(told)), broken


def _walk(stored: list[Stored], accepted: list[Break]) -> tuple[Chain, Break | None]:
    reader = _ChainReader(accepted)
    for entry in stored:
        broken = reader.take(entry)
        if broken is not None:
            return _chain_of(reader), broken
    return _chain_of(reader), None


def _told_acceptances(stored: Iterable[Stored]) -> list[Acceptance]:
    """Return every acceptance that the journal holds, of breaks before it. The records are proven like any other when
    the chain is walked."""
    found = []
    for entry in stored:
        try:
            fields, _ = _proven_fields(entry.value)
            acceptance = _to_acceptance(fields)
        except (_NoRecordError, KeyError, TypeError, ValueError):
            continue
        if acceptance is not None and acceptance.at.offset < entry.offset:
            found.append(acceptance)
    return found


def _to_acceptance(fields: Mapping[str, Any]) -> Acceptance | None:
    if fields["step"] != AUDIT_STEP or fields["item"] != ACCEPTED_ITEM:
        return None
    body = fields["body"]
    return Acceptance(
        at=Break(int(body["offset"]), str(body["digest"]), str(body["what"]), body["is_intruder"] is True),
        by=str(fields["actor"]),
        reason=str(body["reason"]),
        accepted_at=from_rfc3339(fields["written_at"]),
        strays_count=int(body["strays_count"]),
    )


def _chain_of(reader: _ChainReader) -> Chain:
    return Chain(
        records=tuple(reader.records),
        heads=reader.heads,
        newest_version=reader.newest_version,
        strays=tuple(reader.strays),
        strays_count=reader.strays_count,
        passed=tuple(reader.passed),
    )


class _ChainReader:
    """Walks a journal in order and holds each record against the one before it."""

    def __init__(self, accepted: Iterable[Break]) -> None:
        self.records: list[JournalRecord] = []
        self.heads: dict[str, Head] = {}
        self.newest_version = VERSION
        self.strays: list[Stray] = []
        self.strays_count = 0
        self._epochs: dict[str, int] = {}
        self._accepted = {(one.offset, one.digest): one for one in accepted}
        self._places: dict[str, int] = {}
        self.passed: list[tuple[str, int, int]] = []

    def take(self, stored: Stored) -> Break | None:
        """Return how the value breaks the chain, if it does and that was not accepted; else it is part of it now."""
        try:
            fields, digest = _proven_fields(stored.value)
        except _NoRecordError as exc:
            self._note_stray(Stray(stored.offset, str(exc)))
            return None
        if digest in self._places:
            self._note_stray(Stray(stored.offset, f"is a copy of the one at {self._places[digest]}"))
            return None
        told, accepted = self._contradiction(fields), self._accepted.get((stored.offset, digest))
        if told is not None and accepted is None:
            return Break(stored.offset, digest, told)
        if accepted is not None and accepted.is_intruder:
            return None
        self._places[digest] = stored.offset
        if told is not None:
            before = self.heads.get(fields["writer"], Head()).sequence
            self.passed.append((fields["writer"], before, fields["sequence"]))
        self.heads[fields["writer"]] = Head(sequence=fields["sequence"] + 1, digest=digest)
        if fields["v"] > VERSION:
            self.newest_version = max(self.newest_version, fields["v"])
            return None
        odd = self._keep(fields, digest, stored.offset, is_accepted=accepted is not None)
        return None if odd is None or accepted is not None else Break(stored.offset, digest, odd)

    def _note_stray(self, stray: Stray) -> None:
        self.strays_count += 1
        if len(self.strays) < STRAYS_MAX:
            self.strays.append(stray)

    def _contradiction(self, fields: Mapping[str, Any]) -> str | None:
        head = self.heads.get(fields["writer"], Head())
        if fields["sequence"] != head.sequence:
            told = f"sequence {fields['sequence']} of {fields['writer']} follows {head.sequence - 1}"
        elif fields["previous"] != head.digest:
            told = f"names {fields['previous'][:12]} as the record before it, which is {head.digest[:12]}"
        else:
            return None
        return told + (f"; {self.strays[0]}" if self.strays else "")

    def _keep(self, fields: Mapping[str, Any], digest: str, offset: int, *, is_accepted: bool) -> str | None:
        """Return what is odd about a record, which is left out then; None once it is kept."""
        try:
            record = _to_record(fields, digest=digest, offset=offset)
        except (KeyError, TypeError, ValueError) as exc:
            return f"a field is missing or odd: {exc!r}"
        if record.epoch < self._epochs.get(record.writer, 0) and not is_accepted:
            return f"epoch {record.epoch} follows {self._epochs[record.writer]}"
        self._epochs[record.writer] = record.epoch
        self.records.append(record)
        return None


class _NoRecordError(Exception):
    """A value is no record; says how that shows. It never leaves this file."""


def _proven_fields(value: bytes) -> tuple[dict[str, Any], str]:
    """Return the fields without the digest, and the digest, after the bytes have matched it.

    Raises:
        _NoRecordError: the value is not of the form, or its bytes are not those that were sealed.
    """
    try:
        fields = json.loads(value)
        is_whole = isinstance(fields, dict) and canonical_json(fields) == value
    except (ValueError, RecursionError) as exc:
        raise _NoRecordError("is no JSON") from exc
    if not is_whole:
        raise _NoRecordError("is not in canonical form")
    digest = fields.pop("digest", None)
    if digest != _digest(fields):
        raise _NoRecordError("has a digest that its bytes do not match")
    _check_links_are_told(fields)
    return fields, str(digest)


def _check_links_are_told(fields: Mapping[str, Any]) -> None:
    kinds = {"v": int, "sequence": int, "writer": str, "previous": str}
    odd = [name for name, kind in kinds.items() if type(fields.get(name)) is not kind]
    if odd:
        raise _NoRecordError(f"has a field {odd[0]} that is missing or odd")


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
        hint="somebody else changed the journal: `replicator audit verify` tells where, and how to go on",
    )
