"""The acts the dashboard knows: what each does, how severe it is, and the command line that does the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownAct:
    """One act. A severe one wants the flow's typed name."""

    name: str
    says: str
    command: str
    is_severe: bool = False

    def shell(self, flow: str) -> str:
        """Return the command line for a flow."""
        return self.command.format(flow=flow)


ACTS = (
    KnownAct("pause", "tasks stay, records wait at the source", "replicator flow pause {flow} --yes"),
    KnownAct("resume", "let a paused or stopped flow run again", "replicator flow resume {flow}"),
    KnownAct("restart", "restart what has failed, and nothing else", "replicator flow restart {flow}"),
    KnownAct("stop", "leave no task; apply will not start it again", "replicator flow stop {flow} --yes"),
    KnownAct("snapshot", "take a snapshot of the standby now", "replicator snapshot create --flow {flow}"),
    KnownAct("drill", "rehearse a failover on cloned groups", "replicator drill {flow}"),
    KnownAct(
        "switchover",
        "planned move to the standby, without loss; both sides alive",
        "replicator switchover {flow} --confirm {flow}",
        is_severe=True,
    ),
    KnownAct(
        "failover",
        "the source is lost: the standby takes over, and what that costs is said",
        "replicator failover {flow} --confirm {flow}",
        is_severe=True,
    ),
    KnownAct(
        "failback",
        "bring the difference home and move back",
        "replicator failback {flow} --confirm {flow}",
        is_severe=True,
    ),
)
"""In the order they are offered: the harmless first."""


MOVES = tuple(act for act in ACTS if act.name in ("drill", "switchover", "failover", "failback"))
"""Those that are runbooks: they are shown with all their steps before they are begun."""

RESTORE = KnownAct(
    "restore", "bring topics of a snapshot back, onto topics that are not there or empty", "replicator snapshot restore"
)
"""It needs a snapshot, and is asked for where they are listed."""


def find_act(name: str) -> KnownAct | None:
    """Return the act of this name."""
    return next((act for act in ACTS if act.name == name), None)
