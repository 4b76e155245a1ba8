"""Desired against actual: the list of changes, or why there must be none. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from replicator.connect import SOURCE_CLASS
from replicator.flow.planning.changes import Act, Change, Difference, Plan
from replicator.flow.planning.checks import find_mismatches, find_refusals, find_warnings
from replicator.flow.planning.desired import DesiredFlow, desired_flow
from replicator.flow.planning.facts import ClusterFacts, FlowFacts, FlowWiring
from replicator.model.cluster import ConfigValue, TopicDescription, TopicSpec
from replicator.model.connectors import Connector, ConnectorState
from replicator.model.flow import Flow
from replicator.model.forms.figures import show_items
from replicator.model.names import ClusterName

LABEL_ASKED = "replicator.asked"
ASKED_STOPPED = "stopped"
"""LABEL_ASKED holds this after `flow stop`: what somebody stopped is never started by a plan."""


def plan_flow(flow: Flow, *, others: Iterable[Flow], facts: FlowFacts, wiring: FlowWiring) -> Plan:
    """Return what it takes to make the flow what it should be; `others` are all flows of the configuration.

    Raises:
        ConfigInvalid: a pattern or a secret cannot be told to MM2.
    """
    desired = desired_flow(flow, wiring=wiring, source=facts.source, target=facts.target)
    rest = tuple(other for other in others if other.name != flow.name)
    mismatches = find_mismatches(flow, desired=desired, facts=facts)
    warnings = find_warnings(flow, others=rest, desired=desired, facts=facts)
    return Plan(
        flow=flow.name,
        changes=(*_topic_changes(desired, facts), *_connector_changes(desired, facts)),
        refusals=find_refusals(flow, others=rest, desired=desired, facts=facts, wiring=wiring),
        warnings=(*warnings, *(one.line for one in mismatches)),
        mismatches=mismatches,
    )


def _topic_changes(desired: DesiredFlow, facts: FlowFacts) -> Iterator[Change]:
    flow = desired.flow
    for spec in desired.source_topics.values():
        yield from _one_topic(flow.source, spec, facts.source, why="our heartbeats are produced on the source")
    for spec in desired.internal_topics.values():
        yield from _one_topic(flow.target, spec, facts.target, why="MM2 keeps its offset map and checkpoints there")
    for remote in desired.remote_topics.values():
        why = f"{flow.source}'s {remote.source} is mirrored into it; MM2 stalls where it cannot create a topic"
        yield from _one_topic(flow.target, remote.spec, facts.target, why=why)


def _made(spec: TopicSpec, why: str) -> str:
    """Return why a topic is made and with what; a replication factor of -1 is the broker's default."""
    partitions, replicas = show_items(spec.partitions, "partition"), spec.replication_factor
    return f"{why} ({partitions}, {show_items(replicas, 'replica') if replicas > 0 else 'replicas by default'})"


def _one_topic(cluster: ClusterName, spec: TopicSpec, facts: ClusterFacts, *, why: str) -> Iterator[Change]:
    actual = facts.topics.get(spec.name)
    if actual is None:
        told = _made(spec, why)
        yield Change(act=Act.CREATE_TOPIC, cluster=cluster, name=spec.name, why=told, topic=spec)
        return
    yield from _growth(cluster, spec, actual)
    if differences := _setting_differences(spec, facts.configs.get(spec.name, {})):
        told = "its settings differ in effect from what they have to be"
        yield Change(
            act=Act.ALTER_TOPIC, cluster=cluster, name=spec.name, why=told, differences=differences, topic=spec
        )


def _growth(cluster: ClusterName, spec: TopicSpec, actual: TopicDescription) -> Iterator[Change]:
    count = len(actual.partitions)
    if count < spec.partitions:
        difference = Difference(key="partitions", actual=str(count), desired=str(spec.partitions))
        yield Change(
            act=Act.GROW_TOPIC,
            cluster=cluster,
            name=spec.name,
            why=f"the source's topic has {show_items(spec.partitions, 'partition')}",
            differences=(difference,),
            topic=spec,
        )


def _setting_differences(spec: TopicSpec, actual: Mapping[str, ConfigValue]) -> tuple[Difference, ...]:
    """Return the settings whose effect differs. What is set on the target alone is left as it is."""
    return tuple(
        Difference(key=key, actual=found.value if (found := actual.get(key)) else None, desired=value)
        for key, value in spec.configs.items()
        if key not in actual or actual[key].value != value
    )


def _connector_changes(desired: DesiredFlow, facts: FlowFacts) -> Iterator[Change]:
    cluster = desired.flow.target
    for name, config in desired.connectors.items():
        actual = facts.connect.connectors.get(name)
        if actual is None:
            told = f"{'exactly once' if 'exactly.once.support' in config else 'mirrored'}, made STOPPED"
            yield Change(act=Act.CREATE_CONNECTOR, cluster=cluster, name=name, why=told, config=config)
        elif differences := config_differences(config, actual.config):
            yield Change(
                act=Act.UPDATE_CONNECTOR,
                cluster=cluster,
                name=name,
                why="its configuration was changed, or should change",
                differences=differences,
                config={**config, **_asked(actual)},
            )
    yield from _starts(desired, facts)


def _asked(actual: Connector) -> dict[str, str]:
    """Return the label of a deliberate stop: an update must not forget it."""
    return {LABEL_ASKED: actual.config[LABEL_ASKED]} if LABEL_ASKED in actual.config else {}


def config_differences(desired: Mapping[str, str], actual: Mapping[str, str]) -> tuple[Difference, ...]:
    """Return every key of a connector that is not as it has to be."""
    keys = sorted((desired.keys() | actual.keys()) - {LABEL_ASKED})
    return tuple(
        Difference(key=key, actual=actual.get(key), desired=desired.get(key))
        for key in keys
        if desired.get(key) != actual.get(key)
    )


def _starts(desired: DesiredFlow, facts: FlowFacts) -> Iterator[Change]:
    """Return the starts of connectors that never ran: made by us, and not yet started or killed in between.

    A source connector that has mirrored something and is STOPPED was stopped by somebody, and stays so.
    The checkpoint connector follows the source connector.
    """
    flow = desired.flow
    source = facts.connect.connectors.get(flow.source_connector)
    is_new = source is None or (_is_waiting(source) and not facts.positions)
    is_running = source is not None and _state(source) is ConnectorState.RUNNING
    for name, config in desired.connectors.items():
        actual = facts.connect.connectors.get(name)
        is_source = config["connector.class"] == SOURCE_CLASS
        may_start = is_new if is_source else (is_new or is_running)
        if may_start and (actual is None or _is_waiting(actual)):
            yield Change(act=Act.START_CONNECTOR, cluster=flow.target, name=name, why="it has not run yet")


def _is_waiting(connector: Connector) -> bool:
    return _state(connector) is ConnectorState.STOPPED and connector.config.get(LABEL_ASKED) != ASKED_STOPPED


def _state(connector: Connector) -> ConnectorState | None:
    return connector.status.state if connector.status is not None else None
