"""Logs: structlog, one past-tense fact an event, to stderr; data alone goes to stdout."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    import structlog

_waiting: list[Callable[[], None]] = []
"""What was configured before anybody wanted a logger: importing structlog is a tenth of a short command."""


def get_logger(**bound: Any) -> structlog.typing.FilteringBoundLogger:
    """Return a logger with `bound` ids (flow, cluster, operation_id, step) on every event."""
    import structlog

    while _waiting:
        _waiting.pop()()
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(**bound))


_ACTIVE = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (
        *range(0x20),
        *range(0x7F, 0xA0),
        0xAD,
        0x061C,
        *range(0x200B, 0x2010),
        *range(0x2028, 0x202F),
        *range(0x2060, 0x2070),
        0xFEFF,
    )
}
"""Characters a terminal obeys or hides, and how they are shown: controls, direction marks, zero widths."""


def _disarm(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Show what foreign names carry instead of letting the terminal obey it; a traceback keeps its lines."""
    for key, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if key == "exception" else [value]
            event[key] = "\n".join(line.translate(_ACTIVE) for line in lines)
    return event


def configure(*, is_json: bool | None = None, level: str = "info", stream: TextIO | None = None) -> None:
    """Send events to `stream` (stderr by default): JSON or columns; None: JSON when it is no terminal."""

    def apply() -> None:
        _apply(is_json, level, stream)

    _waiting.clear()
    if "structlog" in sys.modules:
        apply()
    else:
        _waiting.append(apply)


def _apply(is_json: bool | None, level: str, stream: TextIO | None) -> None:
    import structlog

    target = stream or sys.stderr
    as_json = (not target.isatty()) if is_json is None else is_json
    columns = structlog.dev.ConsoleRenderer(colors=target.isatty())
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=True) if as_json else columns
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            *([] if as_json else [_disarm]),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # stderr is looked up for each logger: whoever replaced it for a while may have closed its own since
        logger_factory=lambda *_: structlog.PrintLogger(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
