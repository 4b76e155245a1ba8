"""Logs: events on their own stream, and nothing in them that a terminal would obey."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from replicator import log

HOSTILE = "a\x1b[2J\x07\n\u202e\x9b\x7fb"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.security
def test_names_in_events_are_disarmed_on_a_terminal() -> None:
    """Control characters and direction marks in event and values are shown escaped, tracebacks included."""
    screen = Terminal()
    log.configure(stream=screen)
    try:
        int(HOSTILE)
    except ValueError as error:
        error.args = (HOSTILE,)
        log.get_logger(flow=HOSTILE).exception(HOSTILE, topic=HOSTILE)
    shown = screen.getvalue()
    assert "Traceback" in shown
    assert "\\x1b[2J\\x07" in shown
    for char in ("\x1b[2J", "\x07", "\u202e", "\x9b", "\x7f"):
        assert char not in shown


def test_one_event_is_one_line_of_json_elsewhere() -> None:
    """Without a terminal each event is one line, and says exactly what was logged."""
    stream = io.StringIO()
    log.configure(stream=stream)
    log.get_logger(flow="orders").info("flow_applied", topic=HOSTILE)
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["flow"], event["topic"], event["level"]) == (
        "flow_applied",
        "orders",
        HOSTILE,
        "info",
    )


def test_levels_are_kept() -> None:
    """Events below the chosen level are not written."""
    stream = io.StringIO()
    log.configure(stream=stream, level="warning")
    log.get_logger().info("quiet")
    log.get_logger().warning("loud")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["loud"]


def test_a_short_command_does_not_load_the_logging_library() -> None:
    """What was configured before anybody logs waits, and holds for the first logger."""
    script = (
        "import io, sys\n"
        "from replicator import log\n"
        "stream = io.StringIO()\n"
        "log.configure(level='error', stream=stream)\n"
        "assert 'structlog' not in sys.modules\n"
        "logger = log.get_logger(flow='orders')\n"
        "logger.warning('passed_over')\n"
        "logger.error('told')\n"
        "assert 'passed_over' not in stream.getvalue(), stream.getvalue()\n"
        'assert \'"event": "told"\' in stream.getvalue(), stream.getvalue()\n'
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
