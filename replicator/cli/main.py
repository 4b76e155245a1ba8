"""The command `replicator`: a table of verbs, each loaded when it is called, so that help stays fast."""

from __future__ import annotations

import importlib
import io
import os
import resource
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from types import FrameType, MappingProxyType
from typing import Any, NamedTuple, NoReturn, TextIO

import click

from replicator.cli import exits
from replicator.cli.context import App, global_options, take_global_options
from replicator.cli.output import OutputFormat
from replicator.errors import ReplicatorError


class Verb(NamedTuple):
    """Where a verb's click command lives (`module:attribute`) and the line that help shows for it."""

    place: str
    help: str

    @property
    def module(self) -> str:
        """The module to import."""
        return self.place.partition(":")[0]

    @property
    def attribute(self) -> str:
        """The command in that module."""
        return self.place.partition(":")[2]


VERBS: Mapping[str, Verb] = MappingProxyType(
    {
        "status": Verb(
            "replicator.cli.supervision.status:status", "Health, readiness and lag of all flows on one screen."
        ),
        "lag": Verb("replicator.cli.supervision.lag:lag", "How far the standby is behind, in records and in seconds."),
        "plan": Verb("replicator.cli.flows.plan:plan", "What `apply` would change; changes nothing."),
        "apply": Verb("replicator.cli.flows.plan:apply", "Make flows what the configuration says."),
        "flow": Verb("replicator.cli.flows.flow:flow", "List, show, pause, resume, stop and restart flows."),
        "worker": Verb("replicator.cli.worker:worker", "Connect workers of ours: start, stop, replace."),
        "group": Verb(
            "replicator.cli.groups.group:group", "Consumer groups: translate, sync and compare their offsets."
        ),
        "failover": Verb("replicator.cli.operations.failover:failover", "Emergency move: the source is lost."),
        "switchover": Verb(
            "replicator.cli.operations.switchover:switchover", "Planned move without loss: both sides alive."
        ),
        "failback": Verb("replicator.cli.operations.failback:failback", "Bring the difference home and move back."),
        "drill": Verb(
            "replicator.cli.operations.drill:drill", "Rehearse a failover on cloned groups; no client notices."
        ),
        "forecast": Verb("replicator.cli.operations.forecast:forecast", "What a failover would cost right now."),
        "doctor": Verb("replicator.cli.doctor:doctor", "Check configuration, clusters, rights and flows."),
        "op": Verb("replicator.cli.operations.op:op", "Operations in the journal: list, show, resume, abort."),
        "snapshot": Verb("replicator.cli.snapshots.snapshot:snapshot", "Take, list, verify and restore snapshots."),
        "repo": Verb("replicator.cli.snapshots.repo:repo", "The object-storage repository snapshots live in."),
        "schedule": Verb(
            "replicator.cli.snapshots.schedule:schedule", "Snapshot and drill schedules, next and missed runs."
        ),
        "acl": Verb("replicator.cli.acl:acl", "Rights that we and MirrorMaker 2 need on each cluster."),
        "events": Verb("replicator.cli.supervision.events:events", "What happened, as it happens."),
        "audit": Verb("replicator.cli.operations.audit:audit", "The audit trail: export and prove it."),
        "run": Verb("replicator.cli.supervision.run:run", "Start the supervisor."),
        "tui": Verb("replicator.cli.supervision.tui:tui", "Open the dashboard."),
        "lab": Verb("replicator.cli.lab:lab", "Two embedded Kafka clusters to try things on."),
        "demo": Verb("replicator.cli.demo:demo", "The whole story on embedded clusters: stream, outage, failover."),
        "config": Verb("replicator.cli.config:config", "Validate, show and describe the configuration."),
        "completion": Verb("replicator.cli.version:completion", "Print the completion script of a shell."),
        "version": Verb("replicator.cli.version:version", "Versions of replicator and of its formats."),
    }
)


class _PastClick(Exception):
    """Carries an error past click, which ends the process silently on a broken pipe, whosever pipe it was."""


