"""What must hold: while it runs (at each record of the journal), and once it is over."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from replicator.failover import FenceGrade, report_of
from replicator.failover.facts import cut_from_facts
from replicator.failover.groups.moves import Outcome, group_of, move_from_fact
from replicator.journal import (
    ACTIVE_ITEM,
    PROMOTE_STEP,
    active_cluster,
    facts_of,
    find_operation,
    is_point_of_no_return,
    journal_topic,
    list_operations,
)
from replicator.journal.chain import Stored, verify
from replicator.model.connectors import ConnectorState
from replicator.model.names import GroupName, OperationId, TopicName, TopicPartition
from replicator.model.objectives import Objectives
from replicator.model.operations import JournalRecord, Operation, OperationKind, OperationState, StepPhase
from tests.simulation.brokers import Broker
from tests.simulation.connect import Worker
from tests.simulation.stage import FLOW, Home, Stage
from tests.simulation.wires import Process, Violation, Wires

HARMLESS_LATE = (": create topics", ": write __replicator.probe")
"""What a process that has lost the lease may still do: make a topic that everybody makes, and a canary."""

MIRRORED_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a world ended, times left out. `ranks`: records below each committed position, from the log start on."""

    state: str
    active: str | None
    ranks: dict[GroupName, dict[TopicPartition, int]]
    outcomes: dict[GroupName, str]
    rules: frozenset[object]
    states: dict[str, ConnectorState]
    known_lost: int | None


def journal_of(broker: Broker) -> tuple[JournalRecord, ...]:
    """Return the records that a cluster's journal holds, the chain verified."""
    topic = broker.topics.get(journal_topic())
    if topic is None:
        return ()
    log = topic.logs[0]
    if broker.proven[0] != log.end:
        chain = verify(Stored(at, log.entries[at].value or b"") for at in log.visible(0, log.end))
        if chain.strays:
            raise Violation(f"nobody else writes the journal, and {chain.strays[0]}")
        broker.proven = log.end, chain.records
    return broker.proven[1]


