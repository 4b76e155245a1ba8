"""What the options of `snapshot restore` ask for, and which cannot be meant."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from replicator.api.schema import RestoreOrder
from replicator.cli.snapshots.restoring import (
    make_request,
    parse_numbers,
    parse_patterns,
    parse_renames,
    parse_stops,
    parse_time,
    request_of,
)
from replicator.errors import UsageError
from replicator.model.archive.restores import OffsetRule
from replicator.model.names import TopicName, TopicPartition

ASKED: dict[str, Any] = {
    "patterns": (), "partitions": None, "renames": (), "rename_patterns": (), "prefix": "", "until": None, "stops": (),
    "groups": (), "offsets": "remap", "exact_seconds_max": 3600.0, "configs": "apply", "acls": "keep",
}  # fmt: skip


def test_nothing_asked_means_everything() -> None:
    """All topics, whole, remapped, no group touched."""
    request = make_request(**ASKED)
    assert request.topics.matches("anything")
    assert request.extent.is_whole
    assert (request.groups, request.offsets, request.prefix) == (None, OffsetRule.REMAP, "")


def test_each_option_has_its_place() -> None:
    """What was typed is what is asked for."""
    request = make_request(
        **ASKED
        | {"partitions": "0,2-3", "stops": ("a.b[1]=77",), "until": "2026-11-20T08:00:00+01:00", "offsets": "exact"}
        | {"groups": ("g*",), "rename_patterns": (r"shop\.(.*)=old-\1",), "prefix": "p."}
    )
    assert request.extent.partitions == {0, 2, 3}
    assert request.extent.stops == {TopicPartition(TopicName("a.b"), 1): 77}
    assert request.extent.until_ms == 1_795_158_000_000
    assert request.offsets is OffsetRule.EXACT
    assert request.groups is not None
    assert request.groups.matches("g1")
    assert request.rename_patterns[0][0].fullmatch("shop.x")


@pytest.mark.parametrize(("text", "numbers"), [("0", {0}), ("0,5", {0, 5}), ("2-4", {2, 3, 4}), (" 1 , 3-3", {1, 3})])
def test_lists_of_partitions(text: str, numbers: set[int]) -> None:
    """Numbers and spans of them."""
    assert parse_numbers(text) == numbers


@pytest.mark.parametrize(
    ("text", "moment"),
    [("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00:00.0015+00:00", 1), ("1969-12-31T23:59:59Z", -1000)],
)
def test_times_are_milliseconds(text: str, moment: int) -> None:
    """Since 1970, as records carry them."""
    assert parse_time(text) == moment


NONSENSE = [
    (parse_numbers, ""),
    (parse_numbers, "1,"),
    (parse_numbers, "-1"),
    (parse_numbers, "5-2"),
    (parse_numbers, "٣"),
    (parse_stops, ("orders=3",)),
    (parse_stops, ("orders[0]=",)),
    (parse_stops, ("orders[0]=-1",)),
    (parse_stops, ("orders[0]=1", "orders[0]=2")),
    (parse_time, "yesterday"),
    (parse_time, "2026-11-20T08:00:00"),
    (parse_patterns, ("nonsense",)),
    (parse_patterns, ("(=x",)),
    (parse_renames, ("a=b", "a=c")),
]


@pytest.mark.parametrize(("parse", "text"), NONSENSE)
def test_what_cannot_be_meant_is_refused(parse: Any, text: Any) -> None:
    """With one line that names it."""
    with pytest.raises(UsageError, match="--"):
        parse(text)


def test_an_order_over_the_api_is_the_same_request() -> None:
    """Each part of an order means what the option of its name means, and nonsense is refused in the same words."""
    typed = ASKED | {
        "patterns": ("a*",), "renames": ("a=b",), "rename_patterns": (r"c(.*)=d\1",), "prefix": "p.",
        "partitions": "0,2",
        "until": "2026-11-20T08:00:00Z", "stops": ("a[1]=77",), "groups": ("g",), "offsets": "exact",
        "exact_seconds_max": 60.0, "configs": "refuse", "acls": "apply",
    }  # fmt: skip
    over_http = {k: v for k, v in typed.items() if k not in ("patterns", "renames")}
    order = RestoreOrder(snapshot="s", cluster="west", topics=("a*",), renames={"a": "b"}, **over_http)
    assert request_of(order) == make_request(**typed)
    assert request_of(RestoreOrder(snapshot="s", cluster="west")) == make_request(**ASKED)
    with pytest.raises(UsageError, match="TOPIC"):
        request_of(RestoreOrder(snapshot="s", cluster="west", stops=("orders=3",)))


@pytest.mark.parametrize(
    "nonsense",
    [{"offsets": "roughly"}, {"acls": "all"}, {"exact_seconds_max": -1}, {"stops": ("x",) * 201}, {"colour": "blue"}],
)
def test_an_order_that_cannot_be_meant_is_refused_at_the_door(nonsense: dict[str, Any]) -> None:
    """The API's own model knows the words and the bounds."""
    with pytest.raises(ValidationError):
        RestoreOrder(snapshot="s", cluster="west", **nonsense)
