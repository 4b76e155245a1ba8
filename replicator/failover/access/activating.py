"""Gives the applications their rights on a promoted target, and takes back what was given when it is a standby again.

What is given is journaled before it is: nothing is ever taken back that was not ours. A target that refuses does not
hold up a move, since what is lost then is an hour of somebody with the right; it is told as an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from replicator.errors import AccessDenied, OperationFailed
from replicator.failover.access.staging import Wanted, application_rules, missing_rules, rules_for_target, staged_rules
from replicator.failover.fences.rules import standing_fences
from replicator.failover.sources import read_source
from replicator.failover.world import ACT_SECONDS, ASK_SECONDS, READ_SECONDS, World
from replicator.journal import PROMOTE_STEP, Observed, facts_of, merge_records
from replicator.kafka import KafkaCluster
from replicator.model.acls import AclBinding, PatternType, Permission, ResourceType, Right
from replicator.model.forms.figures import show_items
from replicator.model.names import ClusterName
from replicator.model.operations import JournalRecord, StepPhase

GIVEN = "rights_given"
WITHDRAWN = "rights_withdrawn"
UNSURE = "rights_unsure"
AT_ONCE = 1_000
"""So many rules are created in one request, and told in one record: Kafka takes 10,000 changes in one."""


def activate_rules(world: World) -> None:
    """Leave the applications with the rights on the target that they have on the source, as far as those are known;
    what stands there already stays as it is.

    Raises:
        Unreachable, DeadlineExceeded: the target does not answer. A refusal is journaled and told instead.
    """
    if not world.activates_rules or not world.target.acls.has_authorizer(world.deadline(ASK_SECONDS)):
        return
    try:
        wanted, doubts = read_wanted(world)
        _give(world, missing_rules(wanted.rules, world.target.acls.list(world.deadline(ASK_SECONDS))))
    except (AccessDenied, OperationFailed) as error:
        doubts = (f"{error.message}; `replicator acl staged {world.name} --commands` grants them",)
    if doubts:
        world.logbook.add_fact(PROMOTE_STEP, UNSURE, {"cluster": world.flow.target, "told": "; ".join(doubts)})


def read_wanted(world: World) -> tuple[Wanted, tuple[str, ...]]:
    """Return the rules for the target, of a source that lives or as they were kept on the standby; and in words why
    there may be others.

    Raises:
        AccessDenied, OperationFailed: a living source does not tell its rules.
    """
    observed = world.observed
    if world.is_planned:
        wanted = rules_for_target(world.flow, _read_rules(world, observed), topics=observed.topics)
    elif observed.access:
        wanted = staged_rules(world.flow, observed)
    elif world.survey is not None and world.survey.is_answering:
        deadline = world.deadline(READ_SECONDS)
        observed = read_source(world.source, world.flow, world.moves_group, world.clock, deadline)
        wanted = rules_for_target(world.flow, _read_rules(world, observed), topics=observed.topics)
    else:
        return Wanted(), (f"nobody has read those on {world.flow.source} while it lived: none were given",)
    return wanted, _tell_left_out(world, wanted)


def _read_rules(world: World, observed: Observed) -> dict[str, tuple[AclBinding, ...]]:
    records = merge_records([world.logbook.all_records, world.peer_records])
    return application_rules(
        world.flow,
        world.source.acls.list(world.deadline(ASK_SECONDS)),
        topics=observed.topics,
        groups=observed.groups,
        exempt=world.fencing.exempt,
        fences=standing_fences(records, world.flow.source),
    )


def _tell_left_out(world: World, wanted: Wanted) -> tuple[str, ...]:
    if not wanted.left_out:
        return ()
    return (f"{show_items(len(wanted.left_out), 'rule')} of {world.flow.source} that denies everybody was left out",)


def _give(world: World, missing: Sequence[AclBinding]) -> None:
    for first in range(0, len(missing), AT_ONCE):
        rules = missing[first : first + AT_ONCE]
        rows = [rule_to_row(rule) for rule in rules]
        number = len(given_items(facts_of(world.logbook.records, PROMOTE_STEP)))
        world.logbook.add_fact(PROMOTE_STEP, f"{GIVEN}:{number}", {"cluster": world.flow.target, "rows": rows})
        world.logbook.require_lease()
        world.target.acls.create(rules, world.deadline(ACT_SECONDS))


def withdraw_rules(world: World, cluster: KafkaCluster, name: ClusterName, *, step: str) -> None:
    """Leave none of the rules on a cluster that our promotions have given there: it is a standby again."""
    rules = standing_gifts(merge_records([world.logbook.all_records, world.peer_records]), name)
    for first in range(0, len(rules), AT_ONCE):
        part = rules[first : first + AT_ONCE]
        world.logbook.require_lease()
        cluster.acls.delete(part, world.deadline(ACT_SECONDS))
    if rules:
        world.logbook.add_fact(step, WITHDRAWN, {"cluster": name, "rules": len(rules)})


def standing_gifts(records: Iterable[JournalRecord], cluster: ClusterName) -> tuple[AclBinding, ...]:
    """Return the rules that promotions have given on a cluster since they were last withdrawn there."""
    found: set[AclBinding] = set()
    for record in records:
        if record.phase != StepPhase.FACT or record.body.get("cluster") != cluster or record.item is None:
            continue
        if record.item == WITHDRAWN:
            found.clear()
        elif record.item.startswith(f"{GIVEN}:"):
            found |= {rule_from_row(row) for row in record.body["rows"]}
    return tuple(sorted(found))


def given_items(facts: Mapping[str, Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the facts of a promotion that tell rules it gave."""
    return [fact for item, fact in facts.items() if item.startswith(f"{GIVEN}:")]


def access_exceptions(records: Sequence[JournalRecord]) -> list[str]:
    """Return why the applications of a promoted target may lack rights there, in words."""
    unsure = facts_of(records, PROMOTE_STEP).get(UNSURE)
    return [] if unsure is None else [f"applications' rights on {unsure['cluster']}: {unsure['told']}"]


def rights_told(records: Sequence[JournalRecord]) -> str | None:
    """Return in words what a promotion gave; None where it gave nothing."""
    rows = [row for fact in given_items(facts_of(records, PROMOTE_STEP)) for row in fact["rows"]]
    if not rows:
        return None
    return f"{show_items(len(rows), 'rule')} for {show_items(len({row[0] for row in rows}), 'principal')}"


def rule_to_row(rule: AclBinding) -> list[str]:
    """Return a rule as the journal keeps it."""
    return [
        rule.principal,
        rule.resource_type.value,
        rule.pattern.value,
        rule.name,
        rule.right.value,
        rule.permission.value,
        rule.host,
    ]


def rule_from_row(row: Sequence[str]) -> AclBinding:
    """Return the rule that the journal keeps."""
    principal, kind, pattern, name, right, permission, host = row
    return AclBinding(
        principal=principal,
        resource_type=ResourceType(kind),
        pattern=PatternType(pattern),
        name=name,
        right=Right(right),
        permission=Permission(permission),
        host=host,
    )
