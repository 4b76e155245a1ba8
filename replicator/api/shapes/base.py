"""The base of all that travels, and how moments do."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, PlainSerializer

from replicator.clock import to_rfc3339

Moment = Annotated[datetime, PlainSerializer(to_rfc3339, return_type=str, when_used="json")]
"""An aware moment; on the wire RFC 3339 in UTC with milliseconds."""


class Travelling(BaseModel):
    """Base of all that travels: frozen, read from values by attribute, unknown fields left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True, defer_build=True)
