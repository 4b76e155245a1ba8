"""Values of the house become JSON one way only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from replicator.model.cluster import Secret
from replicator.model.forms.plain import to_json, to_plain
from replicator.model.names import TopicName, TopicPartition
from replicator.model.offsets import Grade


@dataclass(frozen=True, slots=True)
class Sample:
    partition: TopicPartition
    grade: Grade
    seen_at: datetime
    committed: dict[TopicPartition, int | None]


class Model(BaseModel):
    api_version: str = Field(alias="apiVersion")
    grade: Grade


def test_dataclasses_enums_times_and_keys() -> None:
    """Fields keep their names, times are RFC 3339 in UTC, enums their value, keys their text, None null."""
    partition = TopicPartition(TopicName("a"), 0)
    seen_at = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    assert to_plain(Sample(partition, Grade.EXACT, seen_at, {partition: None})) == {
        "partition": {"topic": "a", "partition": 0},
        "grade": "EXACT",
        "seen_at": "2026-01-01T00:00:00.000Z",
        "committed": {"a[0]": None},
    }


def test_other_values() -> None:
    """Models use their aliases; sets are sorted; paths, durations and bytes have one form; NaN is unknown."""
    values = {
        "model": Model(apiVersion="x", grade=Grade.FLOOR),
        "set": frozenset({"b", "a"}),
        "path": Path("/x"),
        "duration": timedelta(seconds=1.5),
        "bytes": b"\xff",
        "nan": float("nan"),
        "tuple": (1, 2.5, True),
    }
    assert to_plain(values) == {
        "model": {"apiVersion": "x", "grade": "FLOOR"},
        "set": ["a", "b"],
        "path": "/x",
        "duration": 1.5,
        "bytes": "/w==",
        "nan": None,
        "tuple": [1, 2.5, True],
    }


@pytest.mark.security
def test_a_secret_is_its_reference() -> None:
    """The value of a secret has no JSON form, however deep it lies."""
    assert to_json({"a": [Secret("env:PW", "c4n4ry")]}) == '{"a": ["<secret env:PW>"]}'


def test_what_nobody_decided_is_an_error() -> None:
    """A value without a decided form is refused rather than guessed."""
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_plain({"a": object()})


@given(st.text())
def test_json_is_printable_ascii_and_exact(text: str) -> None:
    """Any string comes back exactly, and what is printed is plain visible ASCII."""
    shown = to_json([text])
    assert shown.isascii()
    assert shown.isprintable()
    assert json.loads(shown) == [text]


def test_moments_are_in_utc() -> None:
    """UTC itself ends in Z."""
    assert to_plain(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000Z"
