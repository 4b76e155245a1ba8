"""Clearing out: snapshots that retention lets go, and what no snapshot names any more. Plan first, then do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from replicator.clock import Clock
from replicator.errors import NotFound, PreflightBlocked
from replicator.log import get_logger
from replicator.model.archive.keeping import Garbage, KeepRule, PrunePlan, RepositoryStats
from replicator.model.archive.snapshots import Manifest
from replicator.model.names import SnapshotId
from replicator.snapshot.keeping.claims import Claim, Purpose, claimed, look_at_claims
from replicator.snapshot.keeping.marks import HOLDS, VERIFICATIONS, read_candidates, read_holds
from replicator.snapshot.keeping.retention import decide_retention
from replicator.snapshot.repository import Listed, Repository
from replicator.snapshot.repository.notes import UNFINISHED
from replicator.snapshot.repository.packs import pack_key
from replicator.snapshot.repository.repository import MANIFESTS, PACKS, STATES
from replicator.storage import StoredObject

GRACE_SECONDS = 24 * 3600.0
"""An object younger than this is never garbage: its snapshot may be about to be published."""
DELETED_AT_ONCE = 500
DATA_FOLDERS = (PACKS, STATES, UNFINISHED)
"""What lies there is garbage unless a manifest names it; none names the note of an unfinished capture."""


def plan_prune(
    repository: Repository, rules: Sequence[KeepRule], *, now: datetime, grace_seconds: float = GRACE_SECONDS
) -> PrunePlan:
    """Return what a prune would do now. Without a rule every snapshot stays, and only garbage goes.

    Raises: the store's errors.
    """
    listed = repository.list_snapshots()
    decisions = decide_retention(read_candidates(repository), rules, now=now)
    kept = {one.id for one in decisions if one.is_kept}
    remaining = [one.manifest for one in listed if one.id in kept and one.manifest is not None]
    objects = [entry for folder in DATA_FOLDERS for entry in repository.store.list(folder)]
    young_from = now - timedelta(seconds=grace_seconds)
    return PrunePlan(
        decisions=decisions,
        garbage=tuple(find_garbage(objects, named_objects(remaining), young_from=young_from)),
        dead_bytes=_count_dead(remaining),
        refusals=tuple(_refusals(listed)),
    )


def _refusals(listed: Iterable[Listed]) -> Iterator[str]:
    for one in listed:
        if one.manifest is None:
            yield f"snapshot {one.id} cannot be read, so nobody knows what it needs: {one.problem}"


def named_objects(manifests: Iterable[Manifest]) -> set[str]:
    """Return the key of every pack and state that one of the manifests names."""
    named: set[str] = set()
    for manifest in manifests:
        named.update(pack_key(pack) for pack in manifest.pack_sizes)
        named.update(f"{STATES}/{digest}" for digest in manifest.states.values())
    return named


def find_garbage(objects: Iterable[StoredObject], named: set[str], *, young_from: datetime) -> Iterator[Garbage]:
    """Yield every object that is not named; what was stored since `young_from` is told as young."""
    for entry in objects:
        if entry.key not in named:
            yield Garbage(key=entry.key, size_bytes=entry.size_bytes, is_young=entry.modified_at >= young_from)


def _count_dead(manifests: Iterable[Manifest]) -> int:
    """Return the bytes in packs that stay, of chunks that no manifest names."""
    sizes: dict[str, int] = {}
    used: dict[tuple[str, int], int] = {}
    for manifest in manifests:
        sizes |= manifest.pack_sizes
        for _partition, chunk in manifest.chunks():
            used[chunk.pack, chunk.offset] = chunk.stored.stored_bytes
    return max(0, sum(sizes.values()) - sum(used.values()))


def apply_prune(
    repository: Repository,
    rules: Sequence[KeepRule],
    *,
    clock: Clock,
    expected: PrunePlan | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> PrunePlan:
    """What retention lets go and the garbage are gone; return what was done.

    Under a claim that bears no other work; planned anew under it. With `expected` no snapshot goes that it
    did not name. Manifests go before the data they name: a snapshot is whole or not there at all. Run again
    after a kill it goes on.

    Raises: PreflightBlocked while somebody is at work, or when a manifest cannot be read; the store's errors.
    """
    with claimed(repository, Purpose.PRUNE, clock=clock) as claim:
        plan = plan_prune(repository, rules, now=clock.now(), grace_seconds=grace_seconds)
        if plan.refusals:
            raise PreflightBlocked(
                f"{repository.url}: {plan.refusals[0]}",
                detail="\n".join(plan.refusals),
                hint="replicator repo check",
            )
        if expected is not None and (more := set(plan.forgotten) - set(expected.forgotten)):
            raise PreflightBlocked(
                f"{repository.url}: meanwhile snapshot {min(more)} would go too", hint="look at the plan again"
            )
        _forget(repository, plan.forgotten, claim)
        _delete(repository, [one.key for one in plan.garbage if not one.is_young], claim)
        repository.store.delete_unfinished(clock.now() - timedelta(seconds=grace_seconds))
    get_logger().info("repository_pruned", forgotten=len(plan.forgotten), freed_bytes=plan.freed_bytes)
    return plan


def _forget(repository: Repository, snapshots: Sequence[SnapshotId], claim: Claim) -> None:
    held = read_holds(repository)
    notes = [entry.key for entry in repository.store.list(VERIFICATIONS)]
    gone = [one for one in snapshots if one not in held]
    _delete(repository, [f"{MANIFESTS}/{one}" for one in gone], claim)
    _delete(repository, [key for key in notes if key.split("/")[1] in set(gone)], claim)


def _delete(repository: Repository, keys: Sequence[str], claim: Claim) -> None:
    for start in range(0, len(keys), DELETED_AT_ONCE):
        claim.confirm()
        repository.store.delete(keys[start : start + DELETED_AT_ONCE])


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCheck:
    """What is wrong with a repository as a whole, as far as listings and manifests tell."""

    snapshots: int
    problems: tuple[str, ...]
    garbage: tuple[Garbage, ...]

    @property
    def is_ok(self) -> bool:
        """Whether every snapshot can be read and all it names is there, whole in size."""
        return not self.problems


def check_repository(repository: Repository, *, now: datetime) -> RepositoryCheck:
    """Return every manifest that cannot be read, and all it names, keys too, that is missing or cut short.

    Raises: DataCorrupt when a key object is not whole; the store's errors.
    """
    listed = repository.list_snapshots()
    objects = {e.key: e for folder in DATA_FOLDERS for e in repository.store.list(folder)}
    manifests = [one.manifest for one in listed if one.manifest is not None]
    problems = [f"snapshot {one.id}: {one.problem}" for one in listed if one.manifest is None]
    for manifest in manifests:
        problems += _missing_of(manifest, {key: entry.size_bytes for key, entry in objects.items()})
        problems += _lost_keys(repository, manifest)
    known = {one.id for one in listed}
    problems += [f"a hold is on snapshot {one}, which is gone" for one in read_holds(repository) if one not in known]
    garbage = find_garbage(
        objects.values(), named_objects(manifests), young_from=now - timedelta(seconds=GRACE_SECONDS)
    )
    return RepositoryCheck(snapshots=len(listed), problems=tuple(problems), garbage=tuple(garbage))


def _missing_of(manifest: Manifest, sizes: Mapping[str, int]) -> Iterator[str]:
    for pack, size_bytes in manifest.pack_sizes.items():
        seen = sizes.get(pack_key(pack))
        if seen is None:
            yield f"snapshot {manifest.id}: pack {pack} is missing"
        elif seen != size_bytes:
            yield f"snapshot {manifest.id}: pack {pack} is {seen} bytes long, {size_bytes} were written"
    for kind, digest in manifest.states.items():
        if f"{STATES}/{digest}" not in sizes:
            yield f"snapshot {manifest.id}: its {kind} are missing (states/{digest})"


def _lost_keys(repository: Repository, manifest: Manifest) -> Iterator[str]:
    """A key that was shredded is no problem: it was meant to go."""
    if manifest.encryption is not None and repository.vault.key != manifest.encryption:
        yield f"snapshot {manifest.id}: the repository's key {manifest.encryption} is missing (keys/)"
    for topic in manifest.topics:
        try:
            if topic.key is not None:
                repository.vault.check_present(topic.key)
        except NotFound as exc:
            yield f"snapshot {manifest.id}: topic {topic.name}: {exc.message}"


def count_repository(repository: Repository, *, clock: Clock) -> RepositoryStats:
    """Return what the repository holds, and who is at work in it."""
    listed = repository.list_snapshots()
    manifests = [one.manifest for one in listed if one.manifest is not None]
    objects = [entry for folder in DATA_FOLDERS for entry in repository.store.list(folder)]
    named = named_objects(manifests)
    return RepositoryStats(
        snapshots=len(listed),
        unreadable=len(listed) - len(manifests),
        held=sum(1 for _ in repository.store.list(HOLDS)),
        packs=sum(entry.key.startswith(f"{PACKS}/") for entry in objects),
        stored_bytes=sum(entry.size_bytes for entry in objects),
        plain_bytes=sum(manifest.totals.bytes for manifest in manifests),
        garbage_bytes=sum(entry.size_bytes for entry in objects if entry.key not in named),
        claims=tuple(one.key for one in look_at_claims(repository, clock=clock)),
    )
