"""Which groups are translated next, and which translations are worth writing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from structlog.testing import capture_logs

from replicator.model.flow import Flow
from replicator.model.names import ClusterName, FlowName, GroupName, Offset, TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.supervisor.decide.changes import changed_translations
from replicator.supervisor.observe.groups import Turns
from replicator.supervisor.observe.translations import floored_partitions, stalest

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TP = TopicPartition(TopicName("orders"), 0)
A, B, C = GroupName("a"), GroupName("b"), GroupName("c")


def group(name: GroupName) -> GroupObservation:
    return GroupObservation(cluster=ClusterName("east"), group=name, state=GroupState.EMPTY, observed_at=NOW)


def translation(offset: int = 10, *, seconds: float = 0) -> GroupTranslation:
    one = Translation(
        partition=TP,
        target_partition=TP,
        source_offset=Offset(offset),
        target_offset=Offset(offset),
        grade=Grade.EXACT,
        reread_records_max=0,
        rule="rank",
        observed_at=NOW + timedelta(seconds=seconds),
    )
    return GroupTranslation(FlowName("shop"), A, (one,))


def test_those_never_translated_come_first_then_the_stalest() -> None:
    """With more groups than one step can do, each gets its turn."""
    groups = {name: group(name) for name in (A, B, C)}
    assert stalest(groups, {A: 5.0, B: 3.0}, count=2) == [C, B]
    assert stalest(groups, {A: 5.0, B: 3.0, C: 9.0}, count=3) == [B, A, C]


def test_the_moment_alone_is_not_worth_writing() -> None:
    """A translation that says the same again is not written again; one that says something else is."""
    written = {A: translation()}
    assert changed_translations(written, {A: translation(seconds=30)}) == {}
    assert changed_translations(written, {A: translation(11)}) == {A: translation(11)}
    assert changed_translations({}, {A: translation()}) == {A: translation()}


def test_a_worse_grade_is_worth_writing() -> None:
    """What became less certain must be known on the standby."""
    (one,) = translation().translations
    worse = replace(translation(), translations=(replace(one, grade=Grade.BOUNDED, reread_records_max=7),))
    assert changed_translations({A: translation()}, {A: worse}) == {A: worse}


def test_a_group_that_was_set_back_is_found_beside_a_partition_without_a_copy() -> None:
    """The floor on one partition is seen though another has no place at all; without any floor nothing is."""
    (one,) = translation().translations
    floored = replace(one, grade=Grade.FLOOR, reread_records_max=7)
    gone = replace(one, partition=TopicPartition(TP.topic, 1), grade=Grade.UNAVAILABLE, target_offset=None)
    assert floored_partitions(replace(translation(), translations=(floored, gone))) == (TP,)
    assert floored_partitions(replace(translation(), translations=(floored,))) == (TP,)
    assert floored_partitions(replace(translation(), translations=(one, gone))) == ()
    assert floored_partitions(translation()) == ()


def test_more_groups_than_a_round_takes_are_told_once() -> None:
    """The cap is no secret: how many rounds all groups take is told when it changes, not in every round."""
    flow = Flow(name=FlowName("shop"), source=ClusterName("east"), target=ClusterName("west"))
    with capture_logs() as logs:
        turns = Turns(flow, what="translated", at_once=200)
        for count in (0, 200, 201, 399, 1000, 1000, 200):
            turns.note(count)
    assert [(log["groups"], log["rounds"]) for log in logs] == [(201, 2), (1000, 5), (200, 1)]
    assert {log["event"] for log in logs} == {"groups_take_turns"}
