"""A flow's own checks: exactly once, offset syncs, converters, durability, clocks, its plan. Values to values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from replicator.flow import FlowFacts
from replicator.model.cluster import ConfigValue
from replicator.model.flow import Delivery, Flow
from replicator.model.forms.figures import show_items
from replicator.model.names import TopicName
from replicator.supervisor.doctor.facts import FlowProbe
from replicator.supervisor.doctor.findings import Finding, Severity

BYTE_ARRAYS = "org.apache.kafka.connect.converters.ByteArrayConverter"
CONVERTERS = ("key.converter", "value.converter", "header.converter")
EXACTLY_ONCE_KEY = "exactly.once.support"
SYNCS_KEY = "offset-syncs.topic.location"
MIN_IN_SYNC, UNCLEAN = "min.insync.replicas", "unclean.leader.election.enable"
SKEW_SECONDS_MAX = 2.0
"""A heartbeat cannot arrive before it was sent; a little is lost to the reading of two clocks."""
DELAY_SECONDS_MAX = 60.0
_UNCHECKED = ("exactly-once", "offset-syncs", "converters", "durability", "clock", "plan")


def flow_findings(probe: FlowProbe) -> Iterator[Finding]:
    """Yield what was found of one flow; where it could not be read, one finding for each check not made."""
    subject = f"flow {probe.flow.name}"
    if probe.plan is None or probe.facts is None:
        why = probe.trouble.message if probe.trouble else "a cluster or the Connect of the flow does not answer"
        for check in _UNCHECKED:
            what = f"could not be checked: {why}"
            yield Finding(
                check=check,
                subject=subject,
                severity=Severity.UNKNOWN,
                what=what,
                fix=probe.trouble.hint if probe.trouble else None,
            )
        return
    yield _exactly_once(probe.flow, probe.facts, subject)
    yield _syncs(probe.flow, probe.facts, subject)
    yield _converters(probe.flow, probe.facts, subject)
    yield from _durability(probe.flow, probe.facts, subject)
    yield _clock(probe, subject)
    yield from _plan(probe, subject)


def _exactly_once(flow: Flow, facts: FlowFacts, subject: str) -> Finding:
    told = [
        error
        for found in facts.connect.findings.values()
        for finding in found
        if finding.key == EXACTLY_ONCE_KEY
        for error in finding.errors
    ]
    if flow.delivery is not Delivery.EXACTLY_ONCE:
        what = "delivery is at_least_once: loss is bounded, not counted"
        return Finding(check="exactly-once", subject=subject, severity=Severity.SKIPPED, what=what)
    if told:
        return Finding(
            check="exactly-once",
            subject=subject,
            severity=Severity.BLOCKED,
            what=told[0],
            fix="set exactly.once.source.support=enabled on every worker (first `preparing`, then `enabled`)",
        )
    what = "the worker takes source connectors that require it"
    return Finding(check="exactly-once", subject=subject, severity=Severity.OK, what=what)


def _syncs(flow: Flow, facts: FlowFacts, subject: str) -> Finding:
    wrong = {
        name: connector.config.get(SYNCS_KEY, "source")
        for name, connector in facts.connect.connectors.items()
        if name in (flow.source_connector, flow.checkpoint_connector)
        and connector.config.get(SYNCS_KEY, "source") != "target"
    }
    if wrong:
        first = min(wrong)
        return Finding(
            check="offset-syncs",
            subject=subject,
            severity=Severity.BLOCKED,
            what=f"{first} keeps its offset syncs on the {wrong[first]}: they would be lost with it",
            fix=f"replicator apply {flow.name}",
        )
    if flow.syncs_topic not in facts.target.topics:
        what = f"{flow.syncs_topic} is not on {flow.target} yet: the first apply makes it"
        return Finding(check="offset-syncs", subject=subject, severity=Severity.SKIPPED, what=what)
    what = f"in {flow.syncs_topic} on {flow.target}, the survivor"
    return Finding(check="offset-syncs", subject=subject, severity=Severity.OK, what=what)


def _converters(flow: Flow, facts: FlowFacts, subject: str) -> Finding:
    connector = facts.connect.connectors.get(flow.source_connector)
    if connector is None:
        what = "bytes are bytes in the template; the flow was not applied yet"
        return Finding(check="converters", subject=subject, severity=Severity.OK, what=what)
    wrong = [key for key in CONVERTERS if connector.config.get(key) != BYTE_ARRAYS]
    if wrong:
        return Finding(
            check="converters",
            subject=subject,
            severity=Severity.BLOCKED,
            what=f"{wrong[0]} of {connector.name} is {connector.config.get(wrong[0])}: records would change",
            fix=f"replicator apply {flow.name}",
        )
    return Finding(check="converters", subject=subject, severity=Severity.OK, what="keys, values, headers as bytes")


def _durability(flow: Flow, facts: FlowFacts, subject: str) -> Iterator[Finding]:
    found = [one for topic in sorted(facts.source.topics) for one in _weaker(flow, facts, topic, subject)]
    yield from found
    if not found:
        what = "copies are as durable as what they copy"
        yield Finding(check="durability", subject=subject, severity=Severity.OK, what=what)


def _weaker(flow: Flow, facts: FlowFacts, topic: TopicName, subject: str) -> Iterator[Finding]:
    """Yield in what the copy of one topic is weaker; a copy that is not made yet, by what it will be."""
    if not flow.carries_topic(topic):
        return
    remote = flow.remote_topic(topic)
    wanted = facts.source.topics[topic].replication_factor
    made = facts.target.topics.get(remote)
    replicas = made.replication_factor if made is not None else max(1, min(wanted, facts.target.brokers))
    if replicas < wanted:
        yield Finding(
            check="durability",
            subject=subject,
            severity=Severity.WARNING,
            what=f"{remote} has {show_items(replicas, 'replica')} on {flow.target}, {topic} {wanted} on {flow.source}",
            fix=f"add brokers to {flow.target}, then kafka-reassign-partitions.sh"
            if facts.target.brokers < wanted
            else f"kafka-reassign-partitions.sh on {flow.target}, topic {remote}",
        )
    ours, theirs = facts.target.configs.get(remote, {}), facts.source.configs.get(topic, {})
    if _number(ours, MIN_IN_SYNC) < min(_number(theirs, MIN_IN_SYNC), replicas) and remote in facts.target.topics:
        yield Finding(
            check="durability",
            subject=subject,
            severity=Severity.WARNING,
            what=f"{remote} on {flow.target} has {MIN_IN_SYNC}={_number(ours, MIN_IN_SYNC)}, "
            f"{topic} on {flow.source} {_number(theirs, MIN_IN_SYNC)}",
            fix=_configure(remote, f"{MIN_IN_SYNC}={_number(theirs, MIN_IN_SYNC)}"),
        )
    if _is_true(ours, UNCLEAN) and not _is_true(theirs, UNCLEAN):
        yield Finding(
            check="durability",
            subject=subject,
            severity=Severity.WARNING,
            what=f"{remote} on {flow.target} allows unclean leaders: acknowledged records may vanish",
            fix=_configure(remote, f"{UNCLEAN}=false"),
        )


def _configure(topic: str, setting: str) -> str:
    return f"kafka-configs.sh --bootstrap-server $BOOTSTRAP --alter --topic {topic} --add-config {setting}"


def _number(configs: Mapping[str, ConfigValue], key: str) -> int:
    found = configs.get(key)
    value = found.value if found is not None else None
    return int(value) if value is not None and value.isdecimal() else 1


def _is_true(configs: Mapping[str, ConfigValue], key: str) -> bool:
    found = configs.get(key)
    return found is not None and found.value == "true"


def _clock(probe: FlowProbe, subject: str) -> Finding:
    if probe.beat is None:
        why = probe.beat_trouble.message if probe.beat_trouble else "no heartbeat of ours has arrived yet"
        severity = Severity.UNKNOWN if probe.beat_trouble else Severity.SKIPPED
        what = f"clocks cannot be compared: {why}"
        return Finding(check="clock", subject=subject, severity=severity, what=what, fix="replicator run")
    took = (probe.beat.stamped_at - probe.beat.sent_at).total_seconds()
    if took < -SKEW_SECONDS_MAX:
        what = f"{probe.flow.target} stamps heartbeats {-took:.1f} s before they are sent: its clock is behind"
    elif took > DELAY_SECONDS_MAX:
        what = f"{probe.flow.target} stamps heartbeats {took:.1f} s after they are sent: late, or its clock is ahead"
    else:
        what = f"the last heartbeat was stamped {took:.1f} s after it was sent"
        return Finding(check="clock", subject=subject, severity=Severity.OK, what=what)
    fix = "let a time service (chrony, ntpd) keep every clock; then replicator doctor"
    return Finding(check="clock", subject=subject, severity=Severity.WARNING, what=what, fix=fix)


def _plan(probe: FlowProbe, subject: str) -> Iterator[Finding]:
    """What forbids to apply the flow, and whether it is applied. Warnings on durability are told there already."""
    plan, facts = probe.plan, probe.facts
    assert plan is not None and facts is not None  # noqa: S101, PT018 - flow_findings has looked
    for refusal in plan.refusals:
        if EXACTLY_ONCE_KEY not in refusal.why:
            yield Finding(check="plan", subject=subject, severity=Severity.BLOCKED, what=refusal.line, fix=refusal.hint)
    for warning in plan.warnings:
        if " replicas, " not in warning:
            fix = f"replicator plan {plan.flow}"
            yield Finding(check="plan", subject=subject, severity=Severity.WARNING, what=warning, fix=fix)
    if plan.refusals:
        return
    is_applied = probe.flow.source_connector in facts.connect.connectors
    if not is_applied:
        what, severity = "was not applied yet", Severity.OK
    elif plan.changes:
        what, severity = f"differs from the configuration in {len(plan.changes)} things", Severity.WARNING
    else:
        yield Finding(check="plan", subject=subject, severity=Severity.OK, what="is as configured")
        return
    yield Finding(check="plan", subject=subject, severity=severity, what=what, fix=f"replicator apply {plan.flow}")
