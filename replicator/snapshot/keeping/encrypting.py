"""Encryption begun, its key wrapped anew, one topic's key destroyed. Each under a claim that bears no other work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replicator.clock import Clock
from replicator.errors import NotFound, PreflightBlocked
from replicator.log import get_logger
from replicator.model.archive.snapshots import Manifest
from replicator.model.archive.unlocking import ShredPlan, Unlock
from replicator.model.names import SnapshotId
from replicator.snapshot.keeping.claims import Purpose, claimed
from replicator.snapshot.keeping.marks import read_holds
from replicator.snapshot.repository import Listed, Repository


def begin_encryption(repository: Repository, *, clock: Clock) -> str:
    """Snapshots from now on are encrypted; earlier ones stay as they are. Return the id of the repository's key.

    Raises: PreflightBlocked when it is encrypted already, somebody is at work, or recipients are to be used without
        signatures; ConfigInvalid.
    """
    with claimed(repository, Purpose.PRUNE, clock=clock):
        key = repository.vault.begin()
    get_logger().info("repository_encrypted", repository=repository.id, key=key)
    return key


def rewrap_key(repository: Repository, *, opened_by: Unlock, clock: Clock) -> str:
    """Who may open the repository is who is configured now, and nobody else; return the key's id.

    No data is touched: who had opened it before may have kept the key itself.
    Raises: AccessDenied when `opened_by` does not open it; PreflightBlocked; ConfigInvalid.
    """
    with claimed(repository, Purpose.PRUNE, clock=clock):
        key = repository.vault.rewrap(opened_by)
    get_logger().info("repository_key_rewrapped", repository=repository.id, key=key)
    return key


def plan_shred(repository: Repository, topic: str) -> ShredPlan:
    """Return which keys would go, and of which snapshots the topic could not be read any more.

    Snapshots that hold the topic unencrypted are told apart: a shred does nothing to them.
    Raises: NotFound when the repository knows nothing of the topic.
    """
    listed, holds = repository.list_snapshots(), read_holds(repository)
    held = [one.manifest for one in listed if one.manifest is not None and _key_of(one.manifest, topic) is not _ABSENT]
    known = repository.vault.keys_of(topic)
    if not held and not known:
        raise NotFound(f"{repository.url} holds nothing of topic {topic!r}", hint="replicator snapshot show latest")
    return ShredPlan(
        topic=topic,
        keys=tuple(one.key for one in known if one.wrapped is not None),
        snapshots=tuple(one.id for one in held if _key_of(one, topic) is not None),
        plain_snapshots=tuple(one.id for one in held if _key_of(one, topic) is None),
        refusals=tuple(_refusals(listed, held, holds, topic)),
    )


_ABSENT = ""


def _key_of(manifest: Manifest, topic: str) -> str | None:
    """Return the key of the topic in that snapshot, None where it is plain, `_ABSENT` where it is not in it."""
    return next((one.key for one in manifest.topics if one.name == topic), _ABSENT)


def _refusals(
    listed: Iterable[Listed], held: Iterable[Manifest], holds: Iterable[SnapshotId], topic: str
) -> Iterator[str]:
    kept = set(holds)
    for manifest in held:
        if manifest.id in kept and _key_of(manifest, topic) is not None:
            yield f"snapshot {manifest.id} is held, and holds topic {topic}"
    for one in listed:
        if one.manifest is None and one.id in kept:
            yield f"snapshot {one.id} is held and cannot be read, so nobody knows what it needs: {one.problem}"


def apply_shred(repository: Repository, topic: str, *, reason: str, clock: Clock) -> ShredPlan:
    """No key of the topic is left in the repository; return what was done. Run again after a kill it goes on.

    What else keeps copies of the folder `keys/` (a bucket's older versions, a backup of it) must forget them too.
    Raises: PreflightBlocked while somebody is at work or a held snapshot needs the topic; NotFound.
    """
    with claimed(repository, Purpose.PRUNE, clock=clock) as claim:
        plan = plan_shred(repository, topic)
        if plan.refusals:
            raise PreflightBlocked(
                f"{repository.url}: {plan.refusals[0]}",
                detail="\n".join(plan.refusals),
                hint="replicator snapshot unkeep ID, when nobody needs it to be held any more",
            )
        claim.confirm()
        repository.vault.shred(topic, now=clock.now(), reason=reason)
    get_logger().info("topic_shredded", topic=topic, keys=len(plan.keys), snapshots=len(plan.snapshots))
    return plan
