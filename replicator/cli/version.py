"""The installation speaks of itself: `replicator version` and `replicator completion`."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

import click
from click.shell_completion import get_completion_class

from replicator import __version__
from replicator.cli.context import App, pass_app
from replicator.cli.output import API_VERSION, emit

_COMPLETION_VARIABLE = "_REPLICATOR_COMPLETE"
_PARTS = ("confluent-kafka", "kafka-python", "obstore", "pydantic", "textual", "docker")


@click.command()
@pass_app
def version(app: App) -> None:
    """Versions of replicator and of its formats."""
    item = {
        "version": __version__,
        "config": API_VERSION,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "parts": {part: _installed(part) for part in _PARTS},
    }
    emit("Version", item=item, output=app.output)


def _installed(part: str) -> str | None:
    try:
        return version_of(part)
    except PackageNotFoundError:
        return None


@click.command(epilog='bash: eval "$(replicator completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; evaluate it, or put it where the shell looks for them."""
    from replicator.cli.main import cli

    script = get_completion_class(shell)
    if script is None:
        raise AssertionError("click knows every shell of the choice")
    click.echo(script(cli, {}, "replicator", _COMPLETION_VARIABLE).source())
