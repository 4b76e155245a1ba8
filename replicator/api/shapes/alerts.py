"""Alerts as they travel."""

from __future__ import annotations

from replicator.api.shapes.base import Moment, Travelling


class AlertView(Travelling):
    """One alert that holds. `state`: pending or firing; `since` is when its condition began to hold."""

    name: str
    severity: str
    state: str
    labels: dict[str, str]
    since: Moment
    summary: str
    description: str
