"""Schemas of a registry: captured with what was deleted, brought back in order with their ids or with a map of them.

The registry is a stand-in written from the published API (tests/registry.py); the client is the real one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from replicator.clock import Deadline
from replicator.errors import (
    AccessDenied,
    ConfigInvalid,
    DataCorrupt,
    DeadlineExceeded,
    NotFound,
    OperationFailed,
    PreflightBlocked,
    Unreachable,
)
from replicator.kafka.registry import SchemaRegistry
from replicator.model.archive.schemas import (
    IdRule,
    RegistryAccess,
    RegistryContent,
    SchemaReference,
    SchemasReport,
    SchemaVersion,
    context_of,
)
from replicator.model.cluster import Secret
from replicator.model.names import ClusterName, SnapshotId
from replicator.snapshot.capture.surroundings import read_surroundings
from replicator.snapshot.schemas import SchemaRestorer, content_from_json, content_to_json
from replicator.snapshot.schemas.planning import order_versions
from tests.registry import StandIn, serve_registry

WEST = ClusterName("west")
SNAPSHOT = "20261122T120000Z-abcdef"
ADDRESS = '{"type":"record","name":"Address","fields":[{"name":"street","type":"string"}]}'
ORDER = '{"type":"record","name":"Order","fields":[{"name":"to","type":"Address"}]}'
WIDER = '{"type":"record","name":"Order","fields":[{"name":"to","type":"Address"},{"name":"n","type":"int"}]}'


def soon() -> Deadline:
    return Deadline.after(60)


@pytest.fixture
def make_registry() -> Iterator[Callable[[], StandIn]]:
    """Starts stand-ins, and ends them."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda: stack.enter_context(serve_registry(StandIn()))


def door(registry: StandIn, **rest) -> SchemaRegistry:
    return SchemaRegistry(RegistryAccess(cluster=WEST, url=registry.url, **rest))


def furnish(registry: StandIn) -> StandIn:
    """Fill it: references against the order of names and ids, holes, deleted versions, a context, own rules."""
    reference = {"name": "Address", "subject": "z-address", "version": 2}
    registry.put("z-address", 40, '"string"', is_deleted=True)
    registry.put("z-address", 41, ADDRESS, metadata={"properties": {"owner": "shop"}})
    registry.put("a-orders-value", 7, ORDER, references=[reference])
    registry.put("a-orders-value", 43, WIDER, references=[reference], version=5)
    registry.put("proto-value", 44, 'syntax = "proto3";', schemaType="PROTOBUF")
    registry.put("gone-value", 45, '"long"', is_deleted=True)
    registry.put(":.eu:orders-value", 7, '"bytes"')
    registry.configs["a-orders-value"] = {"compatibility": "FULL_TRANSITIVE", "compatibilityGroup": "major"}
    registry.modes["proto-value"] = "READONLY"
    return registry


def take(workshop, tools, registry: StandIn) -> SchemaRestorer:
    """A snapshot that holds what the registry holds; returns the restorer's maker."""
    with door(registry) as open_door:
        content = open_door.read(soon())
    batch = tools["batch"](0, [b"x"])
    digest = workshop.repository.put_state("schemas", content_to_json(content))
    workshop.take(
        SNAPSHOT,
        [tools["slice"](batch, start=0, stop=1)],
        stop=1,
        change=lambda manifest: replace(manifest, states={**manifest.states, "schemas": digest}),
    )
    return workshop.repository


def bring_back(repository, target: StandIn, ids: IdRule) -> SchemasReport:
    with door(target) as open_door:
        restorer = SchemaRestorer(open_door, repository, cluster=WEST)
        return restorer.apply(restorer.plan(SnapshotId(SNAPSHOT), ids, deadline=soon()), deadline=soon())


def test_all_is_read_and_the_state_says_the_same(make_registry) -> None:
    """Deleted versions, references, metadata, contexts and own rules are there; the JSON gives them back."""
    registry = furnish(make_registry())
    with door(registry) as open_door:
        content = open_door.read(soon())
    found = {one.place: one for one in content.versions}
    assert {place for place, one in found.items() if one.is_deleted} == {("z-address", 1), ("gone-value", 1)}
    assert found["a-orders-value", 5].references == (SchemaReference(name="Address", subject="z-address", version=2),)
    assert found["z-address", 2].metadata == {"properties": {"owner": "shop"}}
    assert (found["proto-value", 1].schema_type, found["proto-value", 1].id) == ("PROTOBUF", 44)
    assert found[":.eu:orders-value", 1].context == ".eu"
    rules = {one.subject: (one.mode, one.config) for one in content.rules}
    assert rules == {
        None: ("READWRITE", {"compatibility": "BACKWARD"}),
        "a-orders-value": (None, {"compatibility": "FULL_TRANSITIVE", "compatibilityGroup": "major"}),
        "proto-value": ("READONLY", None),
    }
    assert content_from_json(content_to_json(content), where="here") == content


