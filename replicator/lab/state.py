"""What a lab remembers between commands: its plan and the processes it started."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from replicator.errors import DataCorrupt, NotFound
from replicator.jvm import ProcessIdentity, write_private
from replicator.lab.plan import LabPlan


class KnownProcess(BaseModel):
    """One process: pid and start in Unix seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pid: int
    started_at: float

    @property
    def identity(self) -> ProcessIdentity:
        """The same as the JVM room's word."""
        return ProcessIdentity(self.pid, self.started_at)


class LabState(BaseModel):
    """The content of `lab.json`. `processes` by member: `east/broker-1`, `west/connect`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    plan: LabPlan
    processes: dict[str, KnownProcess]


def write_state(path: Path, state: LabState) -> None:
    """Replace the file."""
    write_private(path, state.model_dump_json(indent=1) + "\n")


def read_state(path: Path) -> LabState:
    """Return what the file says.

    Raises: NotFound when there is no lab, DataCorrupt when the file is not one of ours.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as exc:
        raise NotFound(f"no lab in {path.parent}", hint=f"`replicator lab up --dir {path.parent}` makes one") from exc
    try:
        return LabState.model_validate_json(text)
    except ValidationError as exc:
        raise DataCorrupt(f"{path} is not a lab's state: {exc.errors()[0]['msg']}") from exc
