"""From a URL or a path to a store."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from replicator.errors import ConfigInvalid
from replicator.storage.base import ObjectStore
from replicator.storage.folder import FolderStore

REMOTE_SCHEMES = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")


def open_store(url: str) -> ObjectStore:
    """Return the store that a path or a `file:`, `s3:`, `gs:` or `az:` URL names. Touches nothing.

    Raises: ConfigInvalid for another scheme, or for credentials inside the URL.
    """
    parts = urlsplit(url)
    if len(parts.scheme) <= 1:  # a path, or a Windows drive letter
        return FolderStore(Path(url).expanduser())
    if parts.scheme == "file":
        return FolderStore(_path_of_file_url(url, parts.netloc, parts.path))
    if parts.username or parts.password:
        raise ConfigInvalid(
            f"store {parts.scheme}://…@{parts.hostname}: credentials do not belong into a URL",
            hint="set them in the environment of the service, e.g. AWS_ACCESS_KEY_ID",
        )
    if parts.scheme in REMOTE_SCHEMES:
        from replicator.storage.remote import open_remote

        return open_remote(url)
    raise ConfigInvalid(
        f"store {url}: unknown scheme {parts.scheme}", hint="use a path, or file://, s3://, gs:// or az://"
    )


def _path_of_file_url(url: str, host: str, path: str) -> Path:
    if host not in ("", "localhost") or not path.startswith("/"):
        raise ConfigInvalid(f"store {url}: a file URL needs an absolute path", hint="file:///srv/snapshots")
    return Path(unquote(path))
