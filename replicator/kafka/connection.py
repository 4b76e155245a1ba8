"""One cluster's connection: client properties, the admin client, identity, reachability."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, closing
from typing import Any, TypeVar, cast

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from replicator.clock import Deadline
from replicator.errors import DeadlineExceeded, Unreachable, WrongCluster
from replicator.kafka.translate import is_denial, translated
from replicator.model.cluster import Broker, ClusterAccess, ClusterDescription, Security
from replicator.model.observations import Reachability

T = TypeVar("T")

_SILENT_LOG = logging.getLogger("replicator.kafka.librdkafka")
_SILENT_LOG.addHandler(logging.NullHandler())
_SILENT_LOG.propagate = False

REQUEST_SECONDS_MAX = 30.0
"""No single request waits longer, whatever is left of the deadline."""
REFUSED_SECONDS = 2.0
"""A cluster that nobody has reached yet, and that refuses for so long at every address, is not waited for."""
KEEP_ALIVE = (("TCP_KEEPIDLE", 1), ("TCP_KEEPALIVE", 1), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3))
"""A machine that is gone, or has come back without us, is noticed within seconds though nothing is sent; the first two
names are one setting, on Linux and on macOS."""
TRY_SECONDS = 10.0
"""A broker that lives answers a question within this; later it is asked again, through a client of its own."""
RENEW_SECONDS = TRY_SECONDS
"""An admin client that left a question unanswered is replaced, no more often than this."""
LATE_SECONDS = 60.0
"""How long after us librdkafka gives a request up; the time-out of its sockets comes long before."""


def security_properties(security: Security) -> dict[str, Any]:
    """Return librdkafka's properties for a way of proving oneself."""
    found: dict[str, Any] = {
        "security.protocol": security.protocol.value,
        "sasl.mechanism": security.mechanism,
        "sasl.username": security.username,
        "sasl.password": security.password.value if security.password else None,
        "ssl.ca.location": security.ca_file,
        "ssl.certificate.location": security.certificate_file,
        "ssl.key.location": security.key_file,
        "ssl.key.password": security.key_password.value if security.key_password else None,
    }
    return {key: value for key, value in found.items() if value is not None}


LOOK_SECONDS = 0.2
"""How long a Ctrl-C may go unnoticed."""


