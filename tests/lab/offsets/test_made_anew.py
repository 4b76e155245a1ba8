"""A topic deleted and made again, on either side, under a flow that goes on: no group is placed by the former map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.flow import read_positions
from replicator.journal import Observations, Observed
from replicator.kafka import Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec
from replicator.model.flow import Flow, Selection
from replicator.model.names import ClusterName, FlowName, GroupName, TopicName, TopicPartition
from replicator.model.observations import CopyHistory, TopicObservation
from replicator.model.offsets import Grade, GroupTranslation, Translation
from replicator.offsets import (
    OffsetHistory,
    SourceView,
    TargetView,
    Translator,
    copies_observed,
    examine_copies,
    survey_groups,
    with_proofs,
)
from replicator.supervisor.observe.translations import TranslationObserver
from replicator.supervisor.samples import GroupsSample
from tests.lab.flows.conftest import OpenFlow, open_flow_on, wait_until
from tests.lab.offsets.conftest import id_of, read_all

pytestmark = pytest.mark.lab
OLD, NEW = 500, 800


@dataclass
class Stage:
    """One mirrored topic of one partition, one group, and a supervisor's own observer of it."""

    opened: OpenFlow
    topic: TopicName
    group: GroupName
    prefix: str
    observer: TranslationObserver = field(init=False)

    def __post_init__(self) -> None:
        """Open the observer as a supervisor does."""
        handles = self.opened.handles
        self.observer = TranslationObserver(
            self.opened.flow,
            handles.target,
            offsets_topic=handles.offsets_topic,
            list_groups=lambda _: {},
            source=handles.source,
        )

    @property
    def tp(self) -> TopicPartition:
        """The partition."""
        return TopicPartition(self.topic, 0)

    def create(self, *, on: str) -> None:
        """Make the topic on one side; wait until an earlier one has gone."""
        cluster = self.opened.handles.source if on == "east" else self.opened.handles.target
        wait_until(lambda: not cluster.topics.describe([self.topic], Deadline.after(30)), what="it was not deleted")
        spec = TopicSpec(name=self.topic, partitions=1, configs={"retention.ms": "-1"})
        cluster.topics.create([spec], Deadline.after(30))

    def write(self, what: str, start: int, stop: int) -> None:
        """Append records that say which topic of that name they are of, and their offset."""
        writer = self.opened.handles.source.writer("made-anew")
        for number in range(start, stop):
            writer.send(Outgoing(self.topic, b"k", f"{what}-{number}".encode(), partition=0))
        writer.flush(Deadline.after(60))
        writer.close()

    def mirrored_ids(self) -> list[tuple[int, str]]:
        """Return offset and id of every visible record of the copy."""
        return [(record.offset, id_of(record)) for record in read_all(self.opened.handles.target, self.tp)]

    def wait_visible(self, record: str) -> None:
        """Return when the copy shows a record."""
        wait_until(
            lambda: any(one == record for _, one in self.mirrored_ids()), seconds=180, what=f"{record} was not mirrored"
        )

    def observe(self, offset: int) -> Translation:
        """Return where the group resumes from an offset, as the supervisor proves it while the source lives."""
        east = self.opened.handles.source
        east.groups.commit(self.group, {self.tp: offset}, Deadline.after(30))
        groups = east.groups.committed([self.group], Deadline.after(30))
        began_at = next(iter(groups.values())).observed_at
        sample = self.observer.observe(GroupsSample(began_at=began_at, groups=groups), Deadline.after(60))
        return sample.translations[self.group].translations[0]

    def record(self) -> Observed:
        """Leave on west what the supervisor knows, and return it as read back: all that is left of a dead source."""
        handles = self.opened.handles
        east, west = handles.source, handles.target
        described = east.topics.describe([self.topic], Deadline.after(30))[self.topic]
        groups = east.groups.committed([self.group], Deadline.after(30))
        topic = TopicObservation(
            cluster=ClusterName("east"),
            topic=self.topic,
            topic_id=described.topic_id,
            observed_at=groups[self.group].observed_at,
            partitions=tuple(east.positions.ends([self.tp], Deadline.after(30)).values()),
            copy=self.observer.copies.get(self.topic),
        )
        known = [one for _, one in self.observer._known.values()]
        observations = Observations(west, self.prefix)
        observations.ensure_topic(Deadline.after(30))
        observations.write(self.opened.flow.name, [topic, *groups.values(), *known], Deadline.after(30))
        observations.close()
        return observations.read(self.opened.flow.name, Deadline.after(30))

    def translate_without_source(self, observed: Observed) -> Translation:
        """Return the group's translation from west alone."""
        answer = self.survey(observed, copies_observed(observed.topics))
        return with_proofs(answer, observed.translations.get(self.group)).translations[0]

    def survey(self, observed: Observed, copies: dict[TopicName, CopyHistory]) -> GroupTranslation:
        """Return the translation of the observed group by the standby and what is known of the copies."""
        handles, flow = self.opened.handles, self.opened.flow
        (answer,) = survey_groups(
            flow,
            [observed.groups[self.group]],
            target=handles.target,
            source=None,
            read_map=OffsetHistory(handles.target, flow).refresh,
            read_mirrored=lambda deadline: read_positions(
                handles.target, handles.offsets_topic, flow.source_connector, deadline
            ),
            deadline=Deadline.after(60),
            copies=copies,
        )
        return answer

    def way_back(self, offset: int) -> Translation:
        """Return where at home a group resumes that stands at an offset of the copy."""
        handles, flow, deadline = self.opened.handles, self.opened.flow, Deadline.after(60)
        offset_map = OffsetHistory(handles.target, flow).refresh(deadline)
        target = TargetView.open(handles.target, [self.topic], deadline)
        mirrored = read_positions(handles.target, handles.offsets_topic, flow.source_connector, deadline)
        source = SourceView.open(handles.source, [self.topic], deadline)
        copies = examine_copies(
            flow, self.observer.copies, offset_map=offset_map, target=target, source=source, deadline=deadline
        )
        translator = Translator(
            flow,
            offset_map=offset_map,
            mirrored=mirrored,
            target=target,
            source=source,
            deadline=deadline,
            copies=copies,
        )
        (seen,) = handles.source.groups.committed([self.group], deadline).values()
        return translator.translate_back(replace(seen, committed={self.tp: offset})).translations[0]

    def judge(self, found: Translation, what: str) -> None:
        """Fail unless nothing of the topic that exists is skipped and the bound of what is read twice holds."""
        copy = self.mirrored_ids()
        unread = {at for at, one in copy if one.startswith(what) and int(one.split("-")[1]) >= found.source_offset}
        place = found.target_offset
        assert place is not None, found
        assert found.reread_records_max is not None, found
        assert not [at for at in unread if at < place], found
        again = [at for at, _ in copy if at >= place and at not in unread]
        assert len(again) <= found.reread_records_max, (len(again), found)
        assert found.grade is not Grade.EXACT or not again, found

    def judge_both(self, offset: int, what: str) -> tuple[Translation, Translation]:
        """Return the judged translations of an offset: with the source alive, and by what is recorded, without it."""
        alive = self.observe(offset)
        alone = self.translate_without_source(self.record())
        for found in (alive, alone):
            self.judge(found, what)
        return alive, alone


