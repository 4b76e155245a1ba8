"""How far a long act has come, told to whoever asked for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What is going on."""

    SURVEY = "survey"
    COPY = "copy"
    STORE = "store"
    PUBLISH = "publish"
    VERIFY = "verify"
    COMPARE = "compare"
    RESTORE = "restore"
    SETTLE = "settle"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Units done of a total (offsets, records or chunks, by the stage), and bytes moved so far."""

    stage: Stage
    done: int = 0
    total: int | None = None
    done_bytes: int = 0


Report = Callable[[Progress], None]


def say_nothing(_progress: Progress) -> None:
    """The report of callers who do not want one."""
