"""librdkafka's errors become ours at this door, with cluster and act in the message."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from replicator.errors import (
    AccessDenied,
    DeadlineExceeded,
    Fenced,
    NotFound,
    OperationFailed,
    ReplicatorError,
    Unreachable,
)
from replicator.model.cluster import ClusterAccess

_LATE = frozenset({KafkaError._TIMED_OUT, KafkaError._TIMED_OUT_QUEUE, KafkaError.REQUEST_TIMED_OUT})
_AWAY = frozenset(
    {
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
    }
)
_DENIED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError._SSL,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
_MOVING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
    }
)
_MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION})


def is_denial(error: KafkaError) -> bool:
    """Whether the error is about who we are or what we may do."""
    return error.code() in _DENIED


def to_error(error: KafkaError, *, access: ClusterAccess, doing: str) -> ReplicatorError:
    """Return our error for a librdkafka error met on a cluster while `doing` something."""
    code = error.code()
    what = f"cluster {access.name} ({access.bootstrap}): {doing}: {error.str()}"
    hint = f"replicator doctor --cluster {access.name}"
    if code in _DENIED:
        return AccessDenied(what, hint=hint)
    if code in _FENCED:
        return Fenced(what, hint="a newer process holds the lease; see `replicator op list`")
    if code in _MISSING:
        return NotFound(what)
    if code in _LATE:
        return DeadlineExceeded(what, hint=hint)
    if code in _AWAY:
        return Unreachable(what, hint=hint)
    return OperationFailed(what)


def is_between_leaders(exc: ReplicatorError) -> bool:
    """Whether a partition's leadership was just moving: the same question may be answered in a moment."""
    error = kafka_error_of(exc.__cause__) if exc.__cause__ else None
    return error is not None and error.code() in _MOVING


def kafka_error_of(exc: BaseException) -> KafkaError | None:
    """Return the KafkaError inside an exception, if there is one."""
    for arg in getattr(exc, "args", ()):
        if isinstance(arg, KafkaError):
            return arg
    return None


@contextmanager
def translated(access: ClusterAccess, doing: str, *, last_denial: KafkaError | None = None) -> Iterator[None]:
    """Raise only our errors from the block.

    librdkafka reports a refused log-in beside the request and lets the request time out: when one
    was seen, the timeout is told as AccessDenied.
    """
    try:
        yield
    except (KafkaException, BufferError) as exc:
        raise _told(exc, access=access, doing=doing, last_denial=last_denial) from exc
    except (FutureTimeoutError, TimeoutError) as exc:
        late = KafkaError(KafkaError._TIMED_OUT, "no answer in time")
        raise to_error(last_denial or late, access=access, doing=doing) from exc


def _told(exc: BaseException, *, access: ClusterAccess, doing: str, last_denial: KafkaError | None) -> ReplicatorError:
    error = kafka_error_of(exc)
    if error is None:
        return OperationFailed(f"cluster {access.name}: {doing}: {exc}")
    is_silent = error.code() in _LATE or error.code() in _AWAY
    return to_error(last_denial if last_denial and is_silent else error, access=access, doing=doing)
