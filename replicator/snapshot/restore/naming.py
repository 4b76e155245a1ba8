"""Under which names topics are restored. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from replicator.errors import NotFound, UsageError
from replicator.model.archive.snapshots import Manifest
from replicator.model.flow import Selection
from replicator.model.names import TopicName

_LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")
"""What a broker takes as a topic's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renaming:
    """How captured names become target names.

    `names` are exact and final. Of the others the first of `patterns` (regular expression, replacement) that matches a
    whole name rewrites it, and all of them get `prefix`.
    """

    names: Mapping[TopicName, TopicName] = field(default_factory=dict)
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    prefix: str = ""

    def name(self, topic: TopicName) -> TopicName:
        """Return what a topic is called on the target. Raises: UsageError for a replacement that cannot be meant."""
        if topic in self.names:
            return self.names[topic]
        for pattern, replacement in self.patterns:
            if match := pattern.fullmatch(topic):
                try:
                    return TopicName(self.prefix + match.expand(replacement))
                except (re.error, IndexError) as exc:
                    raise UsageError(f"--rename-pattern {pattern.pattern}={replacement}: {exc}") from exc
        return TopicName(self.prefix + topic)


def name_targets(manifest: Manifest, *, topics: Selection, renaming: Renaming) -> dict[TopicName, TopicName]:
    """Return captured name → target name of every selected topic.

    Raises: NotFound when nothing is selected; UsageError when two topics would become one, a name is none, or a rename
    names a topic that is not selected.
    """
    chosen = [topic.name for topic in manifest.topics if topics.matches(topic.name)]
    if not chosen:
        raise NotFound(
            f"snapshot {manifest.id} holds no topic that matches {', '.join(topics.include)}",
            hint=f"replicator snapshot show {manifest.id}",
        )
    if unknown := sorted(set(renaming.names) - set(chosen)):
        raise UsageError(
            f"--rename {unknown[0]}: that topic is not restored", hint=f"replicator snapshot show {manifest.id}"
        )
    targets = {name: renaming.name(name) for name in chosen}
    _check_names(targets)
    return targets


def _check_names(targets: Mapping[TopicName, TopicName]) -> None:
    """Return if every target is a name and no two are one; brokers take `a.b` and `a_b` for one, too."""
    for source, target in targets.items():
        if target != source and (not _LEGAL.fullmatch(target) or target in (".", "..")):
            raise UsageError(f"topic {source} would be restored as {target!r}, which is no topic's name")
    counts = Counter(target.replace(".", "_") for target in targets.values())
    twice = sorted(
        (target, source)
        for source, target in targets.items()
        if counts[target.replace(".", "_")] > 1 and not _stood_together(target, targets)
    )
    if twice:
        raise UsageError(
            f"two topics would be restored as {twice[0][0]}: {', '.join(source for _target, source in twice[:5])}",
            hint="give one of them another --rename",
        )


def _stood_together(target: TopicName, targets: Mapping[TopicName, TopicName]) -> bool:
    """Whether those that clash were captured under these very names: then a broker has taken both before."""
    alike = [source for source, other in targets.items() if other.replace(".", "_") == target.replace(".", "_")]
    return all(targets[source] == source for source in alike)
