"""Positions as CSV for Kafka's own tool: one line a partition, names quoted where they must be."""

from __future__ import annotations

import csv

from replicator.cli.groups.reset_file import reset_rows, show_reset_file, to_reset_file
from replicator.model.names import FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.offsets import Grade, GroupTranslation, Translation


def moved(group: str, *places: int | None) -> GroupTranslation:
    """Return a group's translation, one partition a place."""
    rows = tuple(
        Translation(
            partition=TopicPartition(TopicName("orders"), number),
            target_partition=TopicPartition(TopicName("east.orders"), number),
            source_offset=Offset(9),
            target_offset=None if place is None else Offset(place),
            grade=Grade.UNAVAILABLE if place is None else Grade.EXACT,
            reread_records_max=None if place is None else 0,
            rule="rank",
        )
        for number, place in enumerate(places)
    )
    return GroupTranslation(FlowName("shop"), GroupName(group), rows)


def test_each_partition_is_a_line_of_the_target() -> None:
    """Group, the copy's topic, partition, offset; a partition without a copy is left out and told of."""
    rows, left_out = reset_rows([moved("billing", 7, None, 9)])
    assert to_reset_file(rows) == "billing,east.orders,0,7\nbilling,east.orders,2,9\n"
    assert left_out == ["group billing: orders[1] has no copy on the target; it is left out"]


def test_names_are_quoted_as_csv_wants() -> None:
    """A comma or a quote in a group's name is read back as it was."""
    rows, _ = reset_rows([moved('a,"b"', 7)])
    assert next(csv.reader([to_reset_file(rows)])) == ['a,"b"', "east.orders", "0", "7"]


def test_no_control_character_reaches_a_terminal() -> None:
    """What is printed is harmless, whatever a group is called."""
    rows, _ = reset_rows([moved("evil\x1b[31m", 7)])
    assert "\x1b" not in show_reset_file(rows).plain
