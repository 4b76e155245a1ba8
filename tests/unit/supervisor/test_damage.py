"""What replication cannot mend stays told after it has stopped to show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from replicator.model.cluster import PartitionDescription, TopicDescription
from replicator.model.names import ClusterName, TopicName, TopicPartition
from replicator.model.observations import PartitionEnds, TopicObservation
from replicator.supervisor.flows.damage import KEPT_SECONDS, DamageWatch
from replicator.supervisor.samples import MirroredSample, SourceSample

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORDERS = TopicName("orders")
TP = TopicPartition(ORDERS, 0)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def look(
    watch: DamageWatch,
    seconds: float,
    *,
    log_start: int = 0,
    end: int = 100,
    position: int | None = 50,
    topic_id: str = "id-1",
    home_at: float | None = None,
) -> tuple[str, ...]:
    topic = TopicDescription(ORDERS, topic_id, (PartitionDescription(0, 1, (1,), (1,)),))
    ends = PartitionEnds(partition=0, log_start=log_start, last_stable=end, end=end)
    sample = SourceSample(began_at=at(seconds), ended_at=at(seconds), topics={ORDERS: topic}, ends={TP: ends})
    positions = {} if position is None else {TP: position}
    mirrored = MirroredSample(began_at=at(seconds - 0.2), ended_at=at(seconds - 0.1), positions=positions)
    return watch.find(sample, (mirrored,), home_at=None if home_at is None else at(home_at))


def test_a_sound_flow_has_no_damage() -> None:
    """Positions between log start and end, under one id: nothing to tell."""
    assert look(DamageWatch(), 1) == ()


def test_a_gap_is_told_with_its_offsets_and_after_mm2_has_jumped_over_it() -> None:
    """Retention overtook the flow: the records are missing in the copy for ever, though the position moves on."""
    watch = DamageWatch()
    (gap,) = look(watch, 1, log_start=60)
    assert "orders[0]" in gap
    assert "50 to 59" in gap
    (grown,) = look(watch, 2, log_start=80)
    assert "50 to 79" in grown
    assert look(watch, 3, log_start=80, position=95) == (grown,)


def test_what_was_made_anew_on_the_way_home_is_no_damage() -> None:
    """A failback rebuilds a topic at home, and the flow begins anew there; what a look before that saw is over too, and
    what one saw who had not read yet that it is at home."""
    watch = DamageWatch()
    assert look(watch, 1, log_start=60)
    assert len(look(watch, 2, topic_id="id-2")) == 2
    assert len(look(watch, 8, topic_id="id-2")) == 2
    assert look(watch, 9, topic_id="id-2", home_at=5) == ()
    assert look(watch, 60, topic_id="id-2", home_at=5) == ()
    assert spans(watch) == []
    assert "deleted and made again" in look(watch, 61, topic_id="id-3", home_at=5)[0]


def test_a_supervisor_that_was_away_while_the_flow_came_home_knows_the_ids_of_now() -> None:
    """What the standby remembers of the time before is not held against the topics at home."""
    watch = DamageWatch()
    watch.remember({ORDERS: remembered("id-1", observed_at=at(7))})
    assert look(watch, 100, topic_id="id-2", home_at=5) == ()
    watch = DamageWatch()
    watch.remember({ORDERS: remembered("id-1", observed_at=at(60))})
    assert look(watch, 100, topic_id="id-2", home_at=5)


def remembered(topic_id: str, *, observed_at: datetime) -> TopicObservation:
    return TopicObservation(
        cluster=ClusterName("east"), topic=ORDERS, topic_id=topic_id, observed_at=observed_at, partitions=()
    )


def spans(watch: DamageWatch) -> list[tuple[int, int]]:
    return [(span.from_offset, span.to_offset) for span in watch.overtaken.get(ORDERS, ())]


def test_what_was_overtaken_is_known_offset_by_offset_each_once() -> None:
    """A gap that grows is one; what was mirrored of it after all is none; a second gap further on is another."""
    watch = DamageWatch()
    look(watch, 1, log_start=60)
    look(watch, 2, log_start=80)
    assert spans(watch) == [(50, 80)]
    look(watch, 3, log_start=80, position=55)
    assert spans(watch) == [(55, 80)]
    look(watch, 4, log_start=80, position=90)
    look(watch, 5, log_start=95, position=90)
    assert spans(watch) == [(55, 80), (90, 95)]
    look(watch, KEPT_SECONDS + 6, position=99)
    assert spans(watch) == []


def test_a_new_supervisor_knows_what_was_overtaken() -> None:
    """The span outlives the supervisor that saw it, on the standby."""
    first, second = DamageWatch(), DamageWatch()
    look(first, 1, log_start=60)
    seen = TopicObservation(
        cluster=ClusterName("east"),
        topic=ORDERS,
        topic_id="id-1",
        observed_at=at(1),
        partitions=(),
        overtaken=first.overtaken[ORDERS],
    )
    second.remember({ORDERS: seen})
    look(second, 2, log_start=60, position=90)
    assert spans(second) == [(50, 60)]


def test_a_gap_is_forgotten_after_a_day() -> None:
    """An alarm nobody can clear would be no alarm."""
    watch = DamageWatch()
    look(watch, 1, log_start=60)
    assert look(watch, KEPT_SECONDS + 2, position=95) == ()


def test_a_topic_made_again_is_told() -> None:
    """The same name under another id: what was mirrored belongs to a topic that is gone."""
    watch = DamageWatch()
    assert look(watch, 1) == ()
    (told,) = look(watch, 2, topic_id="id-2")
    assert "orders" in told
    assert "made again" in told


def test_a_topic_made_again_before_anything_was_mirrored_is_no_damage() -> None:
    """Nothing was copied of the first: the second begins as if it were the first."""
    watch = DamageWatch()
    assert look(watch, 1, position=None) == ()
    assert look(watch, 2, position=None, topic_id="id-2") == ()
    assert look(watch, 3, position=10, topic_id="id-2") == ()


def test_a_new_supervisor_knows_the_id_the_flow_began_under() -> None:
    """A topic made again while nobody watched is found by what the standby remembers."""
    watch = DamageWatch()
    seen = TopicObservation(
        cluster=ClusterName("east"),
        topic=ORDERS,
        topic_id="id-1",
        observed_at=at(0),
        partitions=(),
        mirrored_topic_id="id-0",
    )
    watch.remember({ORDERS: seen})
    assert watch.known_ids == {ORDERS: "id-0"}
    assert "made again" in look(watch, 1)[0]


def test_a_truncated_source_is_told() -> None:
    """An end below the mirrored position: an unclean election has thrown away what was mirrored."""
    (told,) = look(DamageWatch(), 1, end=30)
    assert "below the mirrored position 50" in told


def test_without_positions_nothing_is_claimed() -> None:
    """Positions that were not read before the sweep prove no damage."""
    assert DamageWatch().find(None, ()) == ()
