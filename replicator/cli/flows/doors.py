"""Opens what the flow verbs need from the settings: clusters, Connect, the journal's word. One flow at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.errors import DeadlineExceeded, LockHeld, ReplicatorError, Unreachable
from replicator.flow import FlowHandles, FlowWiring, JournalFacts, Plan, plan_flow, read_facts
from replicator.journal import Journal, active_cluster, merge_records, open_operation
from replicator.kafka import KafkaCluster
from replicator.model.connectors import ConnectorStatus
from replicator.model.flow import Flow
from replicator.model.names import TopicName
from replicator.model.operations import JournalRecord
from replicator.settings import Settings

SOURCE_SECONDS = 15.0
"""So long the source may take to show its journal; the standby's has been read by then."""


@dataclass(frozen=True, slots=True)
class FlowDoors:
    """One flow with everything opened to look at it or to act on it."""

    flow: Flow
    settings: Settings
    handles: FlowHandles
    wiring: FlowWiring

    def plan(self, deadline: Deadline) -> Plan:
        """Return the flow's plan, everything read now.

        Raises:
            Unreachable, DeadlineExceeded: a cluster cannot be read; of a flow that was moved the error says so.
        """
        journal = self.read_journal(deadline)
        try:
            facts = read_facts(self.flow, handles=self.handles, wiring=self.wiring, journal=journal, deadline=deadline)
        except (Unreachable, DeadlineExceeded) as error:
            if journal.active != self.flow.target:
                raise
            raise type(error)(
                f"flow {self.flow.name} was moved: {journal.active} is active; {error.message}",
                hint=f"once {self.flow.source} is back: `replicator failback {self.flow.name} --dry-run`",
            ) from error
        return plan_flow(self.flow, others=self.settings.flows, facts=facts, wiring=self.wiring)

    def read_journal(self, deadline: Deadline) -> JournalFacts:
        """Return what the journals of both clusters say of the flow.

        Raises:
            Unreachable, AccessDenied: neither the source's nor the target's can be read.
        """
        return journal_facts(self.flow, read_journals(self.handles, self.prefix, deadline))

    def read_journal_if_possible(self, deadline: Deadline) -> JournalFacts:
        """Return what the journals say, or nothing where the target cannot be read: the look tells that itself."""
        try:
            return self.read_journal(Deadline.after(deadline.left / 4, clock=deadline.clock))
        except ReplicatorError:
            return JournalFacts()

    def require_idle(self, deadline: Deadline) -> None:
        """Return only if no operation on this flow is open.

        Raises:
            LockHeld: one is; it decides what runs.
        """
        operation = self.read_journal(deadline).operation_id
        if operation is not None:
            raise LockHeld(
                f"flow {self.flow.name}: operation {operation} is not finished",
                hint=f"replicator op show {operation}",
                operation_id=operation,
            )

    @property
    def prefix(self) -> str:
        """First part of the names of our own topics."""
        return self.settings.supervisor.topic_prefix


def read_journals(handles: FlowHandles, prefix: str, deadline: Deadline) -> tuple[JournalRecord, ...]:
    """Return the merged records of both clusters' journals; the target's must be readable, the source may be gone."""
    found = [Journal(handles.target, prefix).read(deadline)]
    patience = Deadline.after(min(deadline.left / 2, SOURCE_SECONDS), clock=deadline.clock)
    try:
        handles.source.verify_identity(patience)
        found.append(Journal(handles.source, prefix).read(patience))
    except ReplicatorError:
        # The survivor's journal is the one that counts; a dead source must not hide it.
        return merge_records(found)
    return merge_records(found)


def journal_facts(flow: Flow, records: tuple[JournalRecord, ...]) -> JournalFacts:
    """Return which cluster is active, and the operation that has not ended."""
    operation = open_operation(records, flow.name)
    return JournalFacts(active=active_cluster(records, flow.name), operation_id=operation.id if operation else None)


def sides_of(flow: Flow, deadline: Deadline) -> str:
    """Return whose answers a verb about the flow waits for, and how long at most, in words."""
    return (
        f"clusters {flow.source} and {flow.target} and the worker beside {flow.target}: at most {deadline.left:.0f} s"
    )


FlowAct = Callable[[FlowDoors, Deadline], tuple[ConnectorStatus, ...]]
"""Something done to a flow's connectors; what is seen afterwards."""


def act_on_flow(settings: Settings, name: str, act: FlowAct, deadline: Deadline) -> tuple[ConnectorStatus, ...]:
    """Return the states seen after the act.

    Raises:
        LockHeld: an operation on the flow is open. What the act refuses or fails with.
    """
    with open_flow(settings, name) as doors:
        doors.require_idle(deadline)
        return act(doors, deadline)


@contextmanager
def open_flow(settings: Settings, name: str) -> Iterator[FlowDoors]:
    """Yield the flow with its doors, and close them.

    Raises:
        NotFound: no such flow. ConfigInvalid: a secret cannot be had.
    """
    flow = settings.flow(name)
    access = settings.connect_of(flow.target)
    wiring = FlowWiring(
        source=settings.mirror_access(flow.source),
        target=settings.mirror_access(flow.target),
        secrets_folder=access.secrets_folder,
    )
    has_opposite = flow.source in settings.document.connect
    with FlowHandles(
        source=KafkaCluster(settings.cluster_access(flow.source)),
        target=KafkaCluster(settings.cluster_access(flow.target)),
        connect=ConnectClient(access.url, username=access.username, password=access.password, ca_file=access.ca_file),
        offsets_topic=TopicName(access.offsets_topic),
        opposite_configs_topic=TopicName(settings.connect_of(flow.source).configs_topic) if has_opposite else None,
    ) as handles:
        yield FlowDoors(flow, settings, handles, wiring)
