"""What would be done, before it is asked for: the runbooks there are, and what a restore is to bring back."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from replicator.api.shapes.base import Travelling
from replicator.model.archive.restores import DriftPolicy, OffsetRule


class PlannedStepView(Travelling):
    """One step of a runbook. `says` is the sentence an operator reads before it runs."""

    name: str
    says: str
    is_point_of_no_return: bool = False
    is_undoable: bool = False


class RunbookView(Travelling):
    """The steps of one kind of operation, in order."""

    kind: str
    steps: tuple[PlannedStepView, ...]


_Text = Annotated[str, Field(min_length=1, max_length=1000)]


class RestoreOrder(BaseModel):
    """What a restore brings back: topics like `topics` of a snapshot, to `cluster`, some under new names.

    `groups`: groups like this are set where they stood; nothing of them is touched without. `is_dry_run`: the plan
    is made and told, and nothing is changed. The rest is as the options of `snapshot restore` have it, in their
    words: `partitions` `0,3-5`, `until` an RFC 3339 time, `stops` `TOPIC[N]=OFFSET`, `rename_patterns` `REGEX=NAME`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    snapshot: str = Field(min_length=1, max_length=100)
    cluster: str = Field(min_length=1, max_length=249)
    topics: tuple[str, ...] = Field(default=("*",), min_length=1, max_length=50)
    renames: dict[str, str] = Field(default_factory=dict, max_length=200)
    rename_patterns: tuple[_Text, ...] = Field(default=(), max_length=20)
    prefix: str = Field(default="", max_length=249)
    partitions: _Text | None = None
    until: _Text | None = None
    stops: tuple[_Text, ...] = Field(default=(), max_length=200)
    groups: tuple[str, ...] = Field(default=(), max_length=50)
    offsets: OffsetRule = OffsetRule.REMAP
    exact_seconds_max: float = Field(default=3600.0, ge=0, le=86_400)
    configs: DriftPolicy = DriftPolicy.APPLY
    acls: DriftPolicy = DriftPolicy.KEEP
    is_dry_run: bool = False
