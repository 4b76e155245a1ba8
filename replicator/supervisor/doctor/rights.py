"""Which rights a configuration needs, on which cluster, for which principal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from replicator.model.acls import AclBinding
from replicator.model.flow import Flow, Naming
from replicator.model.names import ClusterName
from replicator.model.rights import Holder, NeededRight, RightsGround, needed_rights, reversed_flow, unique_rights
from replicator.settings import SecuritySettings, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRights:
    """What one principal must be granted on one cluster. `principal` None: nobody logs in there by a name."""

    cluster: ClusterName
    holder: Holder
    principal: str | None
    needs: tuple[NeededRight, ...]

    @property
    def bindings(self) -> tuple[AclBinding, ...]:
        """The rules that grant it all; none for a principal without a name."""
        return () if self.principal is None else tuple(need.binding(self.principal) for need in self.needs)


def rights_of_settings(
    settings: Settings, *, flow: str | None = None, holder: Holder | None = None
) -> tuple[ClusterRights, ...]:
    """Return what is needed by cluster and holder; where a Connect stands beside the source, for the way back too.

    Raises:
        NotFound: no such flow.
    """
    flows = settings.flows if flow is None else (settings.flow(flow),)
    found = unique_rights(need for one in flows for need in _needs(settings, one))
    chosen = [need for need in found if holder in (None, need.holder)]
    keys = sorted({(need.cluster, need.holder) for need in chosen})
    return tuple(
        ClusterRights(
            cluster=cluster,
            holder=one,
            principal=principal_of(settings, cluster, one),
            needs=tuple(need for need in chosen if (need.cluster, need.holder) == (cluster, one)),
        )
        for cluster, one in keys
    )


def _needs(settings: Settings, flow: Flow) -> Iterator[NeededRight]:
    for one in _directions(settings, flow):
        yield from needed_rights(one, _ground(settings, one, is_way_home=one.source != flow.source))


def _directions(settings: Settings, flow: Flow) -> Iterable[Flow]:
    yield flow
    if flow.source in settings.document.connect and flow.naming is Naming.IDENTITY:
        yield reversed_flow(flow)


def _ground(settings: Settings, flow: Flow, *, is_way_home: bool) -> RightsGround:
    worker = settings.connect_topics(flow.target)
    return RightsGround(
        topic_prefix=settings.supervisor.topic_prefix,
        supervisor_id=settings.supervisor.id,
        group_id=worker.group_id,
        configs_topic=worker.configs_topic,
        offsets_topic=worker.offsets_topic,
        status_topic=worker.status_topic,
        can_fence=settings.failover.fence == "acl",
        can_give=settings.failover.access_rules == "activate",
        has_snapshots=settings.store is not None,
        is_way_home=is_way_home,
    )


def principal_of(settings: Settings, cluster: str, holder: Holder) -> str | None:
    """Return the principal as rules name it; None where it logs in by certificate, or not at all."""
    section = settings.document.clusters[cluster]
    security: SecuritySettings = section.security
    if holder is Holder.MIRROR and section.mirror is not None:
        security = section.mirror
    return f"User:{security.username}" if security.is_sasl and security.username else None
