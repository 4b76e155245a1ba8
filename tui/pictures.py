"""Pictures of the dashboard for the documentation: `python -m tui.pictures FOLDER [--text] [--story]`.

Each is the real dashboard over a recording, at a certain second and size, with certain keys pressed: the same every
time, so that a changed picture means a changed dashboard. The recording is FOLDER/demo.jsonl.gz, made of a real run
(`python -m tui.watching` beside `replicator demo --tui`); with --story it is a made-up one, which shows more flows.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from replicator.api.schema import FlowView
from replicator.errors import NotFound
from tui.dashboard import Dashboard
from tui.feeds import ReplayFeed
from tui.feeds.recording import Moment, apply_moment, read_recording
from tui.picture import Contact, Picture
from tui.scenes import story

SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture: its name, the second of the story, the keys pressed before it."""

    name: str
    second: float
    keys: tuple[str, ...] = ()
    is_operator: bool = False
    lost_at: float | None = None


@dataclass(frozen=True, slots=True)
class LiveShot:
    """One picture of a real run: the first moment at which it `shows` what is meant, and a few seconds more."""

    name: str
    shows: Callable[[Picture], bool]
    more_seconds: float = 0.0
    keys: tuple[str, ...] = ()


def _flow(picture: Picture) -> FlowView | None:
    return picture.status.flows[0] if picture.status is not None and picture.status.flows else None


def is_well(picture: Picture) -> bool:
    """Whether records move and every group has a grade."""
    flow = _flow(picture)
    return flow is not None and flow.state == "HEALTHY" and flow.groups is not None and not flow.groups.ungraded


def is_lost(picture: Picture) -> bool:
    """Whether the source is gone and nothing was done about it yet."""
    flow = _flow(picture)
    return flow is not None and flow.state == "UNKNOWN" and flow.source.reachability == "refused"


def is_promoted(picture: Picture) -> bool:
    """Whether an operation has passed the point of no return."""
    return any(operation.is_past_promote for operation in picture.operations.values())


def has_moved(picture: Picture) -> bool:
    """Whether the flow has failed over."""
    flow = _flow(picture)
    return flow is not None and flow.state == "FAILED_OVER"


LIVE_SHOTS = (
    LiveShot("live-overview", is_well, 9.0),
    LiveShot("live-outage", is_lost, 0.5),
    LiveShot("live-groups", is_lost, 0.5, ("4",)),
    LiveShot("live-runbook", is_promoted, 0.2, ("5",)),
    LiveShot("live-moved", has_moved, 3.0),
    LiveShot("live-lag", has_moved, 6.0, ("3", "t", "t", "t", "t")),
)
RECORDING = "demo.jsonl.gz"

SHOTS = (
    Shot("overview", 240.0),
    Shot("outage", 312.0),
    Shot("flow", 240.0, ("F", "2", *("down",) * 9, "enter")),
    Shot("lag", 240.0, ("f", "3")),
    Shot("groups", 240.0, ("4", "down", "down", "down")),
    Shot("runbook", 353.0, ("5", *("down",) * 7)),
    Shot("snapshots", 240.0, ("6",)),
    Shot("events", 364.0, ("7",)),
    Shot("alerts", 335.0, ("8",)),
    Shot("restore", 240.0, ("6", "enter", *"west"), is_operator=True),
    Shot("jump", 240.0, ("o",)),
    Shot("log", 312.0, ("2", "L", "space")),
    Shot("acts", 312.0, ("a", "down", "down"), is_operator=True),
    Shot("failover", 312.0, ("a", *("down",) * 7, "enter", *"orders"), is_operator=True),
    Shot("disconnected", 240.0, lost_at=198.0),
    Shot("help", 240.0, ("question_mark",)),
)


class StandingClock:
    """A clock that stands still: the recording stays at its second."""

    def now(self) -> None:
        """Nothing here asks for the wall time."""

    def monotonic(self) -> float:
        """Return always the same."""
        return 0.0

    def sleep(self, seconds: float) -> None:
        """Nothing here sleeps."""


