"""A blocking HTTP client whose every request ends: by an answer, a refusal, or its deadline."""

from __future__ import annotations

import json as json_codec
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

from replicator.clock import SYSTEM_CLOCK, Clock, Deadline
from replicator.errors import AccessDenied, ConfigInvalid, DataCorrupt, DeadlineExceeded, Unreachable
from replicator.model.cluster import Secret

_ERRNO = re.compile(r"^\[Errno -?\d+\] ", re.ASCII)
ANSWER_BYTES_MAX = 64 * 1024 * 1024
"""No answer is read beyond this: a wrong server must not fill our memory."""

OTHER_HINT = "another program may answer there: correct the address, or ask `replicator doctor`"

_CONNECTIONS_MAX = 8


@dataclass(frozen=True, slots=True)
class Response:
    """One whole answer. `status` is the HTTP status, `url` what was asked."""

    status: int
    body: bytes
    url: str

    @property
    def is_success(self) -> bool:
        """Whether the status is one of the 200s."""
        return 200 <= self.status < 300

    def text(self) -> str:
        """Return the body as UTF-8, bad bytes replaced."""
        return self.body.decode("utf-8", errors="replace")

    def json(self) -> Any:
        """Return the body as JSON's own types.

        Raises:
            DataCorrupt: the body is no JSON; another program answers at this address.
        """
        try:
            return json_codec.loads(self.body)
        except (ValueError, RecursionError) as exc:  # JSON nested too deep to be read is none of ours either
            raise DataCorrupt(f"{self.url}: the answer (status {self.status}) is no JSON", hint=OTHER_HINT) from exc


class HttpClient:
    """Holds the connections to one server. A context manager; safe to share between threads."""

    def __init__(
        self,
        base_url: str,
        *,
        timeout_seconds: float,
        token: Secret | None = None,
        username: str | None = None,
        password: Secret | None = None,
        ca_file: str | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        headers = {"Accept": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.value}"
        self._client = httpx2.Client(
            auth=_login(username, password),
            headers=headers,
            verify=trust_for(self.base_url, ca_file),
            trust_env=False,
            limits=httpx2.Limits(max_connections=_CONNECTIONS_MAX, keepalive_expiry=5.0),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> Response:
        """Return the whole answer to one request, within `timeout_seconds` from now.

        Raises:
            Unreachable: nobody answered at the address, or the connection broke.
            DeadlineExceeded: the answer was not complete in time.
            AccessDenied: status 401 or 403.
        """
        deadline = Deadline.after(timeout_seconds or self._timeout_seconds, clock=self._clock)
        what = f"{method} {self.base_url}{path}"
        try:
            response = self._ask(method, path, json=json, params=params, deadline=deadline)
        except httpx2.TimeoutException as exc:
            raise DeadlineExceeded(f"{what}: no answer in time") from exc
        except httpx2.InvalidURL as exc:
            raise ConfigInvalid(f"{self.base_url}: not a URL: {exc}") from exc
        except (httpx2.HTTPError, httpx2.StreamError, OSError) as exc:
            raise Unreachable(f"{what}: {tell_reason(exc)}") from exc
        if response.status in (401, 403):
            raise AccessDenied(f"{what}: status {response.status}: {response.text()[:200]}")
        return response

    def _ask(
        self, method: str, path: str, *, json: Any, params: Mapping[str, str] | None, deadline: Deadline
    ) -> Response:
        try:
            return self._ask_once(method, path, json=json, params=params, deadline=deadline)
        except (httpx2.RemoteProtocolError, httpx2.ReadError):
            # A kept connection may have been closed by a server that restarted: a read may be asked again.
            if method != "GET":
                raise
            return self._ask_once(method, path, json=json, params=params, deadline=deadline)

    def _ask_once(
        self, method: str, path: str, *, json: Any, params: Mapping[str, str] | None, deadline: Deadline
    ) -> Response:
        url = f"{self.base_url}{path}"
        timeout = httpx2.Timeout(max(0.05, deadline.left))
        with self._client.stream(method, url, json=json, params=params, timeout=timeout) as answer:
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                deadline.check(f"{method} {url}")
                if len(body) > ANSWER_BYTES_MAX:
                    raise DataCorrupt(f"{method} {url}: the answer exceeds {ANSWER_BYTES_MAX} bytes", hint=OTHER_HINT)
            return Response(status=answer.status_code, body=bytes(body), url=url)

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _login(username: str | None, password: Secret | None) -> httpx2.BasicAuth | None:
    return httpx2.BasicAuth(username, password.value) if username is not None and password is not None else None


def trust(ca_file: str | None) -> ssl.SSLContext | bool:
    """Return whom to trust: the CA certificates of `ca_file`, or by default those of this machine.

    Raises:
        ConfigInvalid: the file cannot be read.
    """
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigInvalid(f"{ca_file}: not a readable file of CA certificates: {exc}") from exc


def trust_for(url: str, ca_file: str | None) -> ssl.SSLContext | bool:
    """Return whom to trust at `url`; over plain HTTP nobody: reading this machine's certificates takes 30 ms.

    Raises:
        ConfigInvalid: the file cannot be read.
    """
    return trust(ca_file) if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def tell_reason(exc: Exception) -> str:
    """Return why, in words: without the number that the operating system gives the error."""
    return _ERRNO.sub("", str(exc)) or type(exc).__name__
