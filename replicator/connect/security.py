"""How MM2's clients prove themselves, without one secret in a connector's configuration.

Connector configurations are kept in a topic and shown by REST to whoever asks, so a secret stands there
only as `${file:FOLDER/CLUSTER.properties:KEY}`. The worker reads that file through its FileConfigProvider;
`secret_text` is what has to be in it. A reference stands for the whole value of its key, since Connect maps
resolved values back to references key by key.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from replicator.errors import ConfigInvalid
from replicator.jvm import client_security_properties, render_properties
from replicator.model.cluster import ClusterAccess, SecurityProtocol

SECRET_KEYS = frozenset({"sasl.jaas.config", "ssl.key.password", "ssl.keystore.password", "ssl.keystore.key"})


def client_config(access: ClusterAccess, *, prefix: str, secrets_folder: str | None = None) -> dict[str, str]:
    """Return the keys under `prefix` with which MM2 reaches a cluster; secrets as references.

    `secrets_folder` is the folder as the worker sees it.

    Raises:
        ConfigInvalid: the cluster wants a secret and no folder is known.
    """
    found = {f"{prefix}bootstrap.servers": access.bootstrap}
    if access.security.protocol is SecurityProtocol.PLAINTEXT:
        return found
    for key, value in client_security_properties(access.security).items():
        found[f"{prefix}{key}"] = _reference(access, key, secrets_folder) if key in SECRET_KEYS else value
    return found


def _reference(access: ClusterAccess, key: str, secrets_folder: str | None) -> str:
    if secrets_folder is None:
        raise ConfigInvalid(
            f"clusters.{access.name}.security: {key} is a secret, and no secrets folder of the worker is known",
            hint="give the worker a secrets folder; a secret never goes into a connector's configuration",
        )
    return f"${{file:{secrets_path(access, secrets_folder)}:{key}}}"


def secrets_path(access: ClusterAccess, secrets_folder: str) -> str:
    """Return the file, as the worker sees it, that holds the secrets of a cluster's clients."""
    return str(PurePosixPath(secrets_folder) / f"{access.name}.properties")


def secret_text(access: ClusterAccess) -> str:
    """Return what the file at `secrets_path` must hold; the text is secret."""
    properties = client_security_properties(access.security)
    return render_properties({key: value for key, value in properties.items() if key in SECRET_KEYS})
