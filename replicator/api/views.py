"""Values of the model as what travels. Nothing is computed here that the values do not say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from replicator.api.schema import (
    CollectorView,
    FlowLagView,
    FlowView,
    ForecastView,
    GroupCountsView,
    GroupView,
    LossView,
    PartitionLagView,
    ReadinessView,
    StatusView,
    TopicLagView,
    TranslationView,
)
from replicator.api.shapes.outlook import AdviceView
from replicator.model.lag import FlowLag, TopicLag
from replicator.model.offsets import Grade, Translation
from replicator.model.supervision.forecasts import FlowForecast
from replicator.model.supervision.outages import Advice
from replicator.model.supervision.overview import GroupStatus, Overview, Readiness
from replicator.model.supervision.status import FlowStatus

_FLOW_EXTRAS = ("readiness", "forecast", "advice", "groups")


def status_view(overview: Overview) -> StatusView:
    """Return the status with what is known beside each flow."""
    status = overview.status
    return StatusView(
        supervisor=status.supervisor,
        version=status.version,
        started_at=status.started_at,
        computed_at=status.computed_at,
        flows=tuple(flow_view(flow, overview=overview) for flow in status.flows),
        collectors=tuple(CollectorView.model_validate(collector) for collector in status.collectors),
        is_standalone=status.is_standalone,
    )


def flow_view(flow: FlowStatus, *, overview: Overview) -> FlowView:
    """Return one flow, without its topics."""
    fields: dict[str, Any] = {name: getattr(flow, name) for name in FlowView.model_fields if name not in _FLOW_EXTRAS}
    return FlowView.model_validate(
        fields
        | {
            "readiness": readiness_view(overview.readiness_of(flow.flow)),
            "advice": advice_view(overview.advice.get(flow.flow)),
            "forecast": forecast_view(overview.forecasts.get(flow.flow)),
            "groups": group_counts(overview.groups_of(flow.flow)),
        }
    )


def readiness_view(readiness: Readiness | None) -> ReadinessView | None:
    """Return a readiness; None stays unknown."""
    if readiness is None:
        return None
    loss = None if readiness.loss is None else LossView.model_validate(readiness.loss)
    return ReadinessView(answer=readiness.answer.value, reasons=readiness.reasons, fixes=readiness.fixes, loss=loss)


def advice_view(advice: Advice | None) -> AdviceView | None:
    """Return what is advised; None where nobody watches."""
    return None if advice is None else AdviceView.model_validate(advice)


def forecast_view(forecast: FlowForecast | None) -> ForecastView | None:
    """Return a forecast; None stays unknown."""
    return None if forecast is None else ForecastView.model_validate(forecast)


def group_counts(groups: Sequence[GroupStatus] | None) -> GroupCountsView | None:
    """Return how many groups have each grade; None when nobody observed them."""
    if groups is None:
        return None
    grades = dict.fromkeys((grade.value for grade in Grade), 0)
    for group in groups:
        if group.translation is not None:
            grades[group.translation.grade.value] += 1
    return GroupCountsView(
        grades=grades,
        ungraded=sum(group.translation is None for group in groups),
        active_on_target=sum(group.is_active_on_target is True for group in groups),
    )


def lag_view(lag: FlowLag, *, topics_max: int, has_partitions: bool) -> FlowLagView:
    """Return a flow's lag with the topics furthest behind; those of unknown lag come first."""
    topics = sorted(lag.topics, key=_lateness, reverse=True)[:topics_max]
    fields = {name: getattr(lag, name) for name in FlowLagView.model_fields if name not in ("topics", "topics_total")}
    return FlowLagView(
        **fields,
        topics_total=len(lag.topics),
        topics=tuple(_topic_view(topic, has_partitions=has_partitions) for topic in topics),
    )


def _lateness(topic: TopicLag) -> tuple[bool, float, int]:
    return (topic.lag_records is None, topic.lag_seconds or 0.0, topic.lag_records or 0)


def _topic_view(topic: TopicLag, *, has_partitions: bool) -> TopicLagView:
    shown = topic.partitions if has_partitions else ()
    fields = {
        name: getattr(topic, name)
        for name in TopicLagView.model_fields
        if name not in ("partitions", "partitions_total")
    }
    return TopicLagView(
        **fields,
        partitions_total=len(topic.partitions),
        partitions=tuple(
            PartitionLagView.model_validate(
                {"partition": lag.partition.partition}
                | {name: getattr(lag, name) for name in PartitionLagView.model_fields if name != "partition"}
            )
            for lag in shown
        ),
    )


def group_views(groups: Iterable[GroupStatus], *, has_translations: bool) -> tuple[GroupView, ...]:
    """Return groups, each with its partitions if they are asked for."""
    return tuple(group_view(group, has_translations=has_translations) for group in groups)


def group_view(group: GroupStatus, *, has_translations: bool) -> GroupView:
    """Return one group."""
    seen, translation = group.observation, group.translation
    shown = translation.translations if translation is not None and has_translations else ()
    return GroupView(
        flow=group.flow,
        group=seen.group,
        state=seen.state.value,
        members=seen.members,
        observed_at=seen.observed_at,
        partitions=len(seen.committed),
        lag_records=group.lag_records,
        grade=None if translation is None else translation.grade.value,
        reread_records_max=None if translation is None else translation.reread_records_max,
        is_active_on_target=group.is_active_on_target,
        translations=tuple(map(_translation_view, shown)),
    )


def _translation_view(translation: Translation) -> TranslationView:
    return TranslationView(
        topic=translation.partition.topic,
        partition=translation.partition.partition,
        target_topic=translation.target_partition.topic,
        target_partition=translation.target_partition.partition,
        source_offset=translation.source_offset,
        target_offset=translation.target_offset,
        grade=translation.grade.value,
        reread_records_max=translation.reread_records_max,
        rule=translation.rule,
        is_clamped=translation.is_clamped,
    )
