"""YAML text as plain values with the place of every key: 1.2 rules, no tags, bounded in every direction."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from replicator.errors import ConfigInvalid

HINT = "`replicator config schema` describes every key; configs/example.yaml shows them in use"
SIZE_BYTES_MAX = 1024 * 1024
LINE_CHARACTERS_MAX = 64 * 1024
NODES_MAX = 20_000
DEPTH_MAX = 24

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

Scalar = None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a text; both count from 1."""

    line: int
    column: int


@dataclass(slots=True)
class Node:
    """One value and where it stands. `size` and `depth` count what its aliases expand to."""

    mark: Mark
    value: Scalar | list[Node] | dict[str, Node]
    key_marks: dict[str, Mark] = field(default_factory=dict)
    size: int = 1
    depth: int = 1

    def plain(self) -> Any:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain() for child in self.value]
        return self.value

    def at(self, path: tuple[str | int, ...]) -> Node | None:
        """Return the node at `path`; None where nothing stands."""
        node: Node | None = self
        for part in path:
            node = node.value.get(str(part)) if node is not None and isinstance(node.value, dict) else None
        return node

    def mark_of(self, path: tuple[str | int, ...]) -> Mark:
        """Return the place of the key or entry at `path`, or of the nearest section above it."""
        mark, node = self.mark, self
        for part in path:
            if isinstance(node.value, dict) and part in node.value:
                mark, node = node.key_marks[str(part)], node.value[str(part)]
            elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                mark = node.mark
            else:
                return mark
        return mark


def read_text(path: Path) -> str:
    """Return the file's text.

    Raises:
        ConfigInvalid: it is missing, unreadable, above 1 MiB, or not UTF-8.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(SIZE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ConfigInvalid(
            f"{path}: cannot be read: {why}", hint="`replicator config path` shows where it is looked for"
        ) from error
    if len(data) > SIZE_BYTES_MAX:
        raise ConfigInvalid(
            f"{path}: larger than 1 MiB", hint="a configuration is a few kilobytes; is this the right file?"
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigInvalid(f"{path}:{line}:{column}: not UTF-8") from error


def parse_yaml(text: str, *, name: str) -> Node:
    """Return the one document in `text` with its places; `name` stands before line and column in errors.

    Raises:
        ConfigInvalid: no valid YAML 1.2, more than one document, tags, merge keys, a key twice, an alias
            to itself, a line above 64 KiB, or more than 20,000 values or 24 levels with aliases expanded.
    """
    _check_lines(text, name)
    builder = _Builder(name)
    try:
        return builder.document(iter(YAML(typ="safe", pure=True).parse(io.StringIO(text))))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        # `from None`: the parser's error quotes the lines around it, and with them a secret written out there.
        raise ConfigInvalid(f"{place}: no valid YAML: {error.problem or error.context}", hint=HINT) from None
    except YAMLError as error:
        raise ConfigInvalid(f"{name}: no valid YAML: {_first_line(error)}", hint=HINT) from error


def _check_lines(text: str, name: str) -> None:
    """Refuse lines of a length nobody writes: the scanner's time grows with their square."""
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > LINE_CHARACTERS_MAX:
            raise ConfigInvalid(f"{name}:{number}:1: a line of more than 64 KiB")


def _first_line(error: YAMLError) -> str:
    position = getattr(error, "position", None)
    reason = getattr(error, "reason", None) or str(error).split("\n", 1)[0]
    return str(reason) if position is None else f"{reason} (position {position})"


class _Builder:
    """Turns the parser's events into nodes, and stops at the first bound that is passed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.anchors: dict[str, Node | None] = {}
        self.count = 0

    def document(self, events: Iterator[Any]) -> Node:
        """Return the root of the only document."""
        root: Node | None = None
        for event in events:
            if isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent | AliasEvent):
                if root is not None:
                    raise self.refused(event, "more than one document in one file")
                root = self.node(event, events, depth=1)
        if root is None:
            raise ConfigInvalid(f"{self.name}:1:1: the file is empty", hint=HINT)
        return root

    def refused(self, event: Any, why: str) -> ConfigInvalid:
        """Return the error at the event's place."""
        mark = _mark(event)
        return ConfigInvalid(f"{self.name}:{mark.line}:{mark.column}: {why}", hint=HINT)

    def node(self, event: Any, events: Iterator[Any], *, depth: int) -> Node:
        """Return the node that starts with `event`, its children read from `events`."""
        if depth > DEPTH_MAX:
            raise self.refused(event, f"nested deeper than {DEPTH_MAX} levels")
        if isinstance(event, AliasEvent):
            return self.counted(event, self.aliased(event))
        if event.tag is not None:
            raise self.refused(event, "tags (`!...`) mean nothing here")
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None
        node = self.branch(event, events, depth=depth)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def branch(self, event: Any, events: Iterator[Any], *, depth: int) -> Node:
        """Return the scalar, list or mapping that starts with `event`."""
        match event:
            case MappingStartEvent():
                return self.mapping(event, events, depth=depth)
            case SequenceStartEvent():
                return self.sequence(event, events, depth=depth)
            case _:
                return self.counted(event, Node(_mark(event), _scalar(event)))

    def aliased(self, event: AliasEvent) -> Node:
        """Return the node an alias stands for."""
        if event.anchor not in self.anchors:
            raise self.refused(event, "an alias (`*...`) without its anchor; quote the text if none is meant")
        node = self.anchors[event.anchor]
        if node is None:
            raise self.refused(event, "an alias inside its own anchor")
        return node

    def counted(self, event: Any, node: Node) -> Node:
        """Return the node after counting what it expands to."""
        self.count += node.size
        if self.count > NODES_MAX:
            raise self.refused(event, f"more than {NODES_MAX:,} values, aliases expanded")
        return node

    def sequence(self, start: Any, events: Iterator[Any], *, depth: int) -> Node:
        """Return a list with its entries."""
        node = self.counted(start, Node(_mark(start), entries := []))
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            entries.append(self.adopted(node, self.node(event, events, depth=depth + 1), event))
        return node

    def mapping(self, start: Any, events: Iterator[Any], *, depth: int) -> Node:
        """Return a mapping with its keys, each text and each there once."""
        values: dict[str, Node] = {}
        node = self.counted(start, Node(_mark(start), values))
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            key = self.key(event, values)
            node.key_marks[key] = _mark(event)
            child = next(events)
            values[key] = self.adopted(node, self.node(child, events, depth=depth + 1), child)
        return node

    def key(self, event: Any, values: dict[str, Node]) -> str:
        """Return the key's text."""
        if not isinstance(event, ScalarEvent) or not isinstance(_scalar(event), str):
            raise self.refused(event, "a key is text; quote it if it looks like something else")
        if event.value == "<<":
            raise self.refused(event, "merge keys (`<<`) are not part of YAML 1.2")
        if event.value in values:
            raise self.refused(event, f"the key {event.value[:60]!r} is there twice")
        return str(event.value)

    def adopted(self, parent: Node, child: Node, event: Any) -> Node:
        """Return the child after its parent has grown by it."""
        parent.size += child.size
        parent.depth = max(parent.depth, child.depth + 1)
        if parent.depth > DEPTH_MAX:
            raise self.refused(event, f"nested deeper than {DEPTH_MAX} levels, aliases expanded")
        return child


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _scalar(event: Any) -> Scalar:
    """Return what a scalar means: quoted text is text, and so is `no`.

    Source: YAML 1.2's core schema, without octal, hexadecimal, infinity and NaN, which stay text.
    """
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
