"""One HTTP client for the rooms above: Connect REST and the supervisor's API.

Owns the HTTP library, its timeouts and its exceptions. Never retries a request that may have changed
something, never follows a redirect, never reads proxy settings, never knows whom it talks to.
"""

from replicator.http.client import ANSWER_BYTES_MAX, HttpClient, Response
from replicator.http.stream import ServerEvent, open_stream

__all__ = ["ANSWER_BYTES_MAX", "HttpClient", "Response", "ServerEvent", "open_stream"]
