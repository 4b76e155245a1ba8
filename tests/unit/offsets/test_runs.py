"""What is proven once, by table: runs kept, forgotten and joined; brackets proven; charts laid; groups in columns."""

from __future__ import annotations

from array import array
from dataclasses import replace

import pytest

from replicator.model.names import FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds
from replicator.model.offsets import Grade, Translation
from replicator.offsets.ground import Ground, prepare
from replicator.offsets.points import PartitionMap
from replicator.offsets.reads import Standing
from replicator.offsets.rules import translate_offset
from replicator.offsets.warm import Chart, Placed, PlacedGroup, TopicCharts, WarmMap, chart_of, runs_from
from replicator.offsets.warm.charts import EMPTY_CHART, NEVER, first_chartable
from replicator.offsets.warm.proving import prove_around
from replicator.offsets.warm.stretches import ProvenRuns, Run
from tests.unit.offsets.test_points import ORDERS, map_of
from tests.unit.offsets.test_rules import COPY, HOLED, MARKED, LogReads, Logs, ends

OTHER, THIRD = (TopicPartition(TopicName("others"), number) for number in (0, 1))
LIVELY = Logs(HOLED.copy, source=[0, 1, 2, 5, 6, 9, 10, 11])
HOLED_MAP, MARKED_MAP = map_of((0, 0), (10, 6)), map_of((0, 0), (8, 10))


def grounded(
    points: PartitionMap,
    logs: Logs,
    target: PartitionEnds | None,
    *,
    now: PartitionEnds | None = None,
    mirrored: int | None = None,
    **flags: bool,
) -> Ground | None:
    """Return the ground of a partition."""
    standing = Standing(
        partition=ORDERS, target_partition=COPY, target=target, target_now=now, mirrored=mirrored, **flags
    )
    return prepare(standing, points, LogReads(logs))


def proven(offset: int, points: PartitionMap, logs: Logs, target: PartitionEnds, **flags: bool) -> list[Run]:
    """Return the runs of the bracket around an offset."""
    ground = grounded(points, logs, target, **flags)
    assert ground is not None
    return prove_around(offset, ground, LogReads(logs))


@pytest.mark.parametrize(
    ("offset", "points", "logs", "runs"),
    [
        (3, MARKED_MAP, MARKED, [(0, 0, 3), (3, 4, 3), (6, 8, 3)]),
        (0, MARKED_MAP, MARKED, [(0, 0, 3), (3, 4, 3), (6, 8, 3)]),
        (8, MARKED_MAP, MARKED, []),
        (5, HOLED_MAP, LIVELY, [(0, 0, 3), (5, 3, 2), (9, 5, 2)]),
        (5, HOLED_MAP, HOLED, []),
        (5, HOLED_MAP, Logs(HOLED.copy, source=[0, 1, 2, 5, 6, 10]), []),
        (5, HOLED_MAP, Logs(HOLED.copy, source=[0, 1, 2, 5, 6, 8, 9]), []),
        (1, map_of((0, 0), (2, 4)), Logs({0: 0, 3: 1, 4: 2}), [(0, 0, 2), (2, 4, 1)]),
        (0, map_of((0, 0), (1, 3)), Logs({0: 0, 3: 1}), [(0, 0, 1), (1, 3, 1)]),
        (1, map_of((0, 0), (2, 3)), Logs({at: at for at in range(4)}), []),
        (3, MARKED_MAP, Logs({at: u for at, u in MARKED.copy.items() if at != 10}), []),
        (3, MARKED_MAP, Logs({}, is_copy_readable=False), []),
        (3, map_of((5, 5), (8, 10)), MARKED, []),
        (6, map_of((5, 0), (8, 4)), Logs({0: 5, 1: 6, 3: 7, 4: 8}), [(5, 0, 2), (7, 3, 2)]),
    ],
    ids=[
        "markers",
        "from the lower point",
        "the upper point opens the tail",
        "holes counted",
        "source not asked",
        "one record fewer",
        "the point itself missing",
        "a marker behind the point",
        "one record far behind the point",
        "another writer",
        "the upper point is not visible",
        "copy unread",
        "below the first point",
        "further up the source",
    ],
)
def test_a_closed_bracket_is_proven_by_counting(offset: int, points: PartitionMap, logs: Logs, runs: list[Run]) -> None:
    """As many copies as offsets, or as many as the source has records; else nothing."""
    assert proven(offset, points, logs, ends(20)) == runs


