"""What every verb receives: the global options, the settings (loaded when first asked for), and the ways to
ask and to tell. The global options are taken before and after the verb alike."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replicator.cli.output import Output, OutputFormat
from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import ConfirmationMissing
from replicator.model.forms.text import safe_text

if TYPE_CHECKING:
    from rich.console import Console

    from replicator.settings import Settings

DEADLINE_SECONDS = 30.0
PATIENCE_SECONDS = 4.0
"""Nobody should look at a silent terminal for longer."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?", re.ASCII)
_UNIT_SECONDS = {"ms": 0.001, None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class Seconds(click.ParamType[float]):
    """A duration: a number of seconds, or a number with ms, s, m or h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the duration in seconds; it is above 0."""
        if isinstance(value, int | float):
            return float(value)
        found = _DURATION.fullmatch(str(value))
        seconds = float(found[1]) * _UNIT_SECONDS[found[2]] if found else 0.0
        if seconds <= 0:
            self.fail(f"{value!r} is no duration: give seconds, or a number with ms, s, m or h", param, ctx)
        return seconds


class App:
    """The state of one command line: what was asked for globally, and the settings once they are needed."""

    def __init__(self, *, environ: Mapping[str, str] | None = None, clock: Clock = SYSTEM_CLOCK) -> None:
        self.environ: Mapping[str, str] = os.environ if environ is None else environ
        self.clock = clock
        self.config: Path | None = None
        self.output = Output()
        self.is_quiet = False
        self.verbosity = 0
        self.is_input_allowed = True
        self.timeout_seconds: float | None = None
        self.is_standalone = False
        self.api_url: str | None = None
        self.api_token: str | None = None
        self.api_ca_file: Path | None = None
        self.operation_id: str | None = None
        self.hint_if_interrupted: str | None = None

    def configure_log(self) -> None:
        """Send logs to stderr: warnings; errors alone with `-q`, more with `-v` and `-vv`.

        Plain lines, as all that a command says there: JSON is for the supervisor, where nobody looks on.
        """
        from replicator import log

        chosen = ("warning", "info", "debug")[min(self.verbosity, 2)]
        log.configure(is_json=False, level="error" if self.is_quiet else chosen)

    @cached_property
    def settings(self) -> Settings:
        """The configuration, found and loaded now.

        Raises:
            ConfigInvalid: it cannot be used. NotFound: there is none.
        """
        from replicator.settings import load_settings

        return load_settings(self.config, self.environ)

    @property
    def deadline_seconds(self) -> float:
        """The budget of this command in seconds: `--timeout`, else 30."""
        return self.timeout_seconds or DEADLINE_SECONDS

    def deadline(self, default_seconds: float = DEADLINE_SECONDS) -> Deadline:
        """Start this command's budget now: `--timeout` if given, else `default_seconds`."""
        return Deadline.after(self.timeout_seconds or default_seconds, clock=self.clock)

    @property
    def may_ask(self) -> bool:
        """Whether a human can answer: input is allowed and both stdin and stderr are terminals."""
        return self.is_input_allowed and sys.stdin.isatty() and sys.stderr.isatty()

    def tell(self, text: str) -> None:
        """Print one line of progress to stderr, unless `-q`."""
        if not self.is_quiet:
            print(safe_text(text), file=sys.stderr)

    @contextmanager
    def waiting_for(self, what: str) -> Iterator[None]:
        """Tell on stderr what is waited for, should the block take longer than PATIENCE_SECONDS."""
        timer = threading.Timer(PATIENCE_SECONDS, lambda: self.tell(f"still waiting for {what}"))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def warn(self, text: str) -> None:
        """Print one `warning:` line to stderr."""
        print(f"warning: {safe_text(text)}", file=sys.stderr)

    def announce_operation(self, operation_id: str) -> None:
        """Print the operation's id before anything changes, and name it again should we be interrupted."""
        self.operation_id = operation_id
        self.hint_if_interrupted = f"`replicator op resume {safe_text(operation_id)}` goes on from its journal"
        print(f"operation: {safe_text(operation_id)}", file=sys.stderr)

    def error_console(self) -> Console:
        """Return a rich console on stderr, for progress; markup is off."""
        return self.output.console(sys.stderr)

    def confirm_moderate(self, act: str, *, is_agreed: bool) -> None:
        """Return only if the act was agreed to: by `--yes`, or by a human who answers y.

        Raises:
            ConfirmationMissing: declined, or nobody is there to ask; nothing was changed.
        """
        if is_agreed:
            return
        if not self.may_ask:
            raise ConfirmationMissing(f"{act}: needs a yes", hint="add --yes")
        if not click.confirm(f"{safe_text(act)}. Go on?", default=False, err=True):
            raise ConfirmationMissing(f"{act}: declined; nothing was changed")

    def confirm_severe(self, act: str, *, name: str, given: str | None) -> None:
        """Return only if `name` was typed: by `--confirm NAME`, or by a human at the prompt.

        Raises:
            ConfirmationMissing: another name, or none and nobody to ask; nothing was changed.
        """
        if given is None and self.may_ask:
            given = click.prompt(f"{safe_text(act)}. Type {safe_text(name)} to go on", default="", err=True)
        if given is None:
            raise ConfirmationMissing(f"{act}: needs its typed name", hint=f"add --confirm {name}")
        if given != name:
            raise ConfirmationMissing(
                f"{act}: {given!r} was typed, {name!r} is meant; nothing was changed", hint=f"add --confirm {name}"
            )


pass_app = click.make_pass_decorator(App)


def _setter(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def set_option(context: click.Context, param: click.Parameter, value: Any) -> None:
        if context.get_parameter_source(param.name) is not click.core.ParameterSource.DEFAULT:
            _set_on_app(context.ensure_object(App), attribute, value)

    return set_option


def _set_on_app(app: App, attribute: str, value: Any) -> None:
    if attribute == "format":
        app.output = app.output.with_format(OutputFormat(value))
    elif attribute == "color":
        app.output = app.output.with_color(value)
    else:
        setattr(app, attribute, app.verbosity + value if attribute == "verbosity" else value)
        app.configure_log()


def _option(attribute: str, *declarations: str, **settings: Any) -> click.Option:
    return click.Option(
        [*declarations, f"global_{attribute}"], expose_value=False, callback=_setter(attribute), **settings
    )


def global_options(*, is_hidden: bool) -> list[click.Option]:
    """Return the options every verb takes."""
    formats = click.Choice([format_.value for format_ in OutputFormat])
    options = [
        _option("config", "-c", "--config", type=click.Path(path_type=Path), help="Configuration file."),
        _option("format", "-o", "--output", type=formats, help="How data is printed (table)."),
        _option("color", "--color", type=click.Choice(["auto", "always", "never"]), help="Colours (auto)."),
        _option("is_quiet", "-q", "--quiet", is_flag=True, help="No progress on stderr."),
        _option("verbosity", "-v", "--verbose", count=True, help="More on stderr; twice for debug."),
        _option("is_input_allowed", "--no-input", is_flag=True, flag_value=False, help="Never ask."),
        _option("timeout_seconds", "--timeout", type=Seconds(), help="Budget: seconds, or 500ms, 30s, 5m, 1h."),
        _option("api_url", "--url", metavar="URL", help="The supervisor's API; by default as configured."),
        _option("api_token", "--token", metavar="REFERENCE", help="Where the API's token is: env:NAME or file:PATH."),
        _option(
            "api_ca_file", "--ca-file", type=click.Path(path_type=Path), help="CA certificates that sign the API's."
        ),
        _option("is_standalone", "--standalone", is_flag=True, help="Act from here, without the supervisor."),
    ]
    for option in options:
        option.hidden = is_hidden
    return options


def take_global_options(command: click.Command) -> click.Command:
    """Let `command` and all below it take the global options too; its own options win where names meet."""
    taken = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    for option in global_options(is_hidden=True):
        if taken.isdisjoint(option.opts):
            command.params.append(option)
    if isinstance(command, click.Group):
        for child in command.commands.values():
            take_global_options(child)
    return command
