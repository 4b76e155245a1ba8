"""Schemas brought back to a registry: planned, registered in order, deleted again where they were, rules last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from replicator.clock import Deadline
from replicator.errors import NotFound, PreflightBlocked
from replicator.model.archive.schemas import (
    IdRule,
    MovedId,
    RegistryContent,
    SchemaReference,
    SchemasPlan,
    SchemasReport,
    SchemaVersion,
    SubjectRules,
)
from replicator.model.names import ClusterName, SnapshotId
from replicator.snapshot.repository import Repository
from replicator.snapshot.schemas.planning import Place, plan_schemas
from replicator.snapshot.schemas.states import content_from_json

UNCHECKED = {"compatibility": "NONE"}
"""Rules a subject has while its history comes back: what was compatible then need not be under the rules of today."""


class SchemaDoor(Protocol):
    """What a restore asks of a registry; each method as `replicator.kafka.registry.SchemaRegistry` has it."""

    def read(self, deadline: Deadline) -> RegistryContent:
        """Return all it holds."""

    def find_id(self, subject: str, id: int, deadline: Deadline) -> str | None:  # noqa: A002 - the registry's word
        """Return the text of the schema with that id."""

    def open_for_ids(self, subject: str, deadline: Deadline, *, has_versions: bool) -> None:
        """The subject takes ids."""

    def register(self, version: SchemaVersion, deadline: Deadline, *, keeps_id: bool) -> int:
        """The version is registered; return its id."""

    def find_number(self, version: SchemaVersion, deadline: Deadline) -> int:
        """Return under which number the subject has this schema."""

    def delete_version(self, subject: str, number: int, deadline: Deadline) -> None:
        """The version is deleted and kept."""

    def set_rules(self, rules: SubjectRules, deadline: Deadline) -> None:
        """Mode and configuration are these."""


class SchemaRestorer:
    """Brings the schemas of one repository's snapshots to the registry of one cluster."""

    def __init__(self, registry: SchemaDoor, repository: Repository, *, cluster: ClusterName) -> None:
        self._registry = registry
        self._repository = repository
        self._cluster = cluster

    def plan(self, snapshot_id: SnapshotId, ids: IdRule, *, deadline: Deadline) -> SchemasPlan:
        """Return what `apply` would do, having changed nothing.

        Raises: NotFound when the snapshot holds no schemas; DataCorrupt; the registry's errors.
        """
        manifest = self._repository.read_manifest(snapshot_id)
        if "schemas" not in manifest.states:
            reason = next((one.reason for one in manifest.not_captured if one.what == "schemas"), "not asked for")
            raise NotFound(
                f"snapshot {snapshot_id} holds no schemas: {reason}", hint=f"replicator snapshot show {snapshot_id}"
            )
        state = self._repository.read_state(manifest, "schemas")
        captured = content_from_json(state, where=f"state schemas of {snapshot_id}")
        there = self._registry.read(deadline)
        taken = self._find_taken(captured, deadline) if ids is IdRule.SAME else {}
        return plan_schemas(snapshot_id, self._cluster, captured, there, ids=ids, taken=taken)

    def _find_taken(self, captured: RegistryContent, deadline: Deadline) -> dict[tuple[str, int], str]:
        taken: dict[tuple[str, int], str] = {}
        for one in captured.versions:
            key = (one.context, one.id)
            if key not in taken and (text := self._registry.find_id(one.subject, one.id, deadline)) is not None:
                taken[key] = text
        return taken

    def apply(self, plan: SchemasPlan, *, deadline: Deadline) -> SchemasReport:
        """Every captured version is in the registry, deleted where it was, under the captured rules of its subject.

        Killed midway, a subject may stand in mode IMPORT or unchecked: the same restore again goes on and ends that.
        Raises: PreflightBlocked before anything was changed; the registry's errors midway.
        """
        if plan.refusals:
            raise PreflightBlocked(
                f"registry of {plan.cluster}: {plan.refusals[0]}",
                detail="\n".join(plan.refusals),
                hint="restore to an empty registry, or give new ids with --ids map",
            )
        self._open_subjects(plan, deadline)
        places, moved = self._register_all(plan, deadline)
        gone = [step.version for step in reversed(plan.steps) if step.must_delete]
        for one in gone:  # what refers to a version goes before it: a registry keeps what is referred to
            self._registry.delete_version(one.subject, places[one.place], deadline)
        for rules in plan.rules:
            self._registry.set_rules(rules, deadline)
        return SchemasReport(
            snapshot=plan.snapshot,
            cluster=plan.cluster,
            ids=plan.ids,
            subjects=len({step.version.subject for step in plan.steps}),
            versions=len(plan.steps),
            registered=sum(step.must_register for step in plan.steps),
            deleted=len(gone),
            moved=moved,
            warnings=plan.warnings,
        )

    def _open_subjects(self, plan: SchemasPlan, deadline: Deadline) -> None:
        """Subjects that are worked on take any schema, and with the same ids the ids too."""
        there = {step.version.subject for step in plan.steps if step.there is not None}
        for rules in plan.rules:
            if rules.subject is None:
                continue
            self._registry.set_rules(SubjectRules(subject=rules.subject, config=UNCHECKED), deadline)
            if plan.ids is IdRule.SAME:
                self._registry.open_for_ids(rules.subject, deadline, has_versions=rules.subject in there)

    def _register_all(self, plan: SchemasPlan, deadline: Deadline) -> tuple[dict[Place, int], tuple[MovedId, ...]]:
        """Return under which number every captured version stands now, and the ids that are others."""
        places: dict[Place, int] = {}
        moved = []
        for step in plan.steps:
            wanted, found = step.version, step.there
            if step.must_register:
                sent = _refer(wanted, places)
                id_ = self._registry.register(sent, deadline, keeps_id=plan.ids is IdRule.SAME)
                is_same = plan.ids is IdRule.SAME
                number = wanted.version if is_same else self._registry.find_number(sent, deadline)
            elif found is not None:
                id_, number = found.id, found.version
            places[wanted.place] = number
            if id_ != wanted.id:
                moved.append(MovedId(subject=wanted.subject, version=wanted.version, captured=wanted.id, restored=id_))
        return places, tuple(moved)


def _refer(version: SchemaVersion, places: Mapping[Place, int]) -> SchemaVersion:
    """Return the version with its references to where those stand on the target."""
    references = tuple(
        SchemaReference(name=r.name, subject=r.subject, version=places.get((r.subject, r.version), r.version))
        for r in version.references
    )
    return replace(version, references=references)
