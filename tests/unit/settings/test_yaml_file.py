"""YAML is read by 1.2's rules, with places, and bounded in every direction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.errors import ConfigInvalid
from replicator.settings import parse_yaml, settings_of
from replicator.settings.yaml_file import NODES_MAX, SIZE_BYTES_MAX, read_text


def test_words_mean_what_yaml_1_2_says() -> None:
    """`no` and `on` are text, numbers and booleans are what they look like, quotes make text."""
    text = "{a: no, b: on, c: 017, d: 1.5e3, e: true, f: ~, g: '12', h: 2026-01-01, i: 1:20, j: .inf, k: }"
    assert parse_yaml(text, name="x").plain() == {
        "a": "no", "b": "on", "c": 17, "d": 1500.0, "e": True, "f": None, "g": "12",
        "h": "2026-01-01", "i": "1:20", "j": ".inf", "k": None,
    }  # fmt: skip


def test_aliases_are_expanded() -> None:
    """An anchor may be used again; the place told is that of the key that uses it."""
    node = parse_yaml("a: &x [1, 2]\nb: *x\n", name="x")
    assert node.plain() == {"a": [1, 2], "b": [1, 2]}
    assert (node.mark_of(("b",)).line, node.mark_of(("b",)).column) == (2, 1)


BILLION_LAUGHS = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))

REFUSED = [
    ("empty", "", "x:1:1: the file is empty"),
    ("comments", "# nothing\n", "the file is empty"),
    ("two documents", "a: 1\n---\nb: 2\n", "x:3:1: more than one document"),
    ("twice", "a: 1\nb: 2\na: 3\n", "x:3:1: the key 'a' is there twice"),
    ("merge", "a: &a {b: 1}\nc:\n  <<: *a\n", "x:3:3: merge keys"),
    ("tag", "a: !!python/object/apply:os.system [ls]\n", "x:1:4: tags"),
    ("local tag", "a: !vault x\n", "tags (`!...`) mean nothing here"),
    ("list key", "[a]: 1\n", "a key is text"),
    ("number key", "1: a\n", "x:1:1: a key is text; quote it"),
    ("no anchor", "a: *b\n", "an alias (`*...`) without its anchor"),
    ("itself", "a: &a [*a]\n", "an alias inside its own anchor"),
    ("laughs", BILLION_LAUGHS, f"more than {NODES_MAX:,} values, aliases expanded"),
    ("deep", "[" * 500, "nested deeper than 24 levels"),
    ("deep aliases", "".join(f"a{n}: &a{n} [{f'*a{n - 1}' if n else 1}]\n" for n in range(40)), "aliases expanded"),
    ("escape", "a: \x1b\n", "no valid YAML"),
    ("tab", "a:\n\tb: 1\n", "x:2:1: no valid YAML"),
    ("open quote", 'a: "b\n', "no valid YAML"),
    ("indent", "a: 1\n b: 2\n", "x:2:3: no valid YAML"),
]


@pytest.mark.parametrize(("text", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_meant_is_refused_with_its_place(text: str, told: str) -> None:
    """Each kind of bad YAML is one ConfigInvalid that says where and why."""
    with pytest.raises(ConfigInvalid) as caught:
        parse_yaml(text, name="x")
    assert told in str(caught.value)


def test_files_are_bounded_and_utf_8(tmp_path: Path) -> None:
    """A file above 1 MiB, one that is not UTF-8, and a folder are refused; a byte order mark is not in the way."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a" * (SIZE_BYTES_MAX + 1))
    with pytest.raises(ConfigInvalid, match="larger than 1 MiB"):
        read_text(path)
    path.write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(ConfigInvalid, match=r"x\.yaml:2:4: not UTF-8"):
        read_text(path)
    with pytest.raises(ConfigInvalid, match="cannot be read: Is a directory"):
        read_text(tmp_path)
    path.write_bytes("\ufeffa: 1\n".encode())
    assert parse_yaml(read_text(path), name="x").plain() == {"a": 1}


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["[", "[1,", "- ", "{a: ", "a: [b]\n", "!", "!\n", "%a\n", "'x\n ", "&a ", "a: |\n", "x\n  ", "\n", "#"]
)
def test_a_mebibyte_of_anything_ends(piece: str) -> None:
    """A file as large as is allowed is read or refused before the test's time is out, whatever it repeats."""
    text = (piece * (SIZE_BYTES_MAX // len(piece)))[:SIZE_BYTES_MAX]
    with pytest.raises(ConfigInvalid):
        settings_of(parse_yaml(text, name="x"), path=None, environ={})


HOSTILE = st.text(
    alphabet=st.sampled_from("ab:-?[]{},&*!|>'\"%@`#\n \t\\<=~.0123\x00\x1b\ufeff\u2028é😀"), max_size=120
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = [
    "apiVersion",
    "clusters",
    "connect",
    "flows",
    "snapshots",
    "failover",
    "supervisor",
    "east",
    "bootstrap",
    "security",
    "password",
    "topics",
    "include",
    "schedules",
    "cron",
    "timezone",
    "hooks",
    "argv",
    "keep",
    "within",
    "connector",
]
KEYS = st.sampled_from(NAMES) | st.text(max_size=5)
TREES = st.recursive(
    SCALARS, lambda below: st.lists(below, max_size=3) | st.dictionaries(KEYS, below, max_size=5), max_leaves=25
)


def _answer(text: str) -> str:
    """Return what is told of the text; nothing for one that can be used."""
    try:
        settings_of(parse_yaml(text, name="x"), path=Path("x"), environ={})
    except ConfigInvalid as error:
        return str(error)
    return ""


@settings(deadline=None, max_examples=300)
@given(HOSTILE)
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever stands in the file, the answer is settings or ConfigInvalid on one clean line."""
    assert _answer(text).isprintable()


@settings(deadline=None, max_examples=300)
@given(HOSTILE)
def test_any_text_inside_a_good_file_is_read_or_refused(text: str) -> None:
    """The same with a good beginning, so that the checks behind the parser are reached."""
    assert _answer(f"apiVersion: replicator/v1\nclusters:\n  east:\n    bootstrap: {text}").isprintable()


@settings(deadline=None, max_examples=300)
@given(TREES)
def test_any_tree_is_read_or_refused(tree: object) -> None:
    """Any tree of known and unknown keys gives settings or ConfigInvalid, whatever types stand where."""
    text = json.dumps({"apiVersion": "replicator/v1", **tree} if isinstance(tree, dict) else tree)
    assert _answer(text).isprintable()


@pytest.mark.parametrize("text", ["", "a: [1\n", "a: 1\na: 2\n"])
def test_a_file_that_cannot_be_read_says_what_helps(text: str) -> None:
    """Every refusal of a file as a whole names the next command."""
    with pytest.raises(ConfigInvalid) as caught:
        parse_yaml(text, name="x")
    assert "replicator config schema" in (caught.value.hint or "")