def test_a_compacted_source_or_copy_proves_nothing_by_counting() -> None:
    """As many records on both sides need not be the same ones where the source forgets."""
    assert proven(5, HOLED_MAP, LIVELY, ends(20), is_source_compacted=True) == []
    assert proven(5, HOLED_MAP, LIVELY, ends(20), is_target_compacted=True) == []
    assert proven(3, MARKED_MAP, MARKED, ends(20), is_source_compacted=True) != []


def answer_at(offset: int, points: PartitionMap, logs: Logs, ground: Ground | None) -> Translation:
    """Return the rules' answer."""
    assert ground is not None
    return translate_offset(offset, ground.standing, ground, LogReads(logs))


@pytest.mark.parametrize(
    ("offset", "runs"),
    [
        (0, [(0, 0, 1)]),
        (8, [(8, 10, 1)]),
        (9, [(9, 11, 1)]),
        (1, [(1, 1, 1)]),
        (4, [(0, 0, 3), (3, 4, 3), (6, 8, 3)]),
    ],
)
def test_an_exact_answer_proves_its_place_or_its_bracket(offset: int, runs: list[Run]) -> None:
    """A point, and what is right behind it, by itself; what was counted, with all its bracket."""
    ground = grounded(MARKED_MAP, MARKED, ends(20))
    assert ground is not None
    assert runs_from(answer_at(offset, MARKED_MAP, MARKED, ground), ground, LogReads(MARKED)) == runs


def test_what_is_not_settled_proves_nothing() -> None:
    """A bound, a place moved to the log start, no place, and what was told of an older stretch."""
    ground = grounded(MARKED_MAP, MARKED, ends(20))
    assert ground is not None
    reads = LogReads(MARKED)
    found = answer_at(0, MARKED_MAP, MARKED, ground)
    assert runs_from(replace(found, grade=Grade.BOUNDED), ground, reads) == []
    assert runs_from(replace(found, is_clamped=True), ground, reads) == []
    assert runs_from(replace(found, target_offset=None), ground, reads) == []
    later = grounded(map_of((3, 4), (8, 10)), MARKED, ends(20))
    assert later is not None
    assert runs_from(found, later, reads) == []
    assert runs_from(replace(found, rule="end_of_mirror"), ground, reads) == []


@pytest.mark.parametrize(
    ("points", "target", "flags", "first"),
    [
        (MARKED_MAP, ends(20), {}, 0),
        (MARKED_MAP, ends(20, start=1), {}, 1),
        (MARKED_MAP, ends(20, start=10), {}, 1),
        (MARKED_MAP, ends(20, start=11), {}, None),
        (map_of((0, 0), (5, 5), None, (9, 9)), ends(20), {}, 2),
        (map_of((0, 0), (5, 5), (2, 6), (9, 13)), ends(20), {}, 2),
        (map_of(), ends(20), {}, None),
        (MARKED_MAP, ends(20), {"is_exactly_once": False}, None),
        (MARKED_MAP, ends(20), {"is_target_compacted": True}, None),
        (map_of((0, 0), ends=(5,)), ends(20), {}, None),
        (MARKED_MAP, ends(5), {}, None),
    ],
    ids=[
        "whole",
        "first trimmed",
        "trimmed to a point",
        "trimmed",
        "behind missing syncs",
        "behind a step back",
        "no map",
        "at least once",
        "compacted copy",
        "set back",
        "a shorter copy",
    ],
)
def test_where_a_chart_can_be_laid(
    points: PartitionMap, target: PartitionEnds, flags: dict[str, bool], first: int | None
) -> None:
    """From the newest stretch's first point that is whole, above the log start."""
    logs = Logs({at: at for at in range(20)})
    ground = grounded(points, logs, target, mirrored=30 if len(points) else None, **flags)
    assert ground is not None
    assert first_chartable(ground) == first


