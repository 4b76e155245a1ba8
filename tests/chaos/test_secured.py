"""A right revoked on secured clusters: the connector runs, reads nothing, and is found out; then its source is lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.clock import Deadline
from replicator.connect import ConnectClient
from replicator.jvm import Guardian
from replicator.lab import Lab, LabSpec
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.connectors import ConnectorState
from tests.chaos.acts import play_out
from tests.chaos.faults import Fault, kill_east, let_records_pile_up
from tests.chaos.play import PATIENCE_SECONDS, Play, revive
from tests.conftest import run_lab
from tests.lab.stage import wait_until

pytestmark = [pytest.mark.lab, pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def guarded_arena(tmp_path_factory: pytest.TempPathFactory, _guardian: Guardian, _jars: None) -> Iterator[Lab]:
    """Secured clusters with a worker beside each."""
    for made in run_lab(tmp_path_factory.mktemp("guarded"), LabSpec(is_secure=True), _guardian):
        made.start("east/connect", wait=Deadline.after(120))
        yield made


def denial_of(play: Play) -> AclBinding:
    """Return the rule that keeps MirrorMaker from reading the events."""
    return AclBinding(
        principal="User:mm2",
        resource_type=ResourceType.TOPIC,
        name=play.events,
        pattern=PatternType.LITERAL,
        right=Right.READ,
        permission=Permission.DENY,
    )


def grant_read(play: Play) -> None:
    """Bring east back and take the denial away, as whoever finds it does."""
    revive(play.lab, "east")
    play.east.acls.delete([denial_of(play)], Deadline.after(60))


def revoke_read(play: Play) -> str:
    """Deny MirrorMaker to read the events; RUNNING as before, it is found STALLED, the right named; then lose east."""
    play.east.acls.create([denial_of(play)], Deadline.after(30))

    def found() -> str | None:
        state, cause = play.state()
        return cause if state == "STALLED" and "lost the right to READ" in cause else None

    cause = wait_until(found, seconds=PATIENCE_SECONDS, what="STALLED with its cause", told=play.state)
    assert f"User:mm2 lost the right to READ {play.events} on east" in cause
    with ConnectClient(play.lab.connect_url("west")) as connect:
        status = connect.status(f"{play.name}.source", Deadline.after(30))
    assert status.is_wholly(ConnectorState.RUNNING)
    let_records_pile_up(play)
    told = kill_east(play)
    return f"READ on {play.events} denied to mm2: RUNNING, found {cause!r}; {told}"


def test_a_revoked_right_costs_what_is_told(guarded_arena: Lab, scratch: Path) -> None:
    """All that piled up since is lost, within the bounds; at home again the orphans are the ledger's to the record."""
    fault = Fault("read-revoked", revoke_read, afterwards=grant_read)
    assert play_out(guarded_arena, scratch, fault).skipped == 0