def test_with_the_same_ids_an_empty_registry_becomes_the_same(workshop, tools, make_registry) -> None:
    """Ids, numbers with holes, deleted versions, modes and compatibility are as they were; again changes nothing."""
    source, target = furnish(make_registry()), make_registry()
    repository = take(workshop, tools, source)
    done = bring_back(repository, target, IdRule.SAME)
    assert target.told() == source.told()
    assert (done.versions, done.registered, done.deleted, done.moved) == (7, 7, 2, ())
    target.asked.clear()
    again = bring_back(repository, target, IdRule.SAME)
    assert (again.registered, again.deleted) == (0, 0)
    assert [line for line in target.asked if not line.startswith("GET")] == []


@pytest.mark.parametrize("ids", list(IdRule))
@pytest.mark.parametrize("after", [1, 9, 16, 22])
def test_stopped_midway_the_same_restore_goes_on(workshop, tools, make_registry, ids: IdRule, after: int) -> None:
    """Whatever request is the last one that comes through, the next run ends where an unbroken one would."""
    source, target, whole = furnish(make_registry()), make_registry(), make_registry()
    for registry in (target, whole):
        registry.put("others-value", 300, '"int"')
    repository = take(workshop, tools, source)
    bring_back(repository, whole, ids)
    answer, writes = target.answer, 0

    def break_off(method: str, *rest):
        nonlocal writes
        writes += method != "GET"
        return (400, {"error_code": 1, "message": "stop"}) if writes > after else answer(method, *rest)

    target.answer = break_off
    with pytest.raises(OperationFailed):
        bring_back(repository, target, ids)
    target.answer = answer
    bring_back(repository, target, ids)
    assert target.told() == whole.told()


def test_with_a_map_new_ids_are_told_and_references_follow(workshop, tools, make_registry) -> None:
    """The registry's own ids come, the report pairs each with the captured one, versions point at the new places."""
    source, target = furnish(make_registry()), make_registry()
    target.put("others-value", 7, '"int"')
    done = bring_back(take(workshop, tools, source), target, IdRule.MAP)
    moved = {(one.subject, one.version): (one.captured, one.restored) for one in done.moved}
    for (subject, _), (captured, restored) in moved.items():
        held = {one.id: one.body["schema"] for one in target.subjects[subject].values()}
        was = {one.id: one.body["schema"] for one in source.subjects[subject].values()}
        assert held[restored] == was[captured]
    assert moved["a-orders-value", 1][0] == 7
    assert sorted(target.subjects["a-orders-value"]) == [1, 2]
    assert target.subjects["z-address"][1].is_deleted
    assert target.configs["a-orders-value"]["compatibility"] == "FULL_TRANSITIVE"
    assert any("map of ids" in warning for warning in done.warnings)


def test_ids_and_subjects_of_others_are_not_touched(workshop, tools, make_registry) -> None:
    """An id that is another schema's, or a subject with a stranger in it: refused before anything is written."""
    repository = take(workshop, tools, furnish(make_registry()))
    for fill, told in (
        (lambda r: r.put("others-value", 43, '"int"'), "id 43 of a-orders-value version 5"),
        (lambda r: r.put("a-orders-value", 99, '"int"'), "subject a-orders-value is there with another version 1"),
    ):
        target = make_registry()
        fill(target)
        before = target.told()
        with pytest.raises(PreflightBlocked, match=told):
            bring_back(repository, target, IdRule.SAME)
        assert target.told() == before
        assert all(line.startswith("GET") for line in target.asked)


def test_an_id_counts_within_its_context(workshop, tools, make_registry) -> None:
    """Id 7 stands for two schemas in two contexts, and both come back."""
    target = make_registry()
    bring_back(take(workshop, tools, furnish(make_registry())), target, IdRule.SAME)
    assert target.subjects[":.eu:orders-value"][1].id == target.subjects["a-orders-value"][1].id == 7
    assert [context_of(name) for name in ("orders", ":.eu:orders", ":.eu:")] == [".", ".eu", ".eu"]


