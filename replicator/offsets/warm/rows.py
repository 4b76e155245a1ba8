"""Translations made of the rows that the warm map answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from replicator.model.flow import Flow
from replicator.model.names import Offset, TopicName, TopicPartition
from replicator.model.observations import CopyHistory
from replicator.model.offsets import Grade, Translation
from replicator.offsets.incarnations.copies import COPY_ID, incarnation_evidence
from replicator.offsets.warm.charts import Chart, ChartColumns


@dataclass(frozen=True, slots=True)
class RowMaker:
    """Makes translations of rows that the warm map answered. It holds numbers only: results outlive their views."""

    flow: Flow
    copy_ids: Mapping[TopicName, str]
    copies: Mapping[TopicName, CopyHistory]
    charts: Mapping[TopicName, Mapping[int, ChartColumns]]

    def seen_at(self, observed_at: datetime) -> Callable[[TopicPartition, int, int], Translation]:
        """Return what makes rows of a group read at that moment."""

        def make(tp: TopicPartition, offset: int, place: int) -> Translation:
            chart = Chart(*self.charts[tp.topic][tp.partition])
            rule, evidence = chart.evidence_of(offset, place)
            found = Translation(
                partition=tp,
                target_partition=TopicPartition(self.flow.remote_topic(tp.topic), tp.partition),
                source_offset=Offset(offset),
                target_offset=Offset(place),
                grade=Grade.EXACT,
                reread_records_max=0,
                rule=rule,
                evidence=evidence,
                is_clamped=offset > chart.mirrored,
                observed_at=observed_at,
            )
            return self.with_ids(found)

        return make

    def with_ids(self, found: Translation) -> Translation:
        """Return the translation with the incarnations of both topics that it is of."""
        copy_id = self.copy_ids.get(found.target_partition.topic)
        told = incarnation_evidence(self.copies.get(found.partition.topic), found.partition.partition)
        if copy_id is not None:
            told[COPY_ID] = copy_id
        return replace(found, evidence={**found.evidence, **told}) if told else found
