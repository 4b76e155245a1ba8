"""What is captured beside record data: topic settings and group positions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from replicator.clock import Deadline
from replicator.errors import AccessDenied
from replicator.kafka import KafkaCluster
from replicator.model.cluster import ConfigValue
from replicator.model.flow import Selection
from replicator.model.names import TopicName, TopicPartition
from replicator.model.observations import GroupObservation, GroupState
from replicator.wire import RawClient, read_metadata


def own_settings(configs: Mapping[TopicName, Mapping[str, ConfigValue]]) -> dict[TopicName, dict[str, str]]:
    """Return what was set on each topic itself; what it inherits is the target's own business."""
    return {
        topic: {key: c.value for key, c in sorted(values.items()) if not c.is_default and c.value is not None}
        for topic, values in sorted(configs.items())
    }


def effective_settings(configs: Mapping[str, ConfigValue]) -> dict[str, str]:
    """Return every setting of one topic that has a value, inherited ones too."""
    return {key: config.value for key, config in configs.items() if config.value is not None}


def read_groups(
    cluster: KafkaCluster, raw: RawClient, groups: Selection, *, deadline: Deadline
) -> tuple[tuple[GroupObservation, ...], str | None]:
    """Return the selected groups that have positions, by name, with what was left beside each, and why they could not
    be read, if so."""
    try:
        names = [name for name in cluster.groups.list(deadline) if groups.matches(name)]
        found = cluster.groups.committed(names, deadline)
        kept = [g for g in found.values() if g.committed and g.state is not GroupState.DEAD]
        texts = read_metadata(raw, {group.group: group.committed for group in kept}, deadline=deadline)
    except AccessDenied as exc:
        return (), exc.message
    told = (replace(group, metadata=texts.get(group.group, {})) for group in kept)
    return tuple(sorted(told, key=lambda group: group.group)), None


def groups_to_json(groups: Iterable[GroupObservation], topics: Iterable[TopicName]) -> dict[str, Any]:
    """Return the `groups` state: positions on the captured topics."""
    wanted = set(topics)
    rows = [
        {
            "group": group.group,
            "state": group.state.value,
            "protocol_type": group.protocol_type,
            "offsets": [
                [tp.topic, tp.partition, offset] for tp, offset in sorted(group.committed.items()) if tp.topic in wanted
            ],
        }
        | _metadata_of(group, wanted)
        for group in groups
    ]
    return {"groups": [row for row in rows if row["offsets"]]}


def _metadata_of(group: GroupObservation, wanted: Collection[TopicName]) -> dict[str, Any]:
    """Return what the group's consumers left with its positions; nothing where they left nothing."""
    found = [[tp.topic, tp.partition, text] for tp, text in sorted(group.metadata.items()) if tp.topic in wanted]
    return {"metadata": found} if found else {}


def find_positions_ahead(groups: Iterable[GroupObservation], ends: Mapping[TopicPartition, int]) -> list[str]:
    """Return a warning for every position beyond the data: a log that became shorter after the commit."""
    return [
        f"group {group.group} is at {tp} offset {offset}, beyond the captured end {ends[tp]}"
        for group in groups
        for tp, offset in sorted(group.committed.items())
        if tp in ends and offset > ends[tp]
    ]
