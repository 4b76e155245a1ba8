"""One tree of errors. Each class has a stable code, an exit status and a retry class;
each instance says what, which object and why, and its hint names the next command.

    ReplicatorError
    ├── UsageError                2   the command line asks for something that cannot be meant
    ├── ConfigInvalid            14   the configuration cannot be used (file:line:column)
    ├── NotFound                 10   flow, group, snapshot, repository or operation
    ├── ConfirmationMissing       6   a severe act without its typed name
    ├── LockHeld                 11   another operation runs; carries its id
    ├── AccessDenied             12   authentication or authorisation
    ├── Unreachable              13   an endpoint did not answer
    │   └── DeadlineExceeded     13   it answered too late
    ├── PreflightBlocked          4   a check says no; nothing was changed
    │   └── WrongCluster          4   the cluster is not the one the configuration names
    ├── LimitExceeded             5   --max-loss, an objective or a quota
    ├── OperationFailed           1   failed; nothing changed, or rolled back
    ├── OperationHalted           9   halted midway; `op resume` or `op abort`
    ├── OutcomeUnknown            8   contact lost; see `op show`
    ├── OperationStillRuns        7   --timeout hit, the operation goes on
    ├── PartlyDone                3   done with exceptions, listed
    ├── Fenced                    9   a newer holder of the lease has taken over
    ├── DataCorrupt               1   bytes do not match their checksum or format
    └── LabFailed                 1   an embedded process did not start or died
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Retry(StrEnum):
    """When the same call may succeed: at once, after a pause, or never without a change."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"


class ReplicatorError(Exception):
    """The root. `message` is one line: what, which object, why. `hint` names the next command."""

    code: ClassVar[str] = "replicator.error"
    exit_status: ClassVar[int] = 1
    retry: ClassVar[Retry] = Retry.NEVER

    def __init__(
        self, message: str, *, detail: str | None = None, hint: str | None = None, operation_id: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        self.hint = hint
        self.operation_id = operation_id

    def __str__(self) -> str:
        return self.message


class UsageError(ReplicatorError):
    """The command line asks for something that cannot be meant."""

    code = "usage"
    exit_status = 2


class ConfigInvalid(ReplicatorError):
    """The configuration cannot be used; the message starts with file:line:column."""

    code = "config.invalid"
    exit_status = 14


class NotFound(ReplicatorError):
    """A named flow, group, snapshot, repository or operation does not exist."""

    code = "not_found"
    exit_status = 10


class ConfirmationMissing(ReplicatorError):
    """A severe act came without its typed name; nothing was changed."""

    code = "confirmation.missing"
    exit_status = 6


class LockHeld(ReplicatorError):
    """Another operation runs and holds the lease; `operation_id` says which."""

    code = "lease.held"
    exit_status = 11
    retry = Retry.LATER


class AccessDenied(ReplicatorError):
    """A cluster, Connect, a store or the API refused our credentials or a right."""

    code = "access.denied"
    exit_status = 12


class Unreachable(ReplicatorError):
    """An endpoint did not answer; the message names it."""

    code = "endpoint.unreachable"
    exit_status = 13
    retry = Retry.LATER


class DeadlineExceeded(Unreachable):
    """An endpoint answered too late, or a wait ran out of its budget."""

    code = "deadline.exceeded"


class PreflightBlocked(ReplicatorError):
    """A check said no before anything was changed."""

    code = "preflight.blocked"
    exit_status = 4


class WrongCluster(PreflightBlocked):
    """The cluster that answered is not the one the configuration names."""

    code = "cluster.wrong"


class LimitExceeded(ReplicatorError):
    """A limit the operator set would be passed (--max-loss, an objective, a quota)."""

    code = "limit.exceeded"
    exit_status = 5


class OperationFailed(ReplicatorError):
    """The operation failed; nothing changed, or it was rolled back."""

    code = "operation.failed"


class OperationHalted(ReplicatorError):
    """The operation halted midway; the journal knows where."""

    code = "operation.halted"
    exit_status = 9


class OutcomeUnknown(ReplicatorError):
    """Contact was lost while acting; whether the act happened is not known."""

    code = "outcome.unknown"
    exit_status = 8
    retry = Retry.LATER


class OperationStillRuns(ReplicatorError):
    """--timeout was hit; the operation goes on."""

    code = "operation.running"
    exit_status = 7


class PartlyDone(ReplicatorError):
    """Done with exceptions; the exceptions are listed in the detail."""

    code = "partly.done"
    exit_status = 3


class Fenced(ReplicatorError):
    """A newer holder of the lease has taken over; this process may not act any more."""

    code = "lease.fenced"
    exit_status = 9


class DataCorrupt(ReplicatorError):
    """Bytes do not match their checksum or their format; nothing was produced from them."""

    code = "data.corrupt"


class LabFailed(ReplicatorError):
    """An embedded process did not start, or died; the message carries the end of its log."""

    code = "lab.failed"
