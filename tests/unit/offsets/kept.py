"""The answers of the rules in some worlds, kept as they are: one line each, with every number told.

    python -m tests.unit.offsets.kept FILE     writes them anew

Worlds judge whether an answer is true; whether it is as good as it can be they do not see: a bound that is larger than
need be breaks no promise. So answers are kept, and a change of any one of them has to be meant.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterator
from pathlib import Path

from replicator.model.offsets import Translation
from tests.unit.offsets.homeward import invert_all
from tests.unit.offsets.test_worlds import SHAPES, world_of

KEPT = Path(__file__).parents[2] / "data" / "offsets" / "answers.txt.xz"
WORLDS = 12
"""So many of each shape, those of the first seeds."""


def line_of(answer: Translation) -> str:
    """Return an answer as one line."""
    place = "-" if answer.target_offset is None else str(answer.target_offset)
    clamped = " clamped" if answer.is_clamped else ""
    told = json.dumps(dict(answer.evidence), sort_keys=True)
    return f"{answer.source_offset} > {place} {answer.grade} {answer.reread_records_max} {answer.rule}{clamped} {told}"


def answers() -> Iterator[str]:
    """Yield the answers for every offset of the kept worlds, out and home."""
    for shape in SHAPES:
        for seed in range(WORLDS):
            world = world_of(shape, seed)
            yield f"{shape} {seed}"
            yield from (f"out  {line_of(answer)}" for answer in world.translate_all())
            yield from (f"home {line_of(answer)}" for answer in invert_all(world))


def read_kept() -> list[str]:
    """Return the kept lines."""
    return lzma.decompress(KEPT.read_bytes()).decode("utf-8").splitlines()


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(lzma.compress("\n".join(answers()).encode("utf-8"), preset=9))
