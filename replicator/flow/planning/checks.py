"""Why a flow must not be applied: what stands against it, each with the next command or edit. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from replicator.connect import LABEL_EPOCH, LABEL_FLOW, lint_overrides
from replicator.flow.planning.changes import Mismatch, Refusal
from replicator.flow.planning.desired import DesiredFlow
from replicator.flow.planning.directions import check_flows, check_opposite, foreign_mirror
from replicator.flow.planning.facts import FlowFacts, FlowWiring
from replicator.model.flow import Delivery, Flow
from replicator.model.forms.figures import show_items
from replicator.model.names import TopicName, TopicPartition

TOPIC_LENGTH_MAX = 249


def find_refusals(
    flow: Flow, *, others: tuple[Flow, ...], desired: DesiredFlow, facts: FlowFacts, wiring: FlowWiring
) -> tuple[Refusal, ...]:
    """Return everything that forbids to apply the flow."""
    return (
        *_journal(flow, facts),
        *_clusters(flow, facts),
        *_overrides(flow),
        *_directions(flow, others, facts, wiring),
        *_connectors(flow, desired, facts),
        *_worker(flow, facts),
        *_topics(flow, desired, facts),
    )


def find_warnings(flow: Flow, *, others: tuple[Flow, ...], desired: DesiredFlow, facts: FlowFacts) -> tuple[str, ...]:
    """Return what deserves a word, but forbids nothing."""
    return (
        *check_flows(flow, others, topics=facts.source.topics).warnings,
        *_empty_patterns(flow, facts),
        *_weaker_topics(flow, desired, facts),
        *_lost_copies(flow, desired, facts),
    )


def _journal(flow: Flow, facts: FlowFacts) -> Iterator[Refusal]:
    if facts.journal.operation_id is not None:
        yield Refusal(
            subject=f"flow {flow.name}",
            why=f"operation {facts.journal.operation_id} is not finished",
            hint=f"replicator op show {facts.journal.operation_id}",
        )
    if facts.journal.active == flow.target:
        yield Refusal(
            subject=f"flow {flow.name}",
            why=f"failed over: {flow.target} is active; mirroring {flow.source} onto it would overwrite what is true",
            hint=f"replicator failback {flow.name}",
        )


def _clusters(flow: Flow, facts: FlowFacts) -> Iterator[Refusal]:
    if facts.source.cluster_id == facts.target.cluster_id:
        yield Refusal(
            subject=f"clusters {flow.source} and {flow.target}",
            why=f"are one and the same cluster ({facts.source.cluster_id})",
            hint="correct clusters.NAME.bootstrap, then `replicator config validate`",
        )
    written = facts.connect.worker.kafka_cluster_id
    if written != facts.target.cluster_id:
        yield Refusal(
            subject=f"connect.{flow.target}",
            why=f"the worker writes to cluster {written}, and {flow.target} is {facts.target.cluster_id}",
            hint=f"correct connect.{flow.target}.url: a worker's bootstrap.servers is the cluster it writes to",
        )


def _overrides(flow: Flow) -> Iterator[Refusal]:
    for refused in lint_overrides(flow.connector):
        yield Refusal(
            subject=f"flows.{flow.name}.connector.{refused.key}",
            why=f"refused: {refused.why}",
            hint="take the key out, then `replicator plan`",
        )


def _directions(flow: Flow, others: tuple[Flow, ...], facts: FlowFacts, wiring: FlowWiring) -> Iterator[Refusal]:
    topics = facts.source.topics
    yield from check_flows(flow, others, topics=topics).refusals
    if facts.opposite is not None:
        ours = {name for other in others for name in (other.source_connector, other.checkpoint_connector)}
        foreign = {name: stored for name, stored in facts.opposite.items() if name not in ours}
        yield from check_opposite(flow, foreign, bootstrap=wiring.target.bootstrap, topics=topics)
    yield from _second_writers(flow, others, facts, wiring)


def _second_writers(flow: Flow, others: tuple[Flow, ...], facts: FlowFacts, wiring: FlowWiring) -> Iterator[Refusal]:
    """Mirrors on the same Connect that nobody configured here and that read the same topics."""
    ours = {flow.source_connector, *(other.source_connector for other in others)}
    carried = [name for name in facts.source.topics if flow.carries_topic(name)]
    for name, connector in sorted(facts.connect.connectors.items()):
        mirror = None if name in ours else foreign_mirror(name, connector.config)
        is_stopped = connector.status is not None and connector.status.is_stopped
        if mirror is None or is_stopped or not mirror.reads_from(flow.source, wiring.source.bootstrap):
            continue
        same_naming = connector.config.get("replication.policy.class", "").endswith("IdentityReplicationPolicy") == (
            flow.remote_topic(TopicName("x")) == "x"
        )
        topic = next((topic for topic in carried if mirror.carries(topic)), None)
        if topic is not None and same_naming:
            yield Refusal(
                subject=f"connector {name} beside {flow.target}",
                why=f"writes {flow.remote_topic(topic)} too; a topic has one direction and writer",
                hint="stop or delete that connector first",
            )


def _connectors(flow: Flow, desired: DesiredFlow, facts: FlowFacts) -> Iterator[Refusal]:
    for name, config in desired.connectors.items():
        connector = facts.connect.connectors.get(name)
        if connector is None:
            continue
        label = connector.config.get(LABEL_FLOW)
        if label != flow.name:
            yield Refusal(
                subject=f"connector {name}",
                why=f"exists and was not made for this flow (its {LABEL_FLOW} is {label!r})",
                hint="delete or rename that connector, or rename the flow",
            )
        elif _number(connector.config.get(LABEL_EPOCH)) > _number(config.get(LABEL_EPOCH)):
            yield Refusal(
                subject=f"connector {name}",
                why=f"belongs to the later epoch {connector.config.get(LABEL_EPOCH)}",
                hint=f"replicator op list --flow {flow.name}",
            )


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else 0


def _worker(flow: Flow, facts: FlowFacts) -> Iterator[Refusal]:
    for name, findings in sorted(facts.connect.findings.items()):
        for finding in findings:
            is_eos = finding.key == "exactly.once.support" and flow.delivery is Delivery.EXACTLY_ONCE
            hint = (
                "set exactly.once.source.support=enabled on every worker (first `preparing`, then `enabled`)"
                if is_eos
                else "replicator doctor"
            )
            yield Refusal(
                subject=f"connector {name}",
                why=f"the worker refuses {finding.key}: {'; '.join(finding.errors)}",
                hint=hint,
            )


def _topics(flow: Flow, desired: DesiredFlow, facts: FlowFacts) -> Iterator[Refusal]:
    for name, remote in desired.remote_topics.items():
        if len(name) > TOPIC_LENGTH_MAX:
            yield Refusal(
                subject=f"topic {remote.source}",
                why=f"its name on {flow.target} would have {len(name)} characters, Kafka allows {TOPIC_LENGTH_MAX}",
                hint=f"exclude it in flows.{flow.name}.topics, or use naming: identity",
            )
        if name in facts.foreign:
            yield Refusal(
                subject=f"topic {name} on {flow.target}",
                why="holds records that this flow did not write",
                hint=f"delete that topic, exclude it in flows.{flow.name}.topics, or use naming: prefix",
            )


def _empty_patterns(flow: Flow, facts: FlowFacts) -> Iterator[str]:
    if not any(flow.carries_topic(name) for name in facts.source.topics):
        yield f"flow {flow.name}: no topic of {flow.source} matches; new ones are found within 30 s"
        return
    for pattern in flow.topics.include:
        is_literal = not pattern.startswith("re:") and not {"*", "?"} & set(pattern)
        if is_literal and pattern not in facts.source.topics:
            yield f"flow {flow.name}: topic {pattern} does not exist on {flow.source}"


def _weaker_topics(flow: Flow, desired: DesiredFlow, facts: FlowFacts) -> Iterator[str]:
    for name, remote in desired.remote_topics.items():
        source, target = facts.source.topics.get(remote.source), facts.target.topics.get(name)
        if source is None:
            continue
        replicas = target.replication_factor if target is not None else remote.spec.replication_factor
        if replicas < source.replication_factor:
            found = show_items(replicas, "replica")
            yield f"topic {name} on {flow.target} has {found}, {source.replication_factor} on {flow.source}"


def find_mismatches(flow: Flow, *, desired: DesiredFlow, facts: FlowFacts) -> tuple[Mismatch, ...]:
    """Return what differs and stays so: nothing can shrink a topic."""
    return tuple(_wider_copies(flow, desired, facts))


def _wider_copies(flow: Flow, desired: DesiredFlow, facts: FlowFacts) -> Iterator[Mismatch]:
    for name, remote in desired.remote_topics.items():
        source, target = facts.source.topics.get(remote.source), facts.target.topics.get(name)
        if source is not None and target is not None and len(target.partitions) > len(source.partitions):
            found = show_items(len(target.partitions), "partition")
            told = f"topic {name} on {flow.target} has {found}, {len(source.partitions)} on {flow.source}"
            yield Mismatch(name=name, line=f"{told}: after a failover keys go to other partitions")


def _lost_copies(flow: Flow, desired: DesiredFlow, facts: FlowFacts) -> Iterator[str]:
    """Topics whose copy is gone or emptied though records were mirrored: MM2 goes on behind them in silence."""
    for name, remote in desired.remote_topics.items():
        numbers = range(remote.spec.partitions)
        mirrored = sum(facts.positions.get(TopicPartition(remote.source, number), 0) for number in numbers)
        ends = [facts.target_ends.get(TopicPartition(name, number)) for number in numbers]
        if mirrored and flow.carries_topic(remote.source) and all(end is None or end.end == 0 for end in ends):
            yield (
                f"topic {name} on {flow.target} is missing or empty, but {mirrored} offsets of {remote.source} count "
                "as mirrored and will not come again: restore it from a snapshot, or start the flow over"
            )
