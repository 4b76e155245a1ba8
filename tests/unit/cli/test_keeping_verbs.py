"""`snapshot keep|unkeep|prune` and `repo check|stats|unlock` as a person and a script meet them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replicator.cli.main import run
from replicator.snapshot import Repository
from replicator.storage import open_store
from tests.unit.snapshot.conftest import FixedClock, Workshop, make_batch, make_slice

IDS = ["20261101T000000Z-0000aa", "20261102T000000Z-0000bb", "20261103T000000Z-0000cc"]
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def store(tmp_path: Path) -> str:
    """The path of a repository with three snapshots."""
    path = str(tmp_path / "repository")
    objects = open_store(path)
    repository, _is_new = Repository.init(objects, clock=FixedClock(), tool="test")
    workshop = Workshop(objects, repository)  # type: ignore[arg-type]
    for number, snapshot_id in enumerate(IDS):
        workshop.take(snapshot_id, [make_slice(make_batch(0, [b"%d" % number]), start=0, stop=1)], stop=1)
    return path


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a verb without anybody to ask; returns its status and the item it printed, or what it complained of."""

    def asked(*arguments: str) -> tuple[int, Any]:
        status = run(["--no-input", "-o", "json", *arguments])
        printed = capsys.readouterr()
        return status, json.loads(printed.out)["item"] if printed.out else printed.err

    return asked


def ids_in(store: str) -> list[str]:
    """The snapshots there are."""
    return list(Repository.open(store).list_ids())


def test_a_prune_shows_its_plan_and_acts_only_after_a_yes(ask: Ask, store: str) -> None:
    """A dry run tells all, without a yes nothing happens, with it what was told."""
    status, plan = ask("snapshot", "prune", "--store", store, "--keep-last", "1", "--dry-run")
    assert (status, plan["is_done"], plan["forgotten"]) == (0, False, IDS[:2])
    status, told = ask("snapshot", "prune", "--store", store, "--keep-last", "1")
    assert (status, ids_in(store)) == (6, IDS)
    assert "--yes" in told
    status, done = ask("snapshot", "prune", "--store", store, "--keep-last", "1", "--yes")
    assert (status, done["is_done"], done["forgotten"], ids_in(store)) == (0, True, IDS[:2], IDS[2:])


def test_a_kept_snapshot_stays_until_it_is_let_go(ask: Ask, store: str) -> None:
    """`keep` beats the rules and shows in the list; `unkeep` asks."""
    assert ask("snapshot", "keep", IDS[0], "--reason", "lawsuit", "--store", store)[0] == 0
    assert ask("snapshot", "prune", "--store", store, "--keep-last", "1", "--yes")[0] == 0
    assert ids_in(store) == [IDS[0], IDS[2]]
    assert ask("snapshot", "unkeep", IDS[0], "--store", store)[0] == 6
    assert ask("snapshot", "unkeep", IDS[0], "--store", store, "--yes")[0] == 0
    assert ask("snapshot", "unkeep", IDS[0], "--store", store, "--yes")[0] == 10
    assert ask("snapshot", "prune", "--store", store, "--keep-last", "1", "--yes")[0] == 0
    assert ids_in(store) == [IDS[2]]


def test_a_verification_protects_from_retention(ask: Ask, store: str) -> None:
    """`snapshot verify` leaves the note that the newest verified snapshot stays for."""
    assert ask("snapshot", "verify", IDS[0], "--store", store)[0] == 0
    assert ask("snapshot", "prune", "--store", store, "--keep-last", "1", "--yes")[0] == 0
    assert ids_in(store) == [IDS[0], IDS[2]]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--keep-within", "soon"], "--keep-within"),
        (["--tag", "nightly"], "no --keep option"),
        (["--keep-last", "-1"], "keep-last"),
    ],
)
def test_a_rule_that_cannot_be_meant_is_refused(ask: Ask, store: str, options: list[str], told: str) -> None:
    """The message names the option, and nothing is touched."""
    status, complaint = ask("snapshot", "prune", "--store", store, *options, "--yes")
    assert (status, told in complaint, ids_in(store)) == (2, True, IDS)


def test_check_stats_and_unlock(ask: Ask, store: str) -> None:
    """Counts are those of the store; a missing pack is a failure that is named; force needs the id typed."""
    status, stats = ask("repo", "stats", store)
    assert (status, stats["snapshots"], stats["packs"], stats["garbage_bytes"]) == (0, 3, 3, 0)
    assert ask("repo", "check", store)[1]["is_ok"] is True
    assert ask("repo", "unlock", store) == (0, {"claims": [], "is_forced": False})
    assert ask("repo", "unlock", store, "--force")[0] == 6
    (Path(store) / "claims").mkdir(exist_ok=True)
    (Path(store) / "claims" / "use-00").write_bytes(b"")
    identity = Repository.open(store).id
    assert ask("repo", "unlock", store, "--force", "--confirm", identity)[1]["claims"] == ["claims/use-00"]
    next(iter((Path(store) / "packs").glob("*/*"))).unlink()
    assert ask("repo", "check", store)[0] == 1
