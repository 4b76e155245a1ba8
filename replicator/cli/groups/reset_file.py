"""Translated positions as the CSV that Kafka's own `kafka-consumer-groups --reset-offsets --from-file` reads. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

from rich.text import Text

from replicator.model.forms.text import safe_text
from replicator.model.offsets import GroupTranslation

Row = Mapping[str, str | int]
COLUMNS = ("group", "topic", "partition", "offset")


def reset_rows(moved: Iterable[GroupTranslation]) -> tuple[list[Row], list[str]]:
    """Return one row a partition of the target, and a warning for each that cannot be set and is left out."""
    rows: list[Row] = []
    left_out = []
    for one in moved:
        for answer in one.translations:
            if answer.target_offset is None:
                left_out.append(f"group {one.group}: {answer.partition} has no copy on the target; it is left out")
                continue
            topic, partition = answer.target_partition.topic, answer.target_partition.partition
            rows.append({"group": one.group, "topic": topic, "partition": partition, "offset": answer.target_offset})
    return rows, left_out


def to_reset_file(rows: Sequence[Row]) -> str:
    """Return the rows as CSV: group, topic, partition, offset; no heading.

    Source: ConsumerGroupCommand's CsvRecordWithGroup; its reader takes RFC 4180 quotes.
    """
    made = io.StringIO()
    csv.writer(made, lineterminator="\n").writerows([row[name] for name in COLUMNS] for row in rows)
    return made.getvalue()


def show_reset_file(rows: Sequence[Row]) -> Text:
    """Return the CSV as it is printed; control characters in names are made visible, and never reach a terminal."""
    return Text("\n".join(safe_text(line) for line in to_reset_file(rows).splitlines()))
