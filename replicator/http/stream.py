"""A stream of server-sent events, read to its end, its silence, or until whoever reads has enough."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2

from replicator.errors import AccessDenied, ConfigInvalid, DataCorrupt, Unreachable
from replicator.http.client import tell_reason, trust_for
from replicator.model.cluster import Secret

EVENT_BYTES_MAX = 16 * 1024 * 1024
CONNECT_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. `id` is the last id the server gave, on this event or before it; empty before the first."""

    kind: str
    data: str
    id: str


@contextmanager
def open_stream(
    url: str,
    *,
    idle_seconds: float,
    token: Secret | None = None,
    ca_file: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Iterator[ServerEvent]]:
    """Yield the events of `url` as they come; a silence of `idle_seconds` ends it.

    Raises:
        Unreachable: nobody answered, the connection broke, or it fell silent.
        AccessDenied: status 401 or 403. DataCorrupt: what answers is no stream of events.
    """
    sent = dict(headers or {})
    if token is not None:
        sent["Authorization"] = f"Bearer {token.value}"
    timeout = httpx2.Timeout(idle_seconds, connect=min(idle_seconds, CONNECT_SECONDS_MAX))
    try:
        with (
            httpx2.Client(verify=trust_for(url, ca_file), trust_env=False, timeout=timeout) as client,
            client.sse(url, headers=sent, max_event_size=EVENT_BYTES_MAX) as source,
        ):
            _check(source.response, url)
            yield (ServerEvent(event.event, event.data, event.id) for event in source)
    except httpx2.InvalidURL as exc:
        raise ConfigInvalid(f"{url}: not a URL: {exc}") from exc
    except httpx2.SSEError as exc:
        raise DataCorrupt(f"GET {url}: {exc}") from exc
    except (httpx2.HTTPError, httpx2.StreamError, OSError) as exc:
        raise Unreachable(f"GET {url}: {tell_reason(exc)}") from exc


def _check(response: httpx2.Response, url: str) -> None:
    if response.status_code in (401, 403):
        raise AccessDenied(f"GET {url}: status {response.status_code}")
    if response.status_code != 200:
        raise Unreachable(f"GET {url}: status {response.status_code}")
