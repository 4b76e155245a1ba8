"""`survey`: what both sides look like, and whether a failover is the right thing to do at all."""

from __future__ import annotations

from replicator.errors import PreflightBlocked, ReplicatorError
from replicator.failover.engine.runbook import Step
from replicator.failover.facts import GroupsKnownFrom, Survey, to_body
from replicator.failover.groups.known import groups_known_from, observed_groups
from replicator.failover.loss import SourceWatch, unknown_window_seconds
from replicator.failover.steps.limit import account_flow, find_excess
from replicator.failover.takeover import undo_takeover
from replicator.failover.world import ASK_SECONDS, Choices, Override, World
from replicator.kafka import probe_listeners
from replicator.model.flow import Flow
from replicator.model.forms.figures import show_items
from replicator.model.observations import Reachability
from replicator.model.operations import Blocked, Done, Finding, Ready

PROBE_SECONDS = 2.0
AT_ONCE_SECONDS = 0.5
STALE_GROUPS_SECONDS = 900.0
"""Group positions older than this are not taken without a word from the operator."""

ITEM = "survey"
CUT_STEP = "cut"


def check_survey(world: World) -> Finding:
    """Done once this process has looked at both sides and found nothing that forbids a failover."""
    if world.survey is None:
        world.survey = take_survey(world)
    survey = world.survey
    blocked = find_blocker(survey, flow=world.flow, choices=world.choices) or _find_excess(world, survey)
    if blocked is not None:
        return blocked
    record = world.log.fact_record("survey", ITEM) if world.log is not None else None
    if record is not None and world.log is not None and record.epoch == world.log.epoch:
        return Done(summarise(survey))
    return Ready(tell_survey(survey))


def do_survey(world: World) -> None:
    """Journal what was found."""
    survey = world.survey or take_survey(world)
    world.logbook.add_fact("survey", ITEM, to_body(survey))


def take_survey(world: World) -> Survey:
    """Return both sides as they are now; nothing is changed.

    Raises:
        Unreachable, WrongCluster, AccessDenied: the target does not answer as itself.
    """
    description = world.target.verify_identity(world.deadline(ASK_SECONDS))
    observed = world.observed
    observation = observed.clusters.get(world.flow.source)
    listeners = _known_listeners(world, observation.listeners if observation else ())
    answer = probe_listeners(listeners, timeout_seconds=PROBE_SECONDS)
    answered_at = world.now()
    mirrored = world.read_mirrored()
    return Survey(
        answer=answer,
        is_answering=answer is Reachability.REACHABLE and _answers_as_cluster(world),
        answered_at=answered_at,
        listeners=listeners,
        target_cluster_id=description.cluster_id,
        observation=observation,
        topics_observed=len(observed.topics),
        groups_observed=len(observed_groups(world)),
        groups_known_from=groups_known_from(world),
        partitions_mirrored=sum(world.flow.carries_topic(tp.topic) for tp in mirrored),
        unreadable=observed.unreadable,
    )


def refuse_one_cluster(world: World) -> None:
    """Return only if the flow's two names are not seen to be one cluster. A source that does not answer at once is not
    waited for: one that is lost is no target.

    Raises:
        PreflightBlocked: they are one. Nothing was written.
        Unreachable, WrongCluster, AccessDenied: the target does not answer as itself.
    """
    target = world.target.verify_identity(world.deadline(ASK_SECONDS))
    told = _known_listeners(world, ())
    is_one = not {f"{broker.host}:{broker.port}" for broker in target.brokers}.isdisjoint(told)
    if is_one or _source_id(world, told) == target.cluster_id:
        raise PreflightBlocked(
            f"{world.flow.source} and {world.flow.target} are one and the same cluster ({target.cluster_id})",
            hint=f"correct clusters.{world.flow.source}.bootstrap or clusters.{world.flow.target}.bootstrap",
        )


def _source_id(world: World, listeners: tuple[str, ...]) -> str | None:
    """Return the id that the source gives, None where it gives none at once."""
    if probe_listeners(listeners, timeout_seconds=AT_ONCE_SECONDS) is not Reachability.REACHABLE:
        return None
    try:
        return world.source.describe(world.deadline(4 * AT_ONCE_SECONDS)).cluster_id
    except ReplicatorError:
        return None  # the survey tells what is wrong with it


def _known_listeners(world: World, advertised: tuple[str, ...]) -> tuple[str, ...]:
    told = (address.strip() for address in world.source.access.bootstrap.split(","))
    return tuple(dict.fromkeys([*advertised, *(address for address in told if address)]))