def interruptible(call: Callable[[], T]) -> T:
    """Return what a blocking call of librdkafka returns; in the main thread Ctrl-C ends the wait for it at once.

    A call that waits in C lets no signal handler run before it returns: it goes to a thread of its own, which nobody
    waits for any more once interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001 - handed to who waits
            answer.set_exception(error)

    threading.Thread(target=run, name="kafka-call", daemon=True).start()
    while not wait([answer], timeout=LOOK_SECONDS).done:
        pass  # a signal that comes just before a wait begins is seen only when that wait is over
    return answer.result()


class Connection:
    """Holds the admin client of one cluster and remembers the last refusal it was told of."""

    def __init__(self, access: ClusterAccess) -> None:
        self.access = access
        self.last_denial: KafkaError | None = None
        self._admin: AdminClient | None = None
        self._lock = threading.Lock()
        self._retired: list[tuple[float, AdminClient]] = []
        self._has_answered = False

    def properties(self, **extra: Any) -> dict[str, Any]:
        """Return client properties with `extra` (underscores become dots) on top."""
        base = {
            "bootstrap.servers": self.access.bootstrap,
            "client.id": "replicator",
            "socket.timeout.ms": int(REQUEST_SECONDS_MAX * 1000),
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 2000,
            "error_cb": self._note_error,
            "logger": _SILENT_LOG,
            **security_properties(self.access.security),
        }
        return base | {key.replace("_", "."): value for key, value in extra.items()}

    def _note_error(self, error: KafkaError) -> None:
        if is_denial(error):
            self.last_denial = error

    @property
    def admin(self) -> AdminClient:
        """The admin client, made at first use."""
        with self._lock:
            if self._admin is None:
                self._admin = AdminClient(self.properties())
            return self._admin

    def translated(self, doing: str) -> AbstractContextManager[None]:
        """Raise only our errors from the block, naming this cluster and what was being done."""
        return translated(self.access, doing, last_denial=self.last_denial)

    def wait(self, future: Future[T], *, doing: str, deadline: Deadline) -> T:
        """Return the future's result within the deadline, or raise one of our errors."""
        try:
            return future.result(timeout=max(0.05, deadline.left) + 0.5)
        except Exception as exc:
            self.admin.poll(0)  # refused log-ins are told beside the request, to whoever polls
            if isinstance(exc, TimeoutError):
                self._retire(now=deadline.clock.monotonic())
            with translated(self.access, doing, last_denial=self.last_denial):
                raise
            raise AssertionError from exc  # translated() always raises

    def ask_in_tries(self, ask: Callable[[Deadline], T], deadline: Deadline) -> T:
        """Return the answer; one that does not come is asked for again, and `ask` may be repeated.

        What was sent to a broker that then froze or died is answered by nobody, while the cluster has long had another
        in its place.

        Raises: what `ask` raises; DeadlineExceeded where no try was answered.
        """
        while True:
            try:
                return ask(first_try(deadline))
            except DeadlineExceeded:
                if deadline.left < TRY_SECONDS / 2:
                    raise

    def _retire(self, *, now: float) -> None:
        """Let the next question go through an admin client of its own.

        After a broker was frozen for a minute librdkafka 2.16 may never again reach a group's coordinator, while it
        answers everything else and another client reaches it at once. The old client is kept until nothing that was
        asked through it can be answered any more: until then its end could end the process.
        """
        with self._lock:
            if self._retired and now - self._retired[-1][0] < RENEW_SECONDS:
                return
            if self._admin is not None:
                self._retired.append((now, self._admin))
                self._admin = None
            old_age = now - REQUEST_SECONDS_MAX - LATE_SECONDS - RENEW_SECONDS
            gone = [one for one in self._retired if one[0] < old_age]
            self._retired = [one for one in self._retired if one[0] >= old_age]
        del gone  # outside the lock: a client takes its time to end

    def describe(self, deadline: Deadline) -> ClusterDescription:
        """Return the cluster's id and brokers as it names them.

        Plain metadata is asked for, never DescribeCluster: librdkafka 2.16 ends the whole process (an assertion
        in rd_kafka_admin_response_parse) when the answer to that names no broker, which is what a KRaft broker
        says that has just come back and is still fenced by its controller.

        Raises:
            Unreachable: nobody answers, or no broker is registered yet.
        """
        doing = "describe the cluster"
        if not self._has_answered:
            self._require_listening(deadline)
        try:
            answer = interruptible(lambda: self.admin.list_topics(timeout=request_seconds(deadline)))
        except Exception:
            self.admin.poll(0)  # refused log-ins are told beside the request, to whoever polls
            with self.translated(doing):
                raise
        cluster_id = cast("str | None", answer.cluster_id)  # the stubs know the class's default alone
        if not answer.brokers or cluster_id is None:
            raise Unreachable(f"cluster {self.access.name} ({self.access.bootstrap}): no broker is registered yet")
        self._has_answered = True
        brokers = tuple(Broker(node.id, str(node.host), node.port) for node in answer.brokers.values())
        return ClusterDescription(cluster_id=cluster_id, brokers=brokers)

    def _require_listening(self, deadline: Deadline) -> None:
        """Return once some address takes connections, or none says clearly that it does not.

        librdkafka would try until the deadline. Who has been reached before is left to it: it knows more
        addresses than the configuration names.

        Raises:
            Unreachable: every address has refused for REFUSED_SECONDS.
        """
        refused = Deadline.after(min(REFUSED_SECONDS, deadline.left), clock=deadline.clock)
        while probe_listeners(map(str.strip, self.access.bootstrap.split(","))) is Reachability.REFUSED:
            if refused.is_over:
                raise Unreachable(
                    f"cluster {self.access.name} ({self.access.bootstrap}): refuses connections: no broker runs there",
                    hint=f"replicator doctor --cluster {self.access.name}",
                )
            deadline.clock.sleep(REFUSED_SECONDS / 10)

    def verify_identity(self, deadline: Deadline) -> ClusterDescription:
        """Return the description, sure that this is the cluster the configuration names.

        Raises:
            WrongCluster: another cluster answers at these addresses.
        """
        found = self.describe(deadline)
        wanted = self.access.cluster_id
        if wanted is not None and found.cluster_id != wanted:
            raise WrongCluster(
                f"cluster {self.access.name}: {self.access.bootstrap} answers as {found.cluster_id}, not {wanted}",
                hint=f"correct clusters.{self.access.name}.cluster_id or .bootstrap, then `replicator config validate`",
            )
        return found

    def close(self) -> None:
        """Let go of the admin client, and of those before it."""
        with self._lock:
            self._admin = None
            self._retired = []


