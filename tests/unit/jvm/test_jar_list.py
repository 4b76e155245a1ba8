"""The committed list of jars: complete, consistent, and the only thing that decides."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from replicator.errors import NotFound
from replicator.jvm.jarstore.jarlist import Jar, JarSet, find_jar_set, read_jar_list
from replicator.jvm.jarstore.relock import KAFKA_VERSION, ROOTS


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_every_set_has_whole_hashes_and_distinct_files(name: str) -> None:
    """Each jar has a SHA-256, a size and a file name of its own."""
    jars = find_jar_set(name).jars
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) and jar.size_bytes > 0 for jar in jars)
    assert len({jar.file_name for jar in jars}) == len(jars)


@pytest.mark.parametrize("name", sorted(ROOTS))
def test_every_root_is_in_its_set(name: str) -> None:
    """What a set was resolved from is part of it, at that version."""
    listed = {jar.coordinate for jar in find_jar_set(name).jars}
    assert {root.removesuffix("!") for root in ROOTS[name]} <= listed


def test_all_of_kafka_is_of_one_version() -> None:
    """No dependency brought a Kafka jar of another version: mixed ones start and then fail."""
    versions = {
        jar.coordinate.rsplit(":", 1)[1]
        for jar in find_jar_set("kafka").jars
        if jar.coordinate.startswith("org.apache.kafka:")
    }
    assert versions == {KAFKA_VERSION}


def test_connect_can_log() -> None:
    """The SLF4J binding is there; without it Connect logs nothing."""
    assert any(":log4j-slf4j-impl:" in jar.coordinate for jar in find_jar_set("kafka").jars)


def test_a_set_is_known_by_its_content() -> None:
    """The fingerprint, which names the cache folder, changes with any hash and with nothing else."""
    jars = (Jar("g:a:1", "0" * 64, 1), Jar("g:b:1", "1" * 64, 1))
    base = JarSet("x", jars)
    assert base.fingerprint == JarSet("y", jars[::-1]).fingerprint
    assert base.fingerprint != JarSet("x", (jars[0], replace(jars[1], sha256="2" * 64))).fingerprint


def test_an_unknown_set_names_the_known_ones() -> None:
    """Asking for a set that is not listed says which are."""
    with pytest.raises(NotFound) as caught:
        find_jar_set("kafka-9")
    assert all(name in (caught.value.hint or "") for name in read_jar_list())
