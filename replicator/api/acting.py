"""Acts asked for over HTTP: each is begun once, runs in a thread of its own, and can be asked about by its id."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from replicator.api.schema import OperationView, StepView
from replicator.api.shapes.plans import RestoreOrder
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ConfirmationMissing, LimitExceeded, LockHeld, NotFound, OutcomeUnknown, ReplicatorError
from replicator.log import get_logger
from replicator.model.names import ClusterName, FlowName, OperationId

BUDGET_SECONDS = 120.0
RUNNING_MAX = 8
KEPT_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for, by whom. `restore` is what the act of that name brings back."""

    operation_id: OperationId
    flow: FlowName
    actor: str
    reason: str | None = None
    accept: tuple[str, ...] = ()
    restore: RestoreOrder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One thing that may be asked for. `run` returns how it ended, in one line, or raises.

    A severe act needs the flow's typed name. `run` journals under the order's operation id if it journals.
    """

    name: str
    run: Callable[[Order, Deadline], str]
    is_severe: bool = False
    budget_seconds: float = BUDGET_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How one order stands."""

    order: Order
    act: str
    source: ClusterName | None
    target: ClusterName | None
    state: str
    began_at: datetime
    ended_at: datetime | None = None
    told: str | None = None
    hint: str | None = None


class Acting:
    """The acts this supervisor offers, and those that were begun here. Safe between threads."""

    def __init__(
        self,
        acts: Mapping[str, Act],
        *,
        make_id: Callable[[str, datetime], OperationId],
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self._acts = acts
        self._make_id = make_id
        self._clock = clock
        self._lock = threading.Lock()
        self._records: OrderedDict[OperationId, Record] = OrderedDict()
        self._keys: OrderedDict[tuple[str, str], OperationId] = OrderedDict()
        self._log = get_logger(room="api")

    @property
    def names(self) -> tuple[str, ...]:
        """What can be asked for."""
        return tuple(self._acts)

    def require(self, name: str, *, flow: str, confirm: str | None) -> Act:
        """Return the act.

        Raises:
            NotFound: this supervisor does not offer it.
            ConfirmationMissing: it is severe, and the flow's name was not typed.
        """
        act = self._acts.get(name)
        if act is None:
            offered = ", ".join(self._acts) or "none"
            raise NotFound(f"this supervisor does not offer the act {name[:40]!r}", hint=f"it offers: {offered}")
        if act.is_severe and confirm != flow:
            raise ConfirmationMissing(
                f"{name} of {flow}: needs the flow's typed name; nothing was changed", hint=f'send "confirm": "{flow}"'
            )
        return act

    def begin(
        self,
        act: Act,
        *,
        flow: FlowName,
        clusters: tuple[ClusterName, ClusterName],
        actor: str,
        reason: str | None = None,
        accept: tuple[str, ...] = (),
        restore: RestoreOrder | None = None,
        key: str | None = None,
    ) -> OperationView:
        """Return the operation that was begun, or the one that this caller's `key` began before.

        Raises:
            LockHeld: another act on this flow still runs. LimitExceeded: too many acts run.
        """
        with self._lock:
            known = self._keys.get((actor, key)) if key else None
            if known is not None and known in self._records:
                return to_operation(self._records[known])
            self._refuse_crowd(flow)
            now = self._clock.now()
            id_ = self._make_id(act.name, now)
            order = Order(operation_id=id_, flow=flow, actor=actor, reason=reason, accept=accept, restore=restore)
            record = Record(
                order=order,
                act=act.name,
                source=clusters[0],
                target=clusters[1],
                state="running",
                began_at=now,
            )
            self._keep(record, key=key)
        thread = threading.Thread(target=self._run, args=(act, record), name=f"act:{order.operation_id}", daemon=True)
        thread.start()
        return to_operation(record)

    def _refuse_crowd(self, flow: FlowName) -> None:
        running = [record for record in self._records.values() if record.state == "running"]
        for record in running:
            if record.order.flow == flow:
                raise LockHeld(
                    f"{record.act} of {flow} still runs",
                    operation_id=record.order.operation_id,
                    hint="wait for its end",
                )
        if len(running) >= RUNNING_MAX:
            raise LimitExceeded(f"{len(running)} acts run already", hint="wait for one to end")

    def _keep(self, record: Record, *, key: str | None) -> None:
        self._records[record.order.operation_id] = record
        if key:
            self._keys[(record.order.actor, key)] = record.order.operation_id
        ended = [id_ for id_, known in self._records.items() if known.state != "running"]
        for id_ in ended[: max(0, len(self._records) - KEPT_MAX)]:
            del self._records[id_]
        while len(self._keys) > KEPT_MAX:
            self._keys.popitem(last=False)

    def _run(self, act: Act, record: Record) -> None:
        order = record.order
        bound = self._log.bind(act=act.name, flow=order.flow, operation_id=order.operation_id, actor=order.actor)
        bound.warning("act_began", reason=order.reason)
        try:
            told = act.run(order, Deadline.after(act.budget_seconds, clock=self._clock))
        except OutcomeUnknown as error:
            ended = self._ended(record, state="unknown", told=str(error), hint=error.hint)
        except ReplicatorError as error:
            ended = self._ended(record, state="failed", told=f"{error.code}: {error}", hint=error.hint)
        except Exception as error:  # noqa: BLE001 - the edge of the thread: whatever goes wrong is the act's outcome
            bound.exception("act_crashed")
            ended = self._ended(record, state="failed", told=f"unexpected {type(error).__name__}", hint=None)
        else:
            ended = self._ended(record, state="done", told=told, hint=None)
        bound.warning("act_ended", state=ended.state, told=ended.told)

    def _ended(self, record: Record, *, state: str, told: str, hint: str | None) -> Record:
        ended = replace(record, state=state, ended_at=self._clock.now(), told=told, hint=hint)
        with self._lock:
            self._records[record.order.operation_id] = ended
        return ended

    def operations(self) -> tuple[OperationView, ...]:
        """Return what was begun here, oldest first."""
        with self._lock:
            return tuple(map(to_operation, self._records.values()))


def to_operation(record: Record) -> OperationView:
    """Return an act as an operation of one step."""
    order = record.order
    step = StepView(
        name=record.act,
        state=record.state,
        started_at=record.began_at,
        ended_at=record.ended_at,
        finding=record.told,
    )
    return OperationView(
        id=order.operation_id,
        flow=order.flow,
        kind=record.act,
        source=record.source,
        target=record.target,
        state=record.state,
        actor=order.actor,
        started_at=record.began_at,
        ended_at=record.ended_at,
        step=record.act,
        reason=record.told,
        hint=record.hint,
        steps=(step,),
    )
