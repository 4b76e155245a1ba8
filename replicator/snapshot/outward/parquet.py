"""Records as a Parquet file, a row group at a time. The only file that imports pyarrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import IO, Any

from replicator.errors import ConfigInvalid
from replicator.wire.format.records import RawRecord

ROWS_MAX = 65_536
GROUP_BYTES_MAX = 32 << 20
"""A row group is closed as soon as it holds so many rows, or so many bytes of keys, values and headers; no more than
that and one record is held at a time."""

Row = tuple[RawRecord, bool]
"""A record, and whether its time is that of its append."""


def write_parquet(file: IO[bytes], rows: Iterable[Row], *, topic: str, partition: int) -> int:
    """The rows stand in `file`, which is left open; return how many they are.

    Columns: partition, offset, timestamp (milliseconds, UTC; null for none), timestamp_type (create or append), key,
    value, headers (a list of name and value). Null and empty stay apart. Raises: ConfigInvalid without the extra
    `parquet`; what `rows` raises.
    """
    arrow, parquet = load_pyarrow()
    schema = _schema(arrow).with_metadata({"topic": topic, "partition": str(partition)})
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(rows):
            columns = [arrow.array(_column(group, name, partition), type=schema.field(name).type) for name in _COLUMNS]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema), row_group_size=len(group))
            count += len(group)
    return count


def load_pyarrow() -> tuple[ModuleType, ModuleType]:
    """Return pyarrow and its Parquet module. Raises: ConfigInvalid without the extra `parquet`."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as parquet
    except ImportError as exc:
        raise ConfigInvalid("Parquet needs the package pyarrow", hint="pip install 'replicator[parquet]'") from exc
    return pa, parquet


_COLUMNS = ("partition", "offset", "timestamp", "timestamp_type", "key", "value", "headers")


def _schema(arrow: ModuleType) -> Any:
    header = arrow.struct([("name", arrow.string()), ("value", arrow.binary())])
    return arrow.schema(
        [
            arrow.field("partition", arrow.int32(), nullable=False),
            arrow.field("offset", arrow.int64(), nullable=False),
            ("timestamp", arrow.timestamp("ms", tz="UTC")),
            arrow.field("timestamp_type", arrow.string(), nullable=False),
            ("key", arrow.binary()),
            ("value", arrow.binary()),
            arrow.field("headers", arrow.list_(header), nullable=False),
        ]
    )


def _column(group: list[Row], name: str, partition: int) -> list[Any]:
    match name:
        case "partition":
            return [partition] * len(group)
        case "offset":
            return [record.offset for record, _ in group]
        case "timestamp":
            return [record.timestamp_ms if record.timestamp_ms >= 0 else None for record, _ in group]
        case "timestamp_type":
            return ["append" if is_append else "create" for _, is_append in group]
        case "key":
            return [record.key for record, _ in group]
        case "value":
            return [record.value for record, _ in group]
    return [[{"name": readable(n), "value": v} for n, v in record.headers] for record, _ in group]


def _groups(rows: Iterable[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    held_bytes = 0
    for row in rows:
        group.append(row)
        held_bytes += _size_bytes(row[0])
        if len(group) >= ROWS_MAX or held_bytes >= GROUP_BYTES_MAX:
            yield group
            group, held_bytes = [], 0
    if group:
        yield group


def _size_bytes(record: RawRecord) -> int:
    in_headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + in_headers


def readable(name: str) -> str:
    """Return a header's name as text; bytes that are none show as replacement marks."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
