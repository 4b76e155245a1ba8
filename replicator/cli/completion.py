"""`replicator completion`: the script that teaches a shell our verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_REPLICATOR_COMPLETE"


@click.command(epilog='bash: eval "$(replicator completion bash)"')
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell; evaluate it, or put it where the shell looks for them."""
    from replicator.cli.main import cli

    script = get_completion_class(shell)
    if script is None:
        raise AssertionError("click knows every shell of the choice")
    click.echo(script(cli, {}, "replicator", _VARIABLE).source())
