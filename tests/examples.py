"""How many examples a property test is given: as many as it asks for, or fewer where mutants are judged."""

from __future__ import annotations

import os

EXAMPLES_MAX = "REPLICATOR_EXAMPLES_MAX"


def examples(count: int) -> int:
    """Return how many of so many examples, or seeds, a test is to try: each mutant runs it again."""
    return min(count, int(os.environ.get(EXAMPLES_MAX, count)))
