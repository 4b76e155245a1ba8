"""`survey` of a planned move: both sides answer as themselves, and the flow can finish what is left to mirror."""

from __future__ import annotations

from replicator.errors import ReplicatorError
from replicator.failover.engine.runbook import Step
from replicator.failover.facts import Survey
from replicator.failover.steps.gaps import ITEM as GAPS
from replicator.failover.steps.gaps import find_gap_blocker, gaps_to_fact, read_gaps, tell_gaps
from replicator.failover.steps.stop_flow import ask_connect
from replicator.failover.steps.survey import do_survey, summarise, take_survey, tell_survey
from replicator.failover.world import World
from replicator.model.connectors import ConnectorState
from replicator.model.flow import Flow
from replicator.model.operations import Blocked, Done, Finding, Ready, StepPhase

NAME = "survey"
SURVEYED = "survey"


def check_both_sides(world: World) -> Finding:
    """Done once this process has looked at both sides and found nothing that forbids a planned move."""
    if world.survey is None:
        try:
            world.survey = take_survey(world)
        except ReplicatorError as error:
            return _cannot_look(world, error)
    blocked = find_planned_blocker(world.survey, world.flow) or _find_standstill(world)
    if blocked is not None:
        return blocked
    record = world.log.fact_record(NAME, SURVEYED) if world.log is not None else None
    if record is not None and world.log is not None and record.epoch == world.log.epoch:
        return Done(summarise(world.survey))
    return Ready(tell_survey(world.survey))


def _cannot_look(world: World, error: ReplicatorError) -> Blocked:
    return Blocked(
        f"a planned move needs both sides alive: {error.message}",
        f"`replicator failover {world.name} --dry-run` where {world.flow.source} is lost",
    )


def find_planned_blocker(survey: Survey, flow: Flow) -> Blocked | None:
    """Return why a planned move must not begin, by what both sides told; or None."""
    if not survey.is_answering:
        return Blocked(
            f"the source {flow.source} does not answer: nothing can be drained",
            f"`replicator failover {flow.name} --dry-run` tells what its loss would cost",
        )
    return None


def _find_standstill(world: World) -> Blocked | None:
    """Return why the flow cannot mirror what is left: it has to run until it has; then we stop it ourselves."""
    if world.forward is not None:
        return None  # a failback makes its flow first
    if world.log is not None and world.log.has("stop_flow", StepPhase.INTENT):
        return None
    name, again = world.flow.source_connector, f"replicator flow show {world.flow.name}"
    statuses = ask_connect(world)
    if statuses is None:
        url = world.connect.url if world.connect else "none is configured"
        return Blocked(f"Connect does not answer ({url}): what is left cannot be mirrored", again)
    status = statuses.get(name)
    if status is None or not status.is_wholly(ConnectorState.RUNNING) or not status.tasks:
        told = "does not exist" if status is None else f"is {status.state.value} with {len(status.tasks)} tasks"
        return Blocked(f"connector {name} {told}: what is left cannot be mirrored", again)
    return None


def check_whole(world: World) -> Finding:
    """Done as `check_both_sides`, and nothing was deleted at the source before it was mirrored, or it was accepted."""
    found = check_both_sides(world)
    if isinstance(found, Blocked):
        return found
    if world.log is not None and isinstance(found, Done):
        return found  # told, accepted and journaled by this process
    gaps = read_gaps(world)
    blocked = find_gap_blocker(world, gaps)
    if blocked is not None or not gaps or not isinstance(found, Ready):
        return blocked or found
    return Ready(f"{found.says}; {tell_gaps(gaps)}, which was accepted")


def do_survey_whole(world: World) -> None:
    """Journal what was found, and what the standby lacks."""
    world.logbook.add_fact(NAME, GAPS, gaps_to_fact(read_gaps(world)))
    do_survey(world)


SURVEY_WHOLE = Step(
    name=NAME,
    says="Look at both sides: both alive, the flow mirrors, and nothing was deleted before it was mirrored",
    check=check_whole,
    do=do_survey_whole,
    is_read_only=True,
    proof_seconds=0.0,
)

SURVEY_BOTH = Step(
    name=NAME,
    says="Look at both sides: both alive, and the flow mirrors",
    check=check_both_sides,
    do=do_survey,
    is_read_only=True,
    proof_seconds=0.0,
)