def first_try(deadline: Deadline) -> Deadline:
    """Return by when a broker that lives has answered what is asked now: a third of what is left, TRY_SECONDS at least,
    and never more than is left."""
    return Deadline.after(deadline.capped(max(TRY_SECONDS, deadline.left / 3)), clock=deadline.clock)


def patient_seconds(deadline: Deadline) -> float:
    """Return the request timeout for what `Connection.wait` waits for: long after we have stopped waiting.

    A request of several threads that times out inside librdkafka 2.16 while its answer comes in ends the whole
    process (assertion `eonce->refcnt > 0` in rd_kafka_enq_once_del_source_return) or spoils its memory. So the
    deadline is kept on our side, and what is answered too late is dropped.
    """
    return request_seconds(deadline) + LATE_SECONDS


def request_seconds(deadline: Deadline) -> float:
    """Return the request timeout to hand to librdkafka: positive, capped, within the deadline."""
    return max(0.05, deadline.capped(REQUEST_SECONDS_MAX))


def probe_listeners(addresses: Iterable[str], *, timeout_seconds: float = 1.0) -> Reachability:
    """Say how the addresses (`host:port`) answer a plain TCP connection.

    REACHABLE as soon as one accepts; REFUSED only when every one of them actively refuses, which
    means that no client can write through them; SILENT otherwise, or when there is no address.
    """
    answers = {_probe(address, timeout_seconds=timeout_seconds) for address in addresses}
    if Reachability.REACHABLE in answers:
        return Reachability.REACHABLE
    return Reachability.REFUSED if answers == {Reachability.REFUSED} else Reachability.SILENT


def _probe(address: str, *, timeout_seconds: float) -> Reachability:
    host, _, port = address.rpartition(":")
    try:
        with closing(socket.create_connection((host.strip("[]"), int(port)), timeout=timeout_seconds)):
            return Reachability.REACHABLE
    except ConnectionRefusedError:
        return Reachability.REFUSED
    except (OSError, ValueError):
        return Reachability.SILENT


class HeldListeners:
    """Asks listeners again and again over one connection to each, which is kept. One thread at a time.

    A frozen broker takes connections until its queue of them is full (50 with Kafka's own setting): whoever connects
    anew at every look fills it within seconds, and then nobody gets in, for up to half a minute after it is back.
    """

    def __init__(self) -> None:
        self._held: dict[str, socket.socket] = {}

    def ask(self, addresses: Iterable[str], timeout_seconds: float) -> Reachability:
        """Say how the addresses (`host:port`) answer, as `probe_listeners` does, with no second connection to any."""
        wanted = tuple(dict.fromkeys(addresses))
        for address in [one for one in self._held if one not in wanted]:
            self._held.pop(address).close()
        answers = {self._ask_one(address, timeout_seconds) for address in wanted}
        if Reachability.REACHABLE in answers:
            return Reachability.REACHABLE
        return Reachability.REFUSED if answers == {Reachability.REFUSED} else Reachability.SILENT

    def close(self) -> None:
        """Let every connection go."""
        while self._held:
            self._held.popitem()[1].close()

    def _ask_one(self, address: str, timeout_seconds: float) -> Reachability:
        held = self._held.pop(address, None)
        if held is not None and _is_open(held):
            self._held[address] = held
            return Reachability.REACHABLE
        if held is not None:
            held.close()
        host, _, port = address.rpartition(":")
        try:
            self._held[address] = _connect(host.strip("[]"), int(port), timeout_seconds)
        except ConnectionRefusedError:
            return Reachability.REFUSED
        except (OSError, ValueError):
            return Reachability.SILENT
        return Reachability.REACHABLE


def _connect(host: str, port: int, timeout_seconds: float) -> socket.socket:
    made = socket.create_connection((host, port), timeout=timeout_seconds)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE:
        with contextlib.suppress(AttributeError, OSError):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    made.setblocking(False)
    return made


def _is_open(held: socket.socket) -> bool:
    """Whether the other side has neither closed nor reset it; a broker says nothing before it is asked."""
    try:
        return held.recv(1) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
