"""Logs: structlog, one past-tense fact an event, to stderr; data alone goes to stdout."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO, cast

import structlog


def get_logger(**bound: Any) -> structlog.typing.FilteringBoundLogger:
    """Return a logger with `bound` ids (flow, cluster, operation_id, step) on every event."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(**bound))


def configure(*, is_json: bool | None = None, level: str = "info", stream: TextIO | None = None) -> None:
    """Send events to `stream` (stderr by default): JSON when it is no terminal, else columns."""
    target = stream or sys.stderr
    as_json = (not target.isatty()) if is_json is None else is_json
    renderer: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=True) if as_json else structlog.dev.ConsoleRenderer(colors=True)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