def _answers_as_cluster(world: World) -> bool:
    """Whether the source answers a request; a frozen broker accepts connections and answers nothing."""
    try:
        world.source.describe(world.deadline(ASK_SECONDS / 2))
    except ReplicatorError:
        return False
    return True


def find_blocker(survey: Survey, *, flow: Flow, choices: Choices) -> Blocked | None:
    """Return why a failover must not go on, or None. What was accepted by name blocks no more."""
    if survey.partitions_mirrored == 0 and survey.topics_observed == 0:
        return Blocked(f"nothing was ever mirrored by flow {flow.name}", f"replicator flow show {flow.name}")
    if not choices.accepts(Override.SPLIT_BRAIN):
        blocked = _find_life(survey, flow)
        if blocked is not None:
            return blocked
    return None if choices.accepts(Override.STALE_GROUPS) else _find_staleness(survey, flow)


def _find_excess(world: World, survey: Survey) -> Blocked | None:
    """Return why what would be lost now is too much, or None; once the cut is taken, the cut alone is judged."""
    is_cut = world.log is not None and bool(world.log.facts(CUT_STEP))
    if world.choices.loss_max is None or is_cut:
        return None
    loss = account_flow(world, survey, world.read_mirrored(), now=world.now())
    return find_excess(loss, flow=world.flow, choices=world.choices)


def _find_life(survey: Survey, flow: Flow) -> Blocked | None:
    """Only a source whose every listener refuses is sure to take no more writes."""
    again = f"replicator failover {flow.name} --confirm {flow.name} --accept split-brain"
    if survey.is_answering:
        return Blocked(
            f"the source {flow.source} is alive: clients may write there while {flow.target} takes over",
            f"a planned move loses nothing: `replicator switchover {flow.name}`; or `{again}`",
        )
    if survey.answer is not Reachability.REFUSED:
        return Blocked(
            f"the source {flow.source} does not answer, but it does not refuse either: it may be alive for others",
            f"make sure that it is down, then `{again}`",
        )
    seen = survey.observation
    if seen is not None and seen.reachability is Reachability.REACHABLE and seen.observed_at > survey.answered_at:
        return Blocked(
            f"the source {flow.source} refuses us, but the supervisor has just read it", f"replicator status; `{again}`"
        )
    return None


def _find_staleness(survey: Survey, flow: Flow) -> Blocked | None:
    again = f"replicator failover {flow.name} --confirm {flow.name} --accept stale-groups"
    if survey.groups_known_from is not GroupsKnownFrom.OBSERVATIONS:
        return Blocked(
            "no observation of the groups is left: they can only start over at the log start, or not be set at all",
            again,
        )
    window = survey_window_seconds(survey)
    if window is None or window > STALE_GROUPS_SECONDS:
        told = _tell_unread(survey) if window is None else f"{window:.0f} s before it was last known to live"
        return Blocked(f"the groups' positions were read {told}: all they did since would be done again", again)
    return None


def _tell_unread(survey: Survey) -> str:
    """Return when the source was read, where no window can be told from it."""
    seen = survey.observation
    if seen is None or seen.last_reached_at is None:
        return "never"
    return f"at {seen.last_reached_at:%H:%M:%S} UTC, which this clock has not reached (one of the two stepped)"


def survey_window_seconds(survey: Survey) -> float | None:
    """Return for how many seconds the source may have written, and groups committed, unseen."""
    watch = SourceWatch(observation=survey.observation, answer=survey.answer, answered_at=survey.answered_at)
    return unknown_window_seconds(watch, now=survey.answered_at)


def summarise(survey: Survey) -> dict[str, object]:
    """Return what the journal says of a survey in a few words; the whole of it is its fact."""
    return {
        "source": "answers" if survey.is_answering else survey.answer.value,
        "unknown_window_seconds": survey_window_seconds(survey),
        "groups_known_from": survey.groups_known_from.value,
        "groups": survey.groups_observed,
        "topics": survey.topics_observed,
    }


def tell_survey(survey: Survey) -> str:
    """Return the survey as one sentence."""
    window = survey_window_seconds(survey)
    told = f"read {_tell_unread(survey)}" if window is None else f"unread for {window:.1f} s"
    source = "answers" if survey.is_answering else survey.answer.value
    return (
        f"source {source}, {told}; {show_items(survey.topics_observed, 'topic')} observed, "
        f"{show_items(survey.groups_observed, 'group')} from {survey.groups_known_from.value}"
    )


SURVEY = Step(
    name="survey",
    says="Look at both sides: is the source gone, and what is known of it",
    check=check_survey,
    do=do_survey,
    undo=undo_takeover,
    is_read_only=True,
    proof_seconds=0.0,
)
