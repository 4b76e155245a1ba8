"""Play seeds: `python -m tests.simulation [--seeds N] [--first N] [--seed N] [--processes N]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from tests.simulation.play import Played, play

CHUNK = 25
TOLD_MAX = 10


def main(argv: Sequence[str]) -> int:
    """Play the seeds; the status says whether every one of them held."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10_000, help="so many seeds")
    parser.add_argument("--first", type=int, default=0, help="from this one on")
    parser.add_argument("--seed", type=int, help="this one alone, with all that happened in it")
    parser.add_argument("--processes", type=int, default=2, help="side by side")
    asked = parser.parse_args(argv)
    if asked.seed is not None:
        return tell(play(asked.seed))
    began = time.monotonic()
    seeds = range(asked.first, asked.first + asked.seeds)
    with ProcessPoolExecutor(max_workers=asked.processes) as pool:
        failed = [played for played in pool.map(play, seeds, chunksize=CHUNK) if played.violation]
    seconds = time.monotonic() - began
    print(f"{len(seeds)} seeds, {len(failed)} failed, {seconds:.0f} s ({1000 * seconds / len(seeds):.1f} ms a seed)")
    for played in failed[:TOLD_MAX]:
        print(f"seed {played.seed}: {played.violation}\n  again: python -m tests.simulation --seed {played.seed}")
    return 1 if failed else 0


def tell(played: Played) -> int:
    """Print one seed's whole story."""
    print("\n".join(played.trail))
    print(f"seed {played.seed}: {played.violation or 'held'} ({played.calls} calls)")
    return 1 if played.violation else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