class LazyGroup(click.Group):
    """A group that imports a verb's module only to run it, and shows help without importing any."""

    verbs = VERBS

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the verbs whose module this installation holds, in the table's order."""
        return [name for name, verb in self.verbs.items() if find_spec(verb.module) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Return the verb's command, imported now; None for an unknown verb."""
        verb = self.verbs.get(cmd_name)
        return None if verb is None else take_global_options(load_command(cmd_name, verb))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command `args` begin with; an unknown verb is refused with its nearest neighbours."""
        if args[0] not in self.verbs and not args[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(args[0], possibilities=self.list_commands(ctx), ctx=ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb; what click would take for a closed terminal is carried past it and judged by `run`."""
        try:
            return super().invoke(ctx)
        except (EOFError, BrokenPipeError) as error:
            raise _PastClick from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of verbs, from the table alone."""
        if rows := [(name, self.verbs[name].help) for name in self.list_commands(ctx)]:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def load_command(name: str, verb: Verb) -> click.Command:
    """Return the click command of a verb.

    Raises:
        ReplicatorError: this installation does not hold it.
    """
    if find_spec(verb.module) is None:
        raise ReplicatorError(
            f"`replicator {name}` is not part of this version", hint="`replicator --help` lists what is"
        )
    command = getattr(importlib.import_module(verb.module), verb.attribute, None)
    if not isinstance(command, click.Command):
        raise ReplicatorError(
            f"`replicator {name}` is not part of this version", hint="`replicator --help` lists what is"
        )
    return command


@click.group(
    cls=LazyGroup,
    params=[*global_options(is_hidden=False)],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    no_args_is_help=True,
    epilog="Options above may also stand after the command. Exit codes: docs/exit-codes.md.",
)
@click.pass_context
def cli(context: click.Context) -> None:
    """Keeps a standby Kafka cluster ready to take over, and proves it."""
    context.ensure_object(App).configure_log()


class Terminated(BaseException):
    """SIGTERM arrived; like Ctrl-C it unwinds the stack, so that what we started is stopped."""


def run(argv: Sequence[str], *, app: App | None = None) -> int:
    """Run one command line and return its exit status; whatever goes wrong is told on stderr, once."""
    app = app or App()
    try:
        answer = cli.main(args=list(argv), prog_name="replicator", standalone_mode=False, obj=app)
        sys.stdout.flush()
    except (_PastClick, BrokenPipeError) as error:
        if _is_stdout_closed():
            return exits.EXIT_OUTPUT_CLOSED
        return _tell_error(app, error.__cause__ or error, is_json=wants_json(argv))
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _tell_interrupted(app, "interrupted", exits.EXIT_INTERRUPTED)
    except Terminated:
        return _tell_interrupted(app, "terminated", exits.EXIT_TERMINATED)
    except Exception as error:  # noqa: BLE001 - the edge of the process: everything becomes a line and a status
        return _tell_error(app, error, is_json=wants_json(argv))
    return answer if isinstance(answer, int) else 0


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for JSON, readable even when it cannot be parsed."""
    words = ("json", "jsonl")
    pairs = pairwise(argv)
    joined = {f"{flag}{word}" for flag in ("-o", "--output=") for word in words}
    return any(flag in ("-o", "--output") and word in words for flag, word in pairs) or not joined.isdisjoint(argv)


def _tell_error(app: App, error: BaseException, *, is_json: bool) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        print(error.format_message(), file=sys.stderr)
        return error.exit_code
    if app.verbosity:
        _print_traceback(error)
    translated = _translate(error)
    exits.render_error(translated, is_json=is_json or app.output.format is OutputFormat.JSON)
    return translated.exit_status


def _translate(error: BaseException) -> ReplicatorError:
    match error:
        case ReplicatorError():
            return error
        case click.ClickException():
            return exits.from_click(error)
        case ModuleNotFoundError():
            return exits.from_missing_module(error)
        case _:
            return exits.from_unexpected(error)


def _print_traceback(error: BaseException) -> None:
    import traceback

    from replicator.model.forms.text import safe_lines

    text = "".join(traceback.format_exception(error))
    print(safe_lines(text), file=sys.stderr)


def _tell_interrupted(app: App, how: str, status: int) -> int:
    print(f"error: {how}", file=sys.stderr)
    if app.hint_if_interrupted:
        print(f"hint: {app.hint_if_interrupted}", file=sys.stderr)
    return status


def _is_stdout_closed() -> bool:
    """Whether nobody reads stdout any more; then it points at nothing, so that the last flush cannot fail again."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        is_closed = True
    else:
        # What failed may have been flushed away with the error: then nothing is left to fail, and the pipe is asked.
        is_closed = _is_without_reader(sys.stdout)
    if is_closed:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return is_closed


def _is_without_reader(stream: TextIO) -> bool:
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return False  # It is no pipe: it lives in this process.
    poll = select.poll()
    poll.register(number, select.POLLOUT)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def _raise_terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise Terminated


def main() -> NoReturn:
    """Run this process's command line and exit with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # A core dump would hold every secret that was fetched.
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    signal.signal(signal.SIGTERM, _raise_terminated)
    sys.exit(run(sys.argv[1:]))
