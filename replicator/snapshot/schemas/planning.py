"""In which order schemas come back, and what stands in their way. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from replicator.errors import DataCorrupt
from replicator.model.archive.schemas import (
    IdRule,
    RegistryContent,
    SchemasPlan,
    SchemaStep,
    SchemaVersion,
    SubjectRules,
)
from replicator.model.names import ClusterName, SnapshotId

Place = tuple[str, int]
"""Subject and version."""


def order_versions(versions: Sequence[SchemaVersion]) -> list[SchemaVersion]:
    """Return the versions so that each stands after those it refers to and after its subject's earlier ones.

    Of what may stand in any order, lower ids come first. Raises: DataCorrupt where no order exists.
    """
    known = {one.place: one for one in versions}
    earlier = _earlier(versions)
    graph = {
        one.place: [
            *([earlier[one.place]] if one.place in earlier else []),
            *((r.subject, r.version) for r in one.references if (r.subject, r.version) in known),
        ]
        for one in versions
    }
    sorter = TopologicalSorter(graph)
    try:
        sorter.prepare()
    except CycleError as exc:
        subjects = ", ".join(f"{subject} version {number}" for subject, number in exc.args[1])
        raise DataCorrupt(f"schemas refer to each other in a circle: {subjects}") from exc
    ordered: list[SchemaVersion] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda place: (known[place].id, place))
        ordered += [known[place] for place in ready]
        sorter.done(*ready)
    return ordered


def _earlier(versions: Sequence[SchemaVersion]) -> dict[Place, Place]:
    by_subject: dict[str, list[int]] = {}
    for one in sorted(versions, key=lambda version: version.place):
        by_subject.setdefault(one.subject, []).append(one.version)
    return {
        (subject, number): (subject, before)
        for subject, numbers in by_subject.items()
        for before, number in pairwise(numbers)
    }


def plan_schemas(
    snapshot: SnapshotId,
    cluster: ClusterName,
    captured: RegistryContent,
    there: RegistryContent,
    *,
    ids: IdRule,
    taken: Mapping[tuple[str, int], str],
) -> SchemasPlan:
    """Return what brings the captured schemas to a registry that holds `there`.

    `taken`: by context and id, the text of schemas that hold a wanted id there, under whatever subject.
    A subject that is there already must hold nothing but what was captured: then an earlier restore is gone on with.
    Raises: DataCorrupt where the captured schemas have no order.
    """
    steps = [SchemaStep(version=one, there=_find(one, there, ids)) for one in order_versions(captured.versions)]
    refusals = [*_strangers(captured, there, ids), *_dangling(captured)]
    if ids is IdRule.SAME:
        refusals += _taken_ids(captured, taken)
    return SchemasPlan(
        snapshot=snapshot,
        cluster=cluster,
        ids=ids,
        steps=tuple(steps),
        rules=_unsettled(steps, captured, there),
        refusals=tuple(dict.fromkeys(refusals)),
        warnings=_warnings(captured, there, ids),
    )


def _unsettled(
    steps: Sequence[SchemaStep], captured: RegistryContent, there: RegistryContent
) -> tuple[SubjectRules, ...]:
    """Return the captured rules of subjects that are worked on, or that stand under other ones."""
    wanted = {one.subject: one for one in captured.rules}
    found = {one.subject: one for one in there.rules}
    busy = {step.version.subject for step in steps if step.must_register or step.must_delete}
    rules = []
    for subject in sorted({step.version.subject for step in steps}):
        own = wanted.get(subject, SubjectRules(subject=subject))
        if subject in busy or own != found.get(subject, SubjectRules(subject=subject)):
            rules.append(own)
    return tuple(rules)


def _find(wanted: SchemaVersion, there: RegistryContent, ids: IdRule) -> SchemaVersion | None:
    """Return the version of the target that is the captured one: by number and id, or with new ids by its schema."""
    for one in there.versions:
        if one.subject != wanted.subject:
            continue
        if ids is IdRule.SAME and (one.version, one.id, one.schema) == (wanted.version, wanted.id, wanted.schema):
            return one
        if ids is IdRule.MAP and (one.schema_type, one.schema) == (wanted.schema_type, wanted.schema):
            return one
    return None


def _strangers(captured: RegistryContent, there: RegistryContent, ids: IdRule) -> Iterator[str]:
    """Yield every version of a wanted subject on the target that is none of the captured ones."""
    wanted = {one.subject for one in captured.versions}
    for one in there.versions:
        if one.subject not in wanted:
            continue
        mirror = RegistryContent(versions=captured.versions, rules=())
        if _find(one, mirror, ids) is None:
            yield f"subject {one.subject} is there with another version {one.version} (id {one.id})"


def _dangling(captured: RegistryContent) -> Iterator[str]:
    known = {one.place for one in captured.versions}
    for one in captured.versions:
        for reference in one.references:
            if (reference.subject, reference.version) not in known:
                yield (
                    f"{one.subject} version {one.version} refers to {reference.subject} version {reference.version}, "
                    "which was not captured"
                )


def _taken_ids(captured: RegistryContent, taken: Mapping[tuple[str, int], str]) -> Iterator[str]:
    for one in captured.versions:
        text = taken.get((one.context, one.id))
        if text is not None and text != one.schema:
            yield f"id {one.id} of {one.subject} version {one.version} is another schema's there"


def _warnings(captured: RegistryContent, there: RegistryContent, ids: IdRule) -> tuple[str, ...]:
    found = []
    if ids is IdRule.MAP:
        found.append("records name the captured ids: their readers need the map of ids that the report lists")
    mine = next((one for one in captured.rules if one.subject is None), None)
    theirs = next((one for one in there.rules if one.subject is None), None)
    if mine is not None and theirs is not None and (mine.mode, mine.config) != (theirs.mode, theirs.config):
        was, now = (f"mode {one.mode} with {dict(one.config or {})}" for one in (mine, theirs))
        found.append(f"the whole registry's own rules are left as they are: {now}, captured was {was}")
    return tuple(found)