def chart(warm: WarmMap, *, now: PartitionEnds | None = None, mirrored: int | None = 9, **flags: bool) -> Chart:
    """Return the chart of a copy with markers."""
    return chart_of(grounded(MARKED_MAP, MARKED, ends(12), now=now, mirrored=mirrored, **flags), warm, copy_id="a")


def test_a_chart_holds_the_end_only_where_all_is_settled() -> None:
    """Records in flight or a position that is not known leave the end to the rules."""
    assert chart(WarmMap())[:2] == (9, 12)
    assert chart(WarmMap(), now=ends(13))[:2] == (NEVER, 12)
    assert chart(WarmMap(), mirrored=None)[:2] == (NEVER, 12)
    assert chart(WarmMap(), is_target_compacted=True) is EMPTY_CHART
    assert chart_of(None, WarmMap(), copy_id="a") is EMPTY_CHART


def test_a_chart_forgets_what_was_proven_of_older_stretches() -> None:
    """What was proven below the first point that counts is gone; where nothing counts any more, all is."""
    warm = WarmMap()
    warm.of(ORDERS, copy_id="a")
    warm.add(ORDERS, [(-4, -4, 2), (3, 4, 3)])
    assert [*zip(*chart(warm)[2:4], strict=True)][1:] == [(3, 6)]
    assert warm.runs_count == 1
    chart(warm, is_exactly_once=False)
    assert warm.runs_count == 0


def test_a_place_is_told_by_its_rule() -> None:
    """Below the mirrored position a run answers, from there on the end of the mirror."""
    made = Chart(9, 12, array("q"), array("q"), array("q"))
    assert made.evidence_of(8, 10) == ("proven_run", {"target_minus_source": 2})
    told = {"mirrored": 9, "target_end": 12, "never_mirrored": 0}
    assert made.evidence_of(9, 12) == ("end_of_mirror", told)
    assert made.evidence_of(14, 12) == ("end_of_mirror", told | {"never_mirrored": 5})


def test_the_charts_of_a_topic_are_made_once_each() -> None:
    """The first question makes a partition's chart."""
    asked = []

    def make(number: int) -> Chart:
        asked.append(number)
        return Chart(number, 12, array("q"), array("q"), array("q"))

    charts = TopicCharts(make)
    assert (charts[3][0], charts[4][0], charts[3][0]) == (3, 4, 3)
    assert asked == [3, 4]


def runs_of(*runs: Run) -> ProvenRuns:
    """Return runs added one after the other."""
    made = ProvenRuns()
    for run in runs:
        made.add([run])
    return made


@pytest.mark.parametrize(
    ("added", "held"),
    [
        ([(5, 8, 4)], [(5, 8, 4)]),
        ([(5, 8, 4), (9, 12, 1)], [(5, 8, 5)]),
        ([(9, 12, 1), (5, 8, 4)], [(5, 8, 5)]),
        ([(5, 8, 2), (8, 11, 2), (7, 10, 1)], [(5, 8, 5)]),
        ([(5, 8, 4), (9, 13, 1)], [(5, 8, 4), (9, 13, 1)]),
        ([(5, 8, 4), (10, 13, 1)], [(5, 8, 4), (10, 13, 1)]),
        ([(5, 8, 4), (6, 99, 3)], [(5, 8, 4)]),
        ([(5, 8, 4), (3, 99, 9)], [(3, 99, 2), (5, 8, 4), (9, 105, 3)]),
        ([(5, 8, 4), (5, 99, 0)], [(5, 8, 4)]),
        ([(0, 0, 2), (4, 4, 2), (8, 8, 2), (0, 0, 10)], [(0, 0, 10)]),
    ],
    ids=[
        "one",
        "next",
        "before",
        "the gap between",
        "another difference",
        "not next",
        "known already",
        "around what is known",
        "nothing",
        "all gaps",
    ],
)
def test_runs_are_kept_in_order_and_joined(added: list[Run], held: list[Run]) -> None:
    """What is known stays as it is; neighbours of the same difference are one run."""
    made = runs_of(*added)
    assert list(made.runs()) == held
    assert len(made) == len(held)
    for start, base, length in held:
        assert [made.place_of(start + k) for k in range(length)] == [base + k for k in range(length)]


