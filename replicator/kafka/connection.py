"""One cluster's connection: client properties, the admin client, identity, reachability."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import AbstractContextManager, closing
from typing import Any, TypeVar, cast

from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient

from replicator.clock import Deadline
from replicator.errors import Unreachable, WrongCluster
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


class Connection:
    """Holds the admin client of one cluster and remembers the last refusal it was told of."""

    def __init__(self, access: ClusterAccess) -> None:
        self.access = access
        self.last_denial: KafkaError | None = None
        self._admin: AdminClient | None = None
        self._lock = threading.Lock()
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
            with translated(self.access, doing, last_denial=self.last_denial):
                raise
            raise AssertionError from exc  # translated() always raises

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
            answer = self.admin.list_topics(timeout=request_seconds(deadline))
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
        """Let go of the admin client."""
        with self._lock:
            self._admin = None


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
