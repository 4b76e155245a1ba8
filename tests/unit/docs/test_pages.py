"""One page per fear: its commands exist as they are written, and a test on real brokers runs each of them."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from replicator.cli.main import cli
from tests.pages import FOLDER, commands_on, said

PAGES = sorted(path.stem for path in FOLDER.glob("*.md"))
COMMANDS = [(page, place) for page in PAGES for place in range(len(commands_on(page)))]
LAB = Path(__file__).parents[2] / "lab"


def test_there_is_a_page_for_each_fear() -> None:
    """The five fears, and the planned move."""
    assert {"the-active-is-gone", "it-came-back", "i-pressed-the-wrong-button", "two-operators"} <= set(PAGES)
    assert "the-standby-was-behind" in PAGES


@pytest.mark.parametrize(("page", "place"), COMMANDS)
def test_a_command_is_one_that_exists(page: str, place: int) -> None:
    """Verb and options are the program's own: click parses the line."""
    words = said(page, place, flow="f", operation="op-1")
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        _, command, words = command.resolve_command(context, words)
        context = click.Context(command, parent=context)
    command.parse_args(context, list(words))


@pytest.mark.parametrize(("page", "place"), COMMANDS)
def test_a_command_is_run_on_real_brokers(page: str, place: int) -> None:
    """Some test runs exactly this one and asserts what the page claims of it."""
    text = "".join(path.read_text(encoding="utf-8") for path in LAB.rglob("test_*.py"))
    assert f'said("{page}", {place},' in text, f"no test runs `{commands_on(page)[place]}`"


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A page that is named is there."""
    text = (FOLDER / f"{page}.md").read_text(encoding="utf-8")
    assert all((FOLDER / target).is_file() for target in re.findall(r"\]\(([\w-]+\.md)\)", text))