@pytest.mark.parametrize(
    ("below", "held"),
    [
        (8, [(5, 8, 4), (20, 30, 2)]),
        (9, [(6, 9, 3), (20, 30, 2)]),
        (11, [(8, 11, 1), (20, 30, 2)]),
        (12, [(20, 30, 2)]),
        (31, [(21, 31, 1)]),
        (32, []),
    ],
)
def test_runs_below_a_place_are_forgotten_to_the_record(below: int, held: list[Run]) -> None:
    """A run that ends at the place goes, one that reaches beyond it is cut."""
    made = runs_of((5, 8, 4), (20, 30, 2))
    made.forget_below(below)
    assert list(made.runs()) == held


def test_a_warm_map_counts_what_it_holds() -> None:
    """Runs joined, forgotten, or of another copy are not counted; an unknown partition takes none."""
    warm = WarmMap()
    warm.add(ORDERS, [(0, 0, 5)])
    assert warm.runs_count == 0
    warm.of(ORDERS, copy_id="a")
    warm.add(ORDERS, [(0, 0, 5), (10, 20, 5), (5, 5, 5)])
    assert warm.runs_count == 2
    warm.forget_below(ORDERS, 10)
    assert warm.runs_count == 1
    warm.of(OTHER, copy_id="a")
    warm.add(OTHER, [(0, 0, 5)])
    assert warm.runs_count == 2
    assert len(warm.of(ORDERS, copy_id="a")) == 1
    assert len(warm.of(ORDERS, copy_id="b")) == 0
    assert warm.runs_count == 1


def test_the_partition_asked_about_longest_ago_goes_first() -> None:
    """Asking keeps; the last one left is kept whatever it holds."""
    warm = WarmMap(runs_max=3)
    for tp in (ORDERS, OTHER):
        warm.of(tp, copy_id="a")
        warm.add(tp, [(0, 0, 1)])
    warm.of(ORDERS, copy_id="a")
    warm.of(THIRD, copy_id="a")
    warm.add(THIRD, [(0, 0, 1)])
    assert warm.runs_count == 3
    warm.add(THIRD, [(5, 6, 1)])
    assert warm.runs_count == 3
    assert len(warm.of(ORDERS, copy_id="a")) == 1
    warm.of(THIRD, copy_id="a")
    warm.add(THIRD, [(10 * k, 11 * k, 1) for k in range(2, 8)])
    assert warm.runs_count == 8


def row(number: int, grade: Grade, rereads: int | None) -> Translation:
    """Return a translation of a partition."""
    tp = TopicPartition(TopicName("orders"), number)
    return replace(
        answer_at(0, MARKED_MAP, MARKED, grounded(MARKED_MAP, MARKED, ends(20))),
        partition=tp,
        grade=grade,
        reread_records_max=rereads,
    )


def test_a_group_in_columns_tells_the_worst_and_the_sum() -> None:
    """Rows that cost nothing are made when asked for, in order of partitions; others are as the rules told them."""
    tps = [TopicPartition(TopicName("orders"), number) for number in (2, 0, 1)]
    made: list[tuple[int, int, int]] = []

    def make(tp: TopicPartition, offset: int, place: int) -> Translation:
        made.append((tp.partition, offset, place))
        return row(tp.partition, Grade.EXACT, 0)

    def group(told: dict[int, Translation]) -> PlacedGroup:
        placed = Placed(tps, array("q", [20, 0, 10]), array("q", [21, 1, 11]), told, make)
        return PlacedGroup(FlowName("shop"), GroupName("billing"), placed)

    costly = group({0: row(2, Grade.BOUNDED, 3), 2: row(1, Grade.FLOOR, 4)})
    assert [one.partition.partition for one in costly.translations] == [0, 1, 2]
    assert made == [(0, 0, 1)]
    assert (costly.grade, costly.reread_records_max) == (Grade.FLOOR, 7)
    assert group({0: row(2, Grade.UNAVAILABLE, None), 1: row(0, Grade.BOUNDED, 3)}).reread_records_max is None
    assert (group({}).grade, group({}).reread_records_max) == (Grade.EXACT, 0)