def played(shot: Shot, moments: Sequence[Moment]) -> list[Moment]:
    """Return the recording that a picture is taken of: whoever asks, and when contact was lost."""
    kept = [moment for moment in moments if shot.lost_at is None or moment.at < shot.lost_at]
    if shot.is_operator:
        session = {
            "name": "kim",
            "role": "operator",
            "acts": ["pause", "resume", "restart", "snapshot", "restore", "failover"],
        }
        kept.append(Moment(0.5, "session", session))
    if shot.lost_at is not None:
        why = {"contact": "lost", "reason": "GET https://replicator.example:9108/v1/events: connection refused"}
        kept += [Moment(shot.lost_at, "contact", why), Moment(shot.second, "contact", why)]
    return kept


async def take(shot: Shot, moments: Sequence[Moment], *, size: tuple[int, int]) -> tuple[str, str]:
    """Return one picture as SVG and as text."""
    feed = ReplayFeed(played(shot, moments), from_seconds=shot.second, clock=StandingClock())  # type: ignore[arg-type]  # it never asks the wall time
    dashboard = Dashboard(feed, is_acting_allowed=True)
    dashboard.animation_level = "none"
    async with dashboard.run_test(size=size) as pilot:
        await pilot.pause()
        for key in shot.keys:
            await pilot.press(key)
        await pilot.pause()
        dashboard.paint()
        await pilot.pause()
        return to_plain_svg(dashboard.export_screenshot(title="replicator", simplify=True)), to_text(dashboard)


def to_plain_svg(svg: str) -> str:
    """Return the picture without fonts from elsewhere, its blanks kept by every renderer, its ids always the same."""
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    svg = re.sub(r"terminal-\d+", "terminal", svg)
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1).replace("Fira Code", "Menlo, DejaVu Sans Mono")


def to_text(dashboard: Dashboard) -> str:
    """Return what the screen shows as text, without colours."""
    lines = dashboard.screen._compositor.render_strips()  # noqa: SLF001 - textual has no public way to the text
    return "\n".join("".join(segment.text for segment in strip).rstrip() for strip in lines)


def find_second(shot: LiveShot, moments: Sequence[Moment]) -> float:
    """Return the second of a recording at which a picture is taken.

    Raises:
        NotFound: the recording never shows what is meant.
    """
    picture = Picture(contact=Contact.CONNECTED)
    for moment in moments:
        picture = apply_moment(picture, moment)
        if shot.shows(picture):
            return moment.at + shot.more_seconds
    raise NotFound(f"the recording has no moment for {shot.name}")


def live_shots(moments: Sequence[Moment]) -> tuple[Shot, ...]:
    """Return the pictures of a real run, each with its second."""
    return tuple(Shot(shot.name, find_second(shot, moments), shot.keys) for shot in LIVE_SHOTS)


async def take_all(shots: Sequence[Shot], moments: Sequence[Moment], folder: Path, *, has_text: bool) -> list[Path]:
    """Write every picture at every size; return their files."""
    written = []
    for shot in shots:
        for label, size in SIZES.items():
            svg, text = await take(shot, moments, size=size)
            written.append(folder / f"{shot.name}-{label}.svg")
            written[-1].write_text(svg, encoding="utf-8")
            if has_text:
                (folder / f"{shot.name}-{label}.txt").write_text(text + "\n", encoding="utf-8")
    return written


def main(arguments: Sequence[str]) -> int:
    """Write the pictures into the folder named first."""
    named = [argument for argument in arguments if not argument.startswith("-")]
    if len(named) != 1:
        print("usage: python -m tui.pictures FOLDER [--text] [--story]", file=sys.stderr)
        return 2
    folder, is_story = Path(named[0]), "--story" in arguments
    folder.mkdir(parents=True, exist_ok=True)
    moments = story() if is_story else read_recording(folder / RECORDING)
    shots = SHOTS if is_story else live_shots(moments)
    for path in asyncio.run(take_all(shots, moments, folder, has_text="--text" in arguments)):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