def test_what_goes_wrong_is_one_of_our_errors(make_registry, tmp_path) -> None:
    """Refused log-ins, server errors, silence, strangers that answer and a spent deadline are told apart."""
    registry = furnish(make_registry())
    registry.users["reader"] = "pass:word"
    with pytest.raises(AccessDenied), door(registry) as open_door:
        open_door.read(soon())
    with door(registry, username="reader", password=Secret("env:X", "pass:word")) as open_door:
        assert len(open_door.read(soon()).versions) == 7
        with pytest.raises(DeadlineExceeded):
            open_door.read(Deadline.after(0))
    registry.users.clear()
    registry.failures = [503] * 3
    with pytest.raises(Unreachable), door(registry) as open_door:
        open_door.read(soon())
    registry.failures = [503]
    with door(registry) as open_door:
        assert len(open_door.read(soon()).versions) == 7, "one failure is tried again"
    registry.answer = lambda *_: (200, {"welcome": "here"})
    with pytest.raises(OperationFailed, match="none of a registry"), door(registry) as open_door:
        open_door.read(soon())
    with pytest.raises(Unreachable), SchemaRegistry(RegistryAccess(cluster=WEST, url="http://127.0.0.1:1")) as away:
        away.read(soon())
    broken = tmp_path / "ca.pem"
    broken.write_text("none")
    with pytest.raises(ConfigInvalid):
        door(registry, ca_file=str(broken))


def test_without_the_extra_its_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a package is missing the error says which extra brings it."""
    monkeypatch.setitem(sys.modules, "confluent_kafka.schema_registry", None)
    with pytest.raises(ConfigInvalid) as caught:
        SchemaRegistry(RegistryAccess(cluster=WEST, url="http://127.0.0.1:1"))
    assert "replicator[registry]" in str(caught.value.hint)


def test_a_capture_tells_why_it_has_no_schemas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a registry, and with one that does not answer, the reason is listed; with one that does, they are in."""
    for name in ("read_access_rules", "read_quotas", "read_scram_users"):
        monkeypatch.setattr(f"replicator.snapshot.capture.surroundings.{name}", lambda *_, **__: [])
    raw = SimpleNamespace()
    none = read_surroundings(raw, [], deadline=soon())
    assert [(one.what, one.reason.partition(":")[0]) for one in none.not_captured] == [("schemas", "not asked for")]

    def refuse(_: Deadline) -> RegistryContent:
        raise Unreachable("registry of west: silence")

    away = read_surroundings(raw, [], read_schemas=refuse, deadline=soon())
    assert [one.reason for one in away.not_captured] == ["could not be read: registry of west: silence"]
    found = read_surroundings(raw, [], read_schemas=lambda _: RegistryContent(versions=(), rules=()), deadline=soon())
    assert (found.not_captured, found.states["schemas"]) == ((), {"versions": [], "rules": []})


def make_version(subject: str, version: int, id: int, *references: tuple[str, int]) -> SchemaVersion:  # noqa: A002
    wanted = tuple(SchemaReference(name=s, subject=s, version=v) for s, v in references)
    return SchemaVersion(subject=subject, version=version, id=id, schema_type="AVRO", schema="x", references=wanted)


def test_versions_stand_after_what_they_refer_to() -> None:
    """References and earlier versions come first, then lower ids; a circle is refused, with its members."""
    chain = [
        make_version("a", 2, 1),
        make_version("a", 1, 9, ("b", 1)),
        make_version("b", 1, 8, ("c", 1)),
        make_version("c", 1, 7),
        make_version("d", 1, 3),
    ]
    assert [one.place for one in order_versions(chain)] == [("d", 1), ("c", 1), ("b", 1), ("a", 1), ("a", 2)]
    with pytest.raises(DataCorrupt, match="circle"):
        order_versions([make_version("a", 1, 1, ("b", 1)), make_version("b", 1, 2, ("a", 1))])


@pytest.mark.parametrize(
    "change",
    [
        {"versions": [{"subject": "a"}]},
        {"versions": "none"},
        {"rules": [{"subject": 3, "mode": None, "config": None}]},
        {"versions": None},
    ],
)
def test_a_state_that_is_none_is_refused(change: dict) -> None:
    """Whoever can write to the store may have made it up: it is looked at before a registry hears of it."""
    with pytest.raises(DataCorrupt):
        content_from_json({"versions": [], "rules": [], **change}, where="here")
    twice = content_to_json(RegistryContent(versions=(make_version("a", 1, 1),) * 2, rules=()))
    with pytest.raises(DataCorrupt, match="twice"):
        content_from_json(twice, where="here")


def test_a_snapshot_without_schemas_says_why(workshop, tools, make_registry) -> None:
    """Nothing is asked of the registry."""
    workshop.take(SNAPSHOT, [tools["slice"](tools["batch"](0, [b"x"]), start=0, stop=1)], stop=1)
    registry = make_registry()
    with door(registry) as open_door, pytest.raises(NotFound, match="holds no schemas"):
        SchemaRestorer(open_door, workshop.repository, cluster=WEST).plan(
            SnapshotId(SNAPSHOT), IdRule.SAME, deadline=soon()
        )
    assert registry.asked == []