class Judge:
    """Looks at each record as it is written, and remembers when a source was last swept and a group last read."""

    def __init__(self, stage: Stage, wires: Wires) -> None:
        self._stage = stage
        self._wires = wires
        self.swept_at = 0
        self._appended_at = 0
        self.read_back: dict[str, dict[TopicPartition, int]] = {}
        elsewhere = journal_of(stage.source) if stage.is_planned else ()
        self._epochs: dict[int, str] = {record.epoch: "an earlier operation" for record in elsewhere}
        self._sent_late: list[str] = []

    def on_append(self, topic: TopicName, values: Sequence[bytes], process: Process) -> None:
        """Hold a new record of the target's journal against the world."""
        if topic != journal_topic():
            return
        for value in values:
            fields = json.loads(value)
            self._check_epoch(fields["epoch"], process)
            if process.was_frozen and not process.is_in_flight:
                raise Violation(f"{process.name} lost the lease, woke up and wrote {fields['step']} {fields['phase']}")
            if fields["step"] == PROMOTE_STEP and fields["phase"] == StepPhase.INTENT:
                self._on_promotion(OperationId(fields["operation_id"]))
            self._appended_at = self._wires.calls

    def _check_epoch(self, epoch: int, process: Process) -> None:
        if self._epochs.setdefault(epoch, process.name) != process.name or epoch < max(self._epochs):
            raise Violation(f"{process.name} writes under epoch {epoch}, and so did {self._epochs[epoch]}")

    def _on_promotion(self, operation_id: OperationId) -> None:
        stage = self._stage
        operation = find_operation(journal_of(stage.target), operation_id)
        if sum(is_point_of_no_return(record) for record in operation.records) > 1:
            return  # it was decided by an earlier run; whatever happened since, the only way is forward
        if (
            (stage.is_planned or stage.is_answering)
            and stage.fencing.grade is FenceGrade.ACL
            and not stage.is_denied()
            and not stage.rogue_calls
        ):
            raise Violation("promoted, and applications may write the source")
        self._check_cut(operation)
        self._check_groups(operation)
        for tp in stage.partitions:
            ends = stage.target.ends(tp)
            if ends.last_stable != ends.end:
                raise Violation(f"promoted with a transaction open on {tp}")
        states = stage.worker.states.values()
        is_running = not stage.worker.is_dead and not stage.rogue_calls and ConnectorState.RUNNING in states
        if is_running and not self._was_connect_lost(operation):
            raise Violation("promoted while the flow runs")
        if stage.home is not None and ConnectorState.RUNNING in stage.home.worker.states.values():
            raise Violation("promoted while the configured flow mirrors from there")
        if stage.is_planned and stage.unmirrored() and not self._is_excused():
            raise Violation(f"promoted with records left on the source: {stage.unmirrored()}")

    def _is_excused(self) -> bool:
        """Whether somebody wrote to the source behind the last look at it: what nobody can see nobody can refuse."""
        return any(call > max(self.swept_at, self._appended_at) for call in self._stage.rogue_calls)

    def _was_connect_lost(self, operation: Operation) -> bool:
        fact = facts_of(operation.records, "stop_flow").get("connect")
        return fact is not None and not fact["is_reachable"]

    @property
    def is_beyond_us(self) -> bool:
        """Whether a failback met what no process can refuse: a rogue, or a request that was sent before its process
        froze and came when another had gone on."""
        return bool(self._stage.rogue_calls) or (self._stage.home is not None and bool(self._sent_late))

    def _check_cut(self, operation: Operation) -> None:
        cut = cut_from_facts(facts_of(operation.records, "cut"))
        if cut is None:
            raise Violation("promoted without a cut")
        loss = facts_of(operation.records, "cut").get("loss")
        if loss is None:
            raise Violation("promoted without an account of the loss")
        for tp in self._stage.partitions:
            now = self._stage.worker.position(tp)
            if cut.mirrored.get(tp, 0) != now and not self._is_excused():
                raise Violation(f"promoted on a stale cut: {tp} at {cut.mirrored.get(tp)}, the flow stands at {now}")

    def _check_groups(self, operation: Operation) -> None:
        moves = facts_of(operation.records, "translate")
        outcomes = facts_of(operation.records, "commit")
        for name in self._stage.truth:
            if f"group:{name}" not in moves:
                raise Violation(f"promoted and {name} was never translated")
            if f"group:{name}" not in outcomes:
                raise Violation(f"promoted and {name} was never set")
        for item, fact in moves.items():
            name = group_of(item)
            if name is None or outcomes[item]["outcome"] != Outcome.COMMITTED.value:
                continue
            self._check_position(name, move_from_fact(FLOW.name, name, fact).positions)

    def _check_position(self, name: GroupName, meant: dict[TopicPartition, int]) -> None:
        group = self._stage.target.groups.get(name)
        for tp, offset in meant.items():
            wanted = max(offset, self._stage.target.log(tp).log_start)
            found = None if group is None else group.committed.get(tp)
            if found != wanted:
                raise Violation(f"promoted and {name} stands at {found} on {tp}, not at {wanted}")
            if self.read_back.get(name, {}).get(tp) != wanted:
                raise Violation(f"promoted and nobody has read {name} back on {tp}")

    def on_process_end(self, process: Process) -> None:
        """Hold what a process did after it had lost the lease against what it may."""
        self._sent_late += process.sent_late
        acted = [what for what in process.acted_frozen if not what.endswith(HARMLESS_LATE)]
        if acted:
            raise Violation(f"{process.name} had lost the lease, woke up and did: {acted}")

    def on_ended(self) -> Ending:
        """Return the ending, after what must hold in any has been checked."""
        stage = self._stage
        records = journal_of(stage.target)
        journal_of(stage.source)
        operations = [op for op in list_operations(records).values() if op.kind is stage.kind]
        if not operations:
            return _ending(stage, "nothing was begun", None, {})
        last = operations[-1]
        if not last.state.is_terminal:
            raise Violation(f"{last.id} does not end: {last.state.value} at {last.step}")
        if last.state is OperationState.ABORTED and last.is_past_promote:
            raise Violation("aborted past the point of no return")
        if last.state is OperationState.ABORTED:
            self._check_restored()
            return _ending(stage, last.state.value, None, {})
        if stage.kind is OperationKind.DRILL:
            self._check_drill(last)
            return _ending(stage, last.state.value, None, {})
        report = report_of(last.records, objectives=Objectives())
        outcomes = {g.group: g.outcome.value if g.outcome else "none" for g in report.groups}
        self._check_no_skip(last, outcomes)
        self._check_loss(last)
        promoted = [r for r in last.records if r.step == PROMOTE_STEP and r.item == ACTIVE_ITEM]
        if active_cluster(records, FLOW.name) != stage.flow.target or not promoted:
            raise Violation("it is over and the target is not active")
        if not any(r.step == "verify" and r.item == "verified" for r in last.records):
            raise Violation("it is over and nobody has verified it")
        if stage.home is not None and not self.is_beyond_us:
            self._check_home(last, stage.home)
        known = report.loss.known_lost if report.loss else None
        return _ending(stage, last.state.value, known, outcomes)

    def _check_drill(self, operation: Operation) -> None:
        """A drill has shown that no clone skips, and has left nothing behind."""
        self._check_restored()
        fact = facts_of(operation.records, "verify").get("verified")
        if fact is None:
            raise Violation("the drill is over and has compared nothing")
        wrong = [told for told in fact["findings"] if not self._is_blind(told)]
        if wrong:
            raise Violation(f"the drill has found: {wrong[:2]}")

    def _is_blind(self, told: str) -> bool:
        """Whether a drill says that it could not look: an answer was lost, or what was to be compared is deleted."""
        is_deleted = any(self._stage.target.log(tp).log_start for tp in self._stage.partitions)
        is_lost = any(": lost_re" in line or line.endswith(": late") for line in self._wires.trail)
        if "nothing is proven" in told:
            return is_deleted or is_lost
        return is_lost and told.endswith("could not be read")

    def _check_restored(self) -> None:
        late = {what.rpartition(" ")[2] for what in self._sent_late}
        clones = [name for name in self._stage.target.groups if name.startswith("drill.") and name not in late]
        is_made_late = any(what.endswith(": create topics") for what in self._sent_late)
        topics = [name for name in self._stage.target.topics if ".drill." in name and not is_made_late]
        if clones or topics:
            raise Violation(f"it is over, and {clones + topics} are left")
        now, start = self._stage.standing(), self._stage.start
        if now.groups != start.groups:
            raise Violation(f"aborted, and groups stand at {now.groups}, not at {start.groups}")
        if self.is_beyond_us:
            return
        if now.rules != start.rules:
            raise Violation(f"aborted, and rules are {now.rules ^ start.rules} other than before")
        if self._stage.home is not None:
            self._check_home_left(self._stage.home)
        elif now.states != start.states and not self._stage.worker.is_dead:
            raise Violation(f"aborted, and connectors are {now.states}, not {start.states}")

    def _check_home_left(self, home: Home) -> None:
        """A failback that was taken back leaves no flow home, and the configured one as it was, or stopped."""
        if self._stage.worker.states:
            raise Violation(f"aborted, and {sorted(self._stage.worker.states)} are left")
        for name, state in home.worker.states.items():
            if state not in (self._stage.start.states[name], ConnectorState.STOPPED):
                raise Violation(f"aborted, and {name} is {state.value}")

    def _check_home(self, operation: Operation, home: Home) -> None:
        """What was written on the new active came home, once and in order, and nothing else did; orphans are kept; the
        configured flow reads on behind all that, and nothing travels back."""
        old, new = self._stage.target, self._stage.source
        for tp in self._stage.partitions:
            came = _values(old, tp, home.own_ends[tp])
            since = _values(new, tp, home.seeds[tp])
            if came != since:
                raise Violation(f"{tp}: {came} came home, {since} were written since the cut")
            kept = TopicPartition(TopicName(f"{tp.topic}.orphans.{operation.id}"), tp.partition)
            found = (
                _values(old, kept, 0)
                if kept.topic in old.topics and len(old.topics[kept.topic].logs) > kept.partition
                else []
            )
            if found != home.orphans[tp]:
                raise Violation(f"{tp}: {found} were kept aside, {home.orphans[tp]} are orphans")
        if self._stage.worker.states:
            raise Violation(f"it is over, and {sorted(self._stage.worker.states)} are left")
        self._check_forward(home)

    def _check_forward(self, home: Home) -> None:
        stage = self._stage
        before = {tp: _values(stage.source, tp, 0) for tp in stage.partitions}
        stage.clock.seconds += 5.0
        _mirror_all(home.worker)
        for tp in stage.partitions:
            if _values(stage.source, tp, 0) != before[tp]:
                raise Violation(f"{tp}: {len(_values(stage.source, tp, 0)) - len(before[tp])} records travelled back")
            stage.target.write(tp, None, b"at home")
        _mirror_all(home.worker)
        for tp in stage.partitions:
            if _values(stage.source, tp, 0) != [*before[tp], b"at home"]:
                raise Violation(f"{tp}: what is written at home is not mirrored")

    def _check_no_skip(self, operation: Operation, outcomes: dict[GroupName, str]) -> None:
        for name, truth in self._stage.truth.items():
            fact = facts_of(operation.records, "translate").get(f"group:{name}")
            group = self._stage.target.groups.get(name)
            if fact is None:
                raise Violation(f"{name} is not in the report")
            if name in self._stage.live and (group is None or group.committed != self._stage.start.groups[name]):
                raise Violation(f"{name} has members and was moved")
            if name not in self._stage.live and outcomes.get(name) == Outcome.ACTIVE.value:
                raise Violation(f"{name} has no members and was left alone")
            if outcomes.get(name) != Outcome.COMMITTED.value or group is None:
                continue
            missing = [tp for tp in self._stage.partitions if tp not in group.committed]
            if missing:
                raise Violation(f"{name} has no position on {missing}: its consumers use their own reset there")
            for row in move_from_fact(FLOW.name, name, fact).translation.translations:
                self._check_partition(name, row.partition, truth, group.committed, row.reread_records_max)

    def _check_partition(
        self,
        name: GroupName,
        tp: TopicPartition,
        truth: dict[TopicPartition, int],
        committed: dict[TopicPartition, int],
        rereads_max: int | None,
    ) -> None:
        source, target = self._stage.source.log(tp), self._stage.target.log(tp)
        read = source.values_below(max(truth.get(tp, 0), source.log_start))
        at = committed.get(tp)
        if at is None:
            raise Violation(f"{name} stands nowhere on {tp}")
        passed = {target.entries[n].value for n in target.visible(target.log_start, at)}
        if stage_home := self._stage.home:
            passed -= set(stage_home.orphans[tp])  # groups stand behind the orphan tail, which is kept aside
        if skipped := passed - read:
            raise Violation(f"{name} skips {len(skipped)} records on {tp}: {sorted(map(str, skipped))[:3]}")
        ahead = {target.entries[n].value for n in target.visible(at, target.end)}
        rereads = len(ahead & source.values_below(truth.get(tp, 0)))
        is_told = (
            rereads_max is not None and target.log_start == 0 and not (self._stage.home and self._stage.rogue_calls)
        )
        if is_told and rereads > (rereads_max or 0):
            raise Violation(f"{name} reads {rereads} records twice on {tp}, at most {rereads_max} were told")

    def _check_loss(self, operation: Operation) -> None:
        loss = facts_of(operation.records, "cut").get("loss")
        if loss is None:
            raise Violation("it is over, and the loss was never accounted for")
        true = sum(self._stage.unmirrored().values())
        if self._stage.rogue_calls:
            return
        if loss["known_lost"] > true:
            raise Violation(f"known lost {loss['known_lost']}, true {true}")
        bound = loss["possible_lost_max"]
        if bound is not None and bound < true and not self._stage.clock.step:
            raise Violation(f"possibly lost {bound}, true {true}")


def _values(broker: Broker, tp: TopicPartition, start: int) -> list[bytes | None]:
    """Return the values of the visible records of a partition from an offset on."""
    log = broker.log(tp)
    return [log.entries[at].value for at in log.visible(start, log.end)]


def _mirror_all(worker: Worker) -> None:
    for _ in range(MIRRORED_MAX):
        worker.herder.settle()
        if not worker.is_mirroring or not worker.behind():
            return
        worker.mirror()


def _ending(stage: Stage, state: str, known: int | None, outcomes: dict[GroupName, str]) -> Ending:
    records = (*journal_of(stage.target), *journal_of(stage.source))
    standing = stage.standing()
    ranks = {
        name: {
            tp: len(stage.target.log(tp).visible(stage.target.log(tp).log_start, at))
            for tp, at in sorted(found.items())
        }
        for name, found in standing.groups.items()
    }
    return Ending(
        state=state,
        active=active_cluster(records, FLOW.name),
        ranks=ranks,
        outcomes=outcomes,
        rules=standing.rules,
        states=standing.states,
        known_lost=known,
    )
