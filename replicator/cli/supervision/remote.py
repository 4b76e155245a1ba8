"""How commands reach a supervisor's API: where it answers, which token to name, whom to trust.

An option beats its variable, a variable beats the configuration. The configured token goes to the configured
address alone: who names another address names its token too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from replicator.cli.context import App
from replicator.errors import ConfigInvalid

if TYPE_CHECKING:
    from replicator.api.client import ApiClient
    from replicator.model.cluster import Secret

URL_VARIABLE = "REPLICATOR_URL"
TOKEN_VARIABLE = "REPLICATOR_TOKEN"  # noqa: S105 - the name of a variable
TIMEOUT_SECONDS = 5.0


def make_client(app: App, *, timeout_seconds: float = TIMEOUT_SECONDS) -> ApiClient:
    """Return a client of the supervisor that is meant; nothing is asked yet.

    Raises:
        ConfigInvalid: a token or the authorities cannot be had, a token would travel in plain text, or no address
            is given and there is no configuration that names one.
    """
    from replicator.api.client import ApiClient

    url = app.api_url or app.environ.get(URL_VARIABLE)
    token, ca_file = read_token(app), None if app.api_ca_file is None else str(app.api_ca_file)
    if url is None:
        reach = app.settings.api_reach()
        url, token, ca_file = reach.url, token or reach.token, ca_file or reach.ca_file
    return ApiClient(url, token=token, ca_file=ca_file, timeout_seconds=timeout_seconds)


def read_token(app: App) -> Secret | None:
    """Return the token that `--token` names; without it that of REPLICATOR_TOKEN, or none.

    Raises:
        ConfigInvalid: it cannot be had.
    """
    from replicator.settings.secrets import resolve_secret

    reference = app.api_token
    if reference is None:
        if not app.environ.get(TOKEN_VARIABLE):
            return None
        reference = f"env:{TOKEN_VARIABLE}"
    if not reference.startswith(("env:", "file:")):
        raise ConfigInvalid("--token: names where the token is, not the token", hint="--token env:NAME or file:PATH")
    return resolve_secret(reference, where="--token", environ=app.environ, folder=Path())
