"""One topic, one direction: who else carries what this flow carries. Pure.

Under identity naming MM2 knows no cycle: a topic mirrored both ways grows for ever. So a topic that a flow
writes may not be read back to the flow's source, and no topic may have two flows as its writers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replicator.connect import SOURCE_CLASS, StoredConnector
from replicator.flow.planning.changes import Refusal
from replicator.flow.planning.overlap import data_selection, find_overlap, remote_selection
from replicator.model.flow import Flow
from replicator.model.names import TopicName

_LISTED_MAX = 3


@dataclass(frozen=True, slots=True)
class DirectionFindings:
    """Refusals, and what could not be decided."""

    refusals: tuple[Refusal, ...] = ()
    warnings: tuple[str, ...] = ()


def check_flows(flow: Flow, others: Iterable[Flow], *, topics: Iterable[TopicName]) -> DirectionFindings:
    """Return what the other flows of the configuration forbid; `topics` are those of the flow's source."""
    names = list(topics)
    refusals: list[Refusal] = []
    warnings: list[str] = []
    for other in others:
        if other.name == flow.name:
            continue
        if (other.source, other.target) == (flow.target, flow.source):
            _judge(refusals, warnings, flow, other, _carried_back(flow, other, names), "carries it back")
        if other.target == flow.target:
            _judge(refusals, warnings, flow, other, _written_twice(flow, other, names), "writes it too")
    return DirectionFindings(tuple(refusals), tuple(warnings))


def _judge(
    refusals: list[Refusal], warnings: list[str], flow: Flow, other: Flow, found: tuple[str | None, bool], does: str
) -> None:
    topic, is_decided = found
    if topic is not None:
        refusals.append(
            Refusal(
                subject=f"topic {topic}",
                why=f"flow {other.name} ({other.source} → {other.target}) {does}; a topic has one direction and writer",
                hint=f"exclude it in flows.{flow.name}.topics or flows.{other.name}.topics",
            )
        )
    elif not is_decided:
        warnings.append(
            f"flows {flow.name} and {other.name} use regular expressions: only existing topics were compared"
        )


def _carried_back(flow: Flow, other: Flow, topics: list[TopicName]) -> tuple[str | None, bool]:
    """Return a topic of the target that this flow writes and the opposite one reads, or the reverse of it."""
    for name in topics:
        if flow.carries_topic(name) and other.carries_topic(flow.remote_topic(name)):
            return flow.remote_topic(name), True
    there = find_overlap(remote_selection(flow), data_selection(other))
    back = find_overlap(remote_selection(other), data_selection(flow))
    return there.witness or back.witness, there.is_decided and back.is_decided


def _written_twice(flow: Flow, other: Flow, topics: list[TopicName]) -> tuple[str | None, bool]:
    same_source = other.source == flow.source
    for name in topics:
        both = same_source and flow.carries_topic(name) and other.carries_topic(name)
        if both and flow.remote_topic(name) == other.remote_topic(name):
            return flow.remote_topic(name), True
    found = find_overlap(remote_selection(flow), remote_selection(other))
    return found.witness, found.is_decided


@dataclass(frozen=True, slots=True)
class ForeignMirror:
    """A MirrorSourceConnector that is not this flow's, read from its configuration."""

    name: str
    includes: tuple[str, ...]
    excludes: tuple[str, ...]
    source_alias: str
    source_addresses: frozenset[str]

    def reads_from(self, cluster: str, bootstrap: str) -> bool:
        """Whether it reads from this cluster, by its alias or by an address."""
        return self.source_alias == cluster or not self.source_addresses.isdisjoint(_addresses(bootstrap))

    def carries(self, topic: str) -> bool:
        """Whether it mirrors the topic; an expression we cannot read counts as one that matches everything."""
        is_included = any(_matches(pattern, topic, unreadable=True) for pattern in self.includes)
        return is_included and not any(_matches(pattern, topic, unreadable=False) for pattern in self.excludes)


def foreign_mirror(name: str, config: Mapping[str, str]) -> ForeignMirror | None:
    """Return the mirror a connector's configuration describes; None when it is something else."""
    if config.get("connector.class") not in (SOURCE_CLASS, SOURCE_CLASS.rpartition(".")[2], "MirrorSource"):
        return None
    return ForeignMirror(
        name=name,
        includes=_listed(config.get("topics", ".*")),
        excludes=_listed(config.get("topics.exclude", r"mm2.*\.internal,.*\.replica,__.*")),
        source_alias=config.get("source.cluster.alias", ""),
        source_addresses=_addresses(config.get("source.cluster.bootstrap.servers", "")),
    )


def check_opposite(
    flow: Flow, opposite: Mapping[str, StoredConnector], *, bootstrap: str, topics: Iterable[TopicName]
) -> tuple[Refusal, ...]:
    """Return what the connectors of the Connect beside the source forbid.

    `bootstrap` is the target's; a STOPPED connector is no danger: it stays so when its worker starts.
    """
    written = sorted(flow.remote_topic(name) for name in topics if flow.carries_topic(name))
    refusals = []
    for name, stored in sorted(opposite.items()):
        mirror = foreign_mirror(name, stored.config)
        if mirror is None or stored.is_stopped or not mirror.reads_from(flow.target, bootstrap):
            continue
        if both := [topic for topic in written if mirror.carries(topic)]:
            refusals.append(
                Refusal(
                    subject=f"connector {name} beside {flow.source}",
                    why=f"mirrors {_some(both)} from {flow.target} back to {flow.source} and is {stored.target_state}",
                    hint=f"stop that connector, or exclude its topics in flows.{flow.name}.topics",
                )
            )
    return tuple(refusals)


def _some(names: list[TopicName]) -> str:
    more = len(names) - _LISTED_MAX
    return ", ".join(names[:_LISTED_MAX]) + (f" and {more} more" if more > 0 else "")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _addresses(bootstrap: str) -> frozenset[str]:
    return frozenset(part.lower() for part in _listed(bootstrap))


def _matches(pattern: str, topic: str, *, unreadable: bool) -> bool:
    try:
        return re.fullmatch(pattern, topic) is not None
    except re.error:
        return unreadable
