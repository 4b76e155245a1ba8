"""A repository on a real S3 server that answers 503, asks to slow down, or cuts connections before or after the act."""

from __future__ import annotations

import random

import pytest

from replicator.errors import AccessDenied, NotFound, Unreachable
from replicator.model.archive.keeping import KeepRule
from replicator.snapshot import Repository, apply_prune, verify_snapshot
from replicator.storage import open_store
from tests.s3 import Faults, S3Server, environment_for, fault_proxy
from tests.unit.snapshot.conftest import FixedClock, Workshop, make_batch, make_slice

FLAWS = {
    "unavailable": Faults(unavailable=0.4),
    "slow_down": Faults(slow_down=0.4),
    "cut_before": Faults(cut_before=0.3),
    "cut_after": Faults(cut_after=0.3),
}
ROUNDS = 4


def take(workshop: Workshop, number: int) -> str:
    """Take a snapshot with records of its own; returns its id."""
    snapshot_id = f"2026110{number + 1}T000000Z-{number:06x}"
    records = [random.Random(number * 100 + n).randbytes(2000) for n in range(40)]
    slices = [make_slice(make_batch(n, [value]), start=n, stop=n + 1) for n, value in enumerate(records)]
    workshop.take(snapshot_id, slices, stop=len(records), chunk_bytes=8192)
    return snapshot_id


def open_workshop(url: str) -> Workshop:
    """A workshop on the bucket."""
    store = open_store(url)
    repository, _is_new = Repository.init(store, clock=FixedClock(), tool="test")
    return Workshop(store, repository)  # type: ignore[arg-type]


@pytest.mark.parametrize("flaw", FLAWS)
def test_through_faults_every_visible_snapshot_is_whole(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch, flaw: str
) -> None:
    """What is asked again until it is done; an act whose answer was lost is known for ours; retention works on."""
    faults = FLAWS[flaw]
    with fault_proxy(s3, faults) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        taken = [take(open_workshop(bucket), number) for number in range(ROUNDS)]
    assert faults.met.get(flaw, 0) >= 5
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    repository = Repository.open(bucket)
    assert taken == repository.list_ids()
    for snapshot_id in repository.list_ids():
        assert verify_snapshot(repository, snapshot_id, clock=FixedClock()).is_ok
    apply_prune(repository, [KeepRule(last=1)], clock=FixedClock())
    assert len(repository.list_ids()) == 1


def test_a_store_that_never_answers_is_told_and_nothing_is_visible(
    s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All retries used up: an error that names the store; the bucket holds no snapshot."""
    workshop = open_workshop(bucket)
    with fault_proxy(s3, Faults(unavailable=1.0)) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setattr("replicator.storage.remote.MAX_RETRIES", 2)
        with pytest.raises(Unreachable, match=bucket):
            Repository.open(bucket)
    assert workshop.repository.list_ids() == []


def test_wrong_credentials_are_access_denied(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a missing repository, and not a network error."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(AccessDenied):
        Repository.open(bucket)


def test_the_environment_names_no_secret_in_errors(s3: S3Server, bucket: str) -> None:
    """What a failing store is told as holds the bucket, never a key."""
    with pytest.raises(NotFound) as caught:
        Repository.open(bucket)
    secret = environment_for(s3.endpoint)["AWS_SECRET_ACCESS_KEY"]
    assert secret not in f"{caught.value} {caught.value.detail}"
