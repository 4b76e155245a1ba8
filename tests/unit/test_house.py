"""The rules of the house, kept true: small functions, small files, small rooms, one word for one thing."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator import errors

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("replicator", "tui") for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
ROOMS = sorted({path.parent for path in SOURCES})

FUNCTION_LINES_MAX = 60
FUNCTION_LINES_MEDIAN_MAX = 10
FILE_LINES_MAX = 450
ROOM_FILES_MAX = 12

FORBIDDEN_WORDS = frozenset({"src", "dst", "dest", "master", "slave", "whitelist", "blacklist", "todo", "fixme"})
"""Words with another word in the glossary of the design: source and target, active and standby."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(tree: ast.Module) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def line_count(function: Function) -> int:
    """Return the lines of a function's signature and body, without its docstring and decorators."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def public_things(tree: ast.Module) -> Iterator[ast.ClassDef | Function]:
    """Yield the public classes and functions of a module, and the public methods of its public classes."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef | Function) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    child for child in node.body if isinstance(child, Function) and not child.name.startswith("_")
                )


def defined_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield every name the module gives: variables, arguments, functions, classes, attributes it sets."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.lineno, node.name
            case ast.arg():
                yield node.lineno, node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.lineno, node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.lineno, node.attr


def words(name: str) -> set[str]:
    """Return the words of a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_there_is_a_house_to_check() -> None:
    """The rules below are applied to real files."""
    assert len(SOURCES) > 50
    assert len(TESTS) > 10


def test_no_function_is_longer_than_a_screen() -> None:
    """No function has more than 60 lines, its docstring left out."""
    long = [
        f"{name_of(path)}:{function.lineno} {function.name}: {line_count(function)} lines"
        for path in SOURCES
        for function in functions(parse(path))
        if line_count(function) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_most_functions_are_short() -> None:
    """The median function has at most 10 lines."""
    lengths = [line_count(function) for path in SOURCES for function in functions(parse(path))]
    assert statistics.median(lengths) <= FUNCTION_LINES_MEDIAN_MAX


def test_no_file_is_two() -> None:
    """A file beyond 450 lines is asking to be two."""
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES}
    assert {name: size for name, size in sizes.items() if size > FILE_LINES_MAX} == {}


def test_no_room_is_two() -> None:
    """A folder beyond 12 Python files is asking to be two."""
    sizes = {name_of(room): len(list(room.glob("*.py"))) for room in ROOMS}
    assert {name: size for name, size in sizes.items() if size > ROOM_FILES_MAX} == {}


@pytest.mark.parametrize("room", [room for room in ROOMS if room.name != "replicator"], ids=name_of)
def test_every_room_has_a_shop_window(room: Path) -> None:
    """The first file of a room says what it owns and lists what it exports, and each of that is there."""
    assert (room / "__init__.py").is_file(), f"{name_of(room)} has no __init__.py"
    tree = parse(room / "__init__.py")
    assert ast.get_docstring(tree), f"{name_of(room)}/__init__.py has no docstring"
    exported = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and node.value is not None
        and any(
            getattr(target, "id", "") == "__all__"
            for target in getattr(node, "targets", [getattr(node, "target", None)])
        )
    ]
    assert len(exported) == 1, f"{name_of(room)}/__init__.py lists no __all__"
    given = {name for _, name in defined_names(tree)} | {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(exported[0]) <= given


def test_every_module_and_every_public_thing_says_what_it_is() -> None:
    """Modules, public classes and public functions have docstrings."""
    silent = []
    for path in SOURCES:
        tree = parse(path)
        if path.read_text(encoding="utf-8").strip() and ast.get_docstring(tree) is None:
            silent.append(name_of(path))
        silent += [
            f"{name_of(path)}:{thing.lineno} {thing.name}"
            for thing in public_things(tree)
            if ast.get_docstring(thing) is None
        ]
    assert silent == []


def test_every_test_says_what_must_be_true() -> None:
    """Each test has a docstring."""
    silent = [
        f"{name_of(path)}:{function.lineno} {function.name}"
        for path in TESTS
        for function in functions(parse(path))
        if function.name.startswith("test_") and ast.get_docstring(function) is None
    ]
    assert silent == []


def test_one_word_for_one_thing() -> None:
    """No name uses a word for which the glossary has another."""
    found = [
        f"{name_of(path)}:{line} {name}"
        for path in [*SOURCES, *TESTS]
        for line, name in defined_names(parse(path))
        if not words(name).isdisjoint(FORBIDDEN_WORDS)
    ]
    assert found == []


def test_nothing_is_left_for_later() -> None:
    """No source line says that it is unfinished."""
    marks = re.compile(r"#.*\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError")
    found = [
        f"{name_of(path)}:{number}"
        for path in SOURCES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if marks.search(line)
    ]
    assert found == []


def test_codes_of_errors_are_unique() -> None:
    """Each class of the tree has its own stable code, written down in the class itself."""
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.ReplicatorError)
    ]
    codes = [class_.code for class_ in classes]
    assert len(classes) > 15
    assert len(set(codes)) == len(codes)
    assert [class_.__name__ for class_ in classes if "code" not in vars(class_)] == []


def test_the_map_of_the_house_is_the_house() -> None:
    """The package's docstring names every room there is, and no other."""
    text = ast.get_docstring(parse(ROOT / "replicator" / "__init__.py")) or ""
    drawn = {word for line in text.splitlines() if line.startswith("    ") for word in re.findall(r"\b[a-z]+\b", line)}
    rooms = {path.name for path in (ROOT / "replicator").iterdir() if (path / "__init__.py").is_file()}
    assert rooms <= drawn
