"""A server that speaks Azure's blob storage, for tests where npm can be had."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import httpx2
import pytest

from replicator.clock import Deadline
from replicator.lab import free_address

AZURITE = "azurite@3.35.0"
INSTALL_SECONDS = 600.0
READY_SECONDS = 120.0
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Azurite's own, the same for everybody: it opens nothing else."""
_VERSION = "2021-08-06"


@dataclass(frozen=True, slots=True)
class Cloud:
    """A server that answers, and the environment by which a client finds it."""

    endpoint: str
    environment: Mapping[str, str]

    def make_bucket(self, name: str) -> str:
        """Return the URL of an empty bucket."""
        _make_container(self.endpoint, name)
        return f"az://{name}"


def open_bucket(server: Cloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty bucket, its environment set for this test."""
    for key, value in server.environment.items():
        monkeypatch.setenv(key, value)
    return server.make_bucket(f"b{secrets.token_hex(6)}")


def need_tool(name: str) -> str:
    """Return where a program is; the test is skipped where it is not, or fails where nothing may be skipped."""
    found = shutil.which(name)
    if found is None:
        give_up(f"{name} is not on the PATH")
    return str(found)


def give_up(reason: str) -> None:
    """The test is skipped, visibly; it fails where nothing may be skipped."""
    if os.environ.get("REPLICATOR_REQUIRE_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def azurite(tools: Path, folder: Path) -> Iterator[Cloud]:
    """Azurite's blob service, its objects in memory; gone afterwards."""
    node, npm = need_tool("node"), need_tool("npm")
    main = tools / "node_modules/azurite/dist/src/blob/main.js"
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(tools), AZURITE]
    _install(main, command, tools)
    port = free_address().rpartition(":")[2]
    command = [node, str(main), "--blobHost", "127.0.0.1", "--blobPort", port, "--inMemoryPersistence"]
    command += ["--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    endpoint = f"http://127.0.0.1:{port}/{_ACCOUNT}"
    environment = {
        "AZURE_STORAGE_ACCOUNT_NAME": _ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": _KEY,
        "AZURE_STORAGE_ENDPOINT": endpoint,
    }
    with _running(command, int(port), folder / "azurite.log"):
        yield Cloud(endpoint, environment)


def _install(result: Path, command: Sequence[str], tools: Path) -> None:
    """The tool is there; of several processes one fetches it."""
    tools.mkdir(parents=True, exist_ok=True)
    with (tools / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if result.exists():
            return
        with (tools / "install.log").open("wb") as log:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_SECONDS,
                check=False,
            )
    if done.returncode or not result.exists():
        give_up(f"{command[-1]} could not be fetched: {(tools / 'install.log').read_text()[-500:]}")


@contextmanager
def _running(command: Sequence[str], port: int, log_file: Path) -> Iterator[None]:
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_ready(process, port, log_file)
        yield
    finally:
        process.kill()
        process.wait(20)


def _wait_ready(process: subprocess.Popen[bytes], port: int, log_file: Path) -> None:
    deadline = Deadline.after(READY_SECONDS)
    while True:
        assert process.poll() is None, log_file.read_text()[-1000:]
        deadline.check(f"{process.args} is not ready")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return


def _make_container(endpoint: str, name: str) -> None:
    """Make a container, signed with the shared key as Azure's storage services want it."""
    date = formatdate(usegmt=True)
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:{_VERSION}\n"
    text += f"/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.digest(base64.b64decode(_KEY), text.encode(), hashlib.sha256)).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": _VERSION,
        "Authorization": f"SharedKey {_ACCOUNT}:{signature}",
        "Content-Length": "0",
    }
    httpx2.put(f"{endpoint}/{name}?restype=container", headers=headers).raise_for_status()