@pytest.fixture
def stage(lab: Lab, names: Any) -> Iterator[Stage]:
    """A mirrored topic with its first records, looked at by a supervisor."""
    flow = Flow(
        name=FlowName(names.flow("anew")),
        source=ClusterName("east"),
        target=ClusterName("west"),
        topics=Selection((f"{names.prefix}.*",)),
        groups=Selection((f"{names.prefix}.*",)),
    )
    with open_flow_on(lab, flow) as opened:
        made = Stage(opened, TopicName(names.topic("orders")), GroupName(names.group("billing")), f"__{names.prefix}")
        made.create(on="east")
        opened.apply()
        made.write("old", 0, OLD)
        made.wait_visible(f"old-{OLD - 1}")
        alive, alone = made.judge_both(100, "old")
        assert (alive.grade, alone.grade) == (Grade.EXACT, Grade.EXACT)
        yield made
        made.observer.close()


def test_a_topic_made_again_beyond_its_former_end_ends_the_map(stage: Stage) -> None:
    """Nothing of the former topic makes a position of the new one exact: before the flow reads on, and after."""
    connect, connector = stage.opened.handles.connect, stage.opened.flow.source_connector
    connect.stop(connector, Deadline.after(60))
    stage.opened.handles.source.topics.delete([stage.topic], Deadline.after(30))
    stage.create(on="east")
    stage.write("new", 0, NEW)
    stage.observe(100)  # the look that sees the new topic: positions read before it may be of the former one
    for found in stage.judge_both(100, "new"):
        assert found.grade is not Grade.EXACT
        assert "deleted and made again" in str(found.evidence["made_anew"])
    connect.resume(connector, Deadline.after(60), tasks_min=1)
    stage.wait_visible(f"new-{NEW - 1}")
    for found in stage.judge_both(100, "new"):
        assert found.grade is not Grade.EXACT
    for offset in (OLD + 150, NEW - 1):
        assert {one.grade for one in stage.judge_both(offset, "new")} == {Grade.EXACT}
    places = {one: at for at, one in stage.mirrored_ids()}
    among_old, among_new = stage.way_back(places["old-100"]), stage.way_back(places["new-650"])
    assert (among_old.target_offset, among_old.grade) == (0, Grade.FLOOR)
    assert (among_new.target_offset, among_new.grade) == (650, Grade.EXACT)


def test_a_topic_made_again_that_is_shorter_is_exact_from_its_first_mirrored_record_on(stage: Stage) -> None:
    """MM2 begins the new topic at 0 behind the former one's records: its positions are proven there, and only there."""
    stage.opened.handles.source.topics.delete([stage.topic], Deadline.after(30))
    stage.create(on="east")
    stage.write("new", 0, OLD // 2)
    stage.wait_visible(f"new-{OLD // 2 - 1}")
    stage.observe(100)
    for offset in (0, 100, OLD // 2 - 1):
        for found in stage.judge_both(offset, "new"):
            assert found.grade is Grade.EXACT
            assert int(found.target_offset or 0) > OLD


def test_a_copy_made_again_is_not_read_by_the_former_copys_map(stage: Stage) -> None:
    """The target's topic deleted under a flow: what was proven of the former copy is worth nothing in the new one."""
    stage.opened.handles.connect.stop(stage.opened.flow.source_connector, Deadline.after(60))
    stage.opened.handles.target.topics.delete([stage.topic], Deadline.after(30))
    stage.create(on="west")
    stage.opened.handles.connect.resume(stage.opened.flow.source_connector, Deadline.after(60), tasks_min=1)
    stage.write("old", OLD, 2 * OLD + 300)
    stage.wait_visible(f"old-{2 * OLD + 299}")
    for offset in (100, OLD + 10, 2 * OLD):
        stage.judge_both(offset, "old")
    assert {one.grade for one in stage.judge_both(2 * OLD, "old")} == {Grade.EXACT}
