"""The routes: each reads what is kept and answers with it. None waits for a cluster."""

from replicator.api.routes.alerts import router as alerts_router
from replicator.api.routes.events import router as events_router
from replicator.api.routes.flows import router as flows_router
from replicator.api.routes.operations import router as operations_router
from replicator.api.routes.probes import router as probes_router
from replicator.api.routes.serving import Serving

ROUTERS = (probes_router, flows_router, operations_router, events_router, alerts_router)

__all__ = ["ROUTERS", "Serving"]
