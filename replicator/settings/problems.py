"""What is wrong with a configuration: where (file:line:column or variable), which key, why, what was meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from replicator.errors import ConfigInvalid
from replicator.model.forms.text import cut_middle, safe_text
from replicator.settings.document import Path, known_keys, known_values
from replicator.settings.yaml_file import HINT, Node

PROBLEMS_SHOWN_MAX = 20

_SECRET_KEYS = frozenset({"password", "key_password", "signing_key", "identity", "passphrase", "secret", "token"})
_PLAIN_NAME = re.compile(r"[a-zA-Z0-9_-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at `path`; `meant` is the nearest thing known."""

    path: Path
    why: str
    meant: str | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a configuration came from: the file's name and places, and the variables that override it."""

    name: str
    root: Node | None
    variables: Mapping[tuple[str, ...], str]

    def place_of(self, path: Path) -> str:
        """Return `file:line:column`, or the environment variable, that a key came from."""
        for length in range(len(path), 0, -1):
            if variable := self.variables.get(tuple(map(str, path[:length]))):
                return f"environment variable {variable}"
        below = next((variable for key, variable in self.variables.items() if key[: len(path)] == path), None)
        if self.root is None:
            return f"environment variable {below}" if below else self.name
        node = self.root.at(path)
        if below and node is not None and not isinstance(node.value, dict):
            return f"environment variable {below}"
        mark = self.root.mark_of(path)
        return f"{self.name}:{mark.line}:{mark.column}"


def problems_of(error: ValidationError) -> list[Problem]:
    """Return what pydantic found, in our words."""
    return [_problem_of(dict(entry)) for entry in error.errors(include_url=False)]


def config_invalid(problems: Iterable[Problem], sources: Sources) -> ConfigInvalid:
    """Return the error that tells the first problem in its message, and all of them in its detail."""
    lines = [_line(problem, sources) for problem in problems]
    shown = lines[:PROBLEMS_SHOWN_MAX]
    if len(lines) > len(shown):
        shown.append(f"… and {len(lines) - len(shown)} more")
    return ConfigInvalid(
        lines[0],
        detail="\n".join(shown) if len(lines) > 1 else None,
        hint=HINT,
    )


def show_path(path: Path) -> str:
    """Return the path as people write it: `flows.orders.topics.include[0]`, odd names in quotes."""
    shown = ""
    for part in path:
        if isinstance(part, int):
            shown += f"[{part}]"
        else:
            name = part if _PLAIN_NAME.fullmatch(part) else f'"{cut_middle(safe_text(part), width=60)}"'
            shown += f".{name}" if shown else name
    return shown


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant."""
    text = str(word)[:100]
    found = difflib.get_close_matches(text, list(known), n=5, cutoff=0.6)
    return max(found, key=lambda one: _nearness(text, one), default=None)


def _nearness(text: str, word: str) -> tuple[float, bool, bool]:
    """Return how near the word is; among equals swapped letters come first, then the same beginning."""
    ratio = difflib.SequenceMatcher(None, word, text).ratio()
    return ratio, sorted(text) == sorted(word), text[:1] == word[:1]


def _line(problem: Problem, sources: Sources) -> str:
    key = show_path(problem.path)
    meant = f"; did you mean {problem.meant}?" if problem.meant else ""
    return f"{sources.place_of(problem.path)}: {f'{key}: ' if key else ''}{safe_text(problem.why)}{meant}"


def _problem_of(entry: dict[str, Any]) -> Problem:
    path, kind = tuple(entry["loc"]), entry["type"]
    if path and path[-1] == "[key]":
        path = path[:-1]
        return Problem(path, "a name is at most 63 of a-z, 0-9, `.`, `_`, `-`, and starts with a letter or digit")
    match kind:
        case "extra_forbidden":
            return Problem(path, "unknown key", nearest(path[-1], known_keys(path[:-1])))
        case "missing":
            return Problem(path, "is required")
        case "enum" | "literal_error":
            words = known_values(path)
            return Problem(path, f"{_got(path, entry)} is none of {', '.join(words)}", nearest(entry["input"], words))
        case "refused":
            return Problem(path, entry["ctx"]["why"])
        case _:
            return Problem(path, _why(path, entry))


_WHY = {
    "tuple_type": "must be a list, like [a, b]",
    "model_type": "must be a section: keys and values",
    "mapping_type": "must be a section: keys and values",
    "string_type": "must be text; put it in quotes",
    "too_short": "must not be empty",
    "finite_number": "must be a finite number",
}


def _why(path: Path, entry: dict[str, Any]) -> str:
    if entry["type"] == "string_pattern_mismatch":
        return f"{_got(path, entry)} is not of the form {entry['ctx']['pattern']}"
    told = _WHY.get(entry["type"]) or str(entry["msg"]).replace("Input should be", "must be")
    return (
        told
        if entry["input"] is None or isinstance(entry["input"], dict | list)
        else f"{told}; {_got(path, entry)} is there"
    )


def _got(path: Path, entry: dict[str, Any]) -> str:
    """Return what stands there, unless it may be a secret."""
    if any(part in _SECRET_KEYS for part in path):
        return "what is there"
    return repr(cut_middle(str(entry["input"]), width=60))
