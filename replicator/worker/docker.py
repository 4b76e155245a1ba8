"""A worker in a container: run, health, logs, stop, replace, remove; found again by its labels.

The only module that imports the docker SDK. No image is ever pulled from here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from replicator.clock import Deadline
from replicator.errors import AccessDenied, LabFailed, NotFound, OperationFailed, ReplicatorError, Unreachable
from replicator.jvm import ProcessState
from replicator.model.forms.text import safe_lines, safe_text
from replicator.worker.container import (
    LABEL_WORKER,
    ContainerPlan,
    ContainerState,
    container_name,
    container_options,
    read_state,
    worker_label,
)
from replicator.worker.files import write_worker_files
from replicator.worker.runtime import wait_worker_ready
from replicator.worker.template import WorkerSpec

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.errors import APIError
    from docker.models.containers import Container

_ENGINE_SECONDS = 30
"""How long one answer of the engine may take."""

_CONFLICT = 409
_LOG_TAIL_LINES = 40
_DEATHS_MAX = 3
"""A worker that dies so often while we wait for it will not become ready."""


class DockerWorker:
    """One worker in one container, known by the label `io.replicator.worker=<group.id>@<REST port>`."""

    def __init__(self, spec: WorkerSpec, *, folder: Path, plan: ContainerPlan | None = None) -> None:
        self.spec = spec
        self._folder = folder
        self._plan = plan or ContainerPlan()

    @property
    def url(self) -> str:
        """The address of the worker's REST interface."""
        return self.spec.url

    @property
    def name(self) -> str:
        """The container's name, the same for every generation of this worker."""
        return container_name(self.spec)

    def start(self) -> ContainerState:
        """Leave the worker's container there, and return it as it is: a living one is kept, an ended one replaced.

        Raises:
            NotFound: the image is not there; no pull is tried.
            Unreachable, AccessDenied: no Docker engine answers us.
        """
        with _engine() as engine:
            found = self._find(engine)
            if found is not None and found.status in ("running", "paused", "restarting"):
                return _state(found)
            if found is not None:
                found.remove(force=True)
            write_worker_files(self._folder, self.spec)
            return _state(self._run(engine))

    def replace(self, plan: ContainerPlan, deadline: Deadline) -> ContainerState:
        """Leave the worker running as `plan` says, its old container gone; its connectors stay in Kafka.

        Raises:
            NotFound: the new image is not there; the old worker runs on.
        """
        with _engine() as engine:
            _require_image(engine, plan.image)
        self.remove(deadline)
        self._plan = plan
        return self.start()

    def _run(self, engine: DockerClient) -> Container:
        """Create and start; `containers.run` would pull a missing image, from whoever owns its name."""
        from docker.errors import APIError

        _require_image(engine, self._plan.image)
        options = container_options(
            self.spec, self._plan, folder=self._folder.absolute(), user=f"{os.getuid()}:{os.getgid()}"
        )
        try:
            container = engine.containers.create(**options)
        except APIError as exc:
            found = self._find(engine) if exc.status_code == _CONFLICT else None
            if found is None:
                raise
            return found  # somebody else has just started this very worker
        container.start()
        return container

    def wait_ready(self, deadline: Deadline) -> None:
        """Return when the worker is healthy.

        Raises: LabFailed with the end of its log when it died or keeps dying, DeadlineExceeded.
        """
        first = self.inspect()
        restarts_max = _DEATHS_MAX + (0 if first is None else first.restarts)
        wait_worker_ready(self.url, deadline, check_alive=lambda: self._check_alive(restarts_max))

    def _check_alive(self, restarts_max: int) -> None:
        found = self.inspect()
        if found is None:
            raise LabFailed(f"container {self.name} was never started")
        if found.status in ("exited", "dead") or found.restarts >= restarts_max:
            verb = "keeps dying" if found.restarts >= restarts_max else "died"
            why = "" if found.end is None else f": {found.end} (exit status {found.exit_status})"
            raise LabFailed(
                f"container {self.name} {verb}{why}",
                detail=safe_lines("\n".join(self.logs(tail=_LOG_TAIL_LINES))),
                hint=f"docker logs {self.name}",
            )

    def inspect(self) -> ContainerState | None:
        """Return the container as the engine knows it; None when there is none."""
        with _engine() as engine:
            found = self._find(engine)
            return None if found is None else _state(found)

    def logs(self, *, tail: int = 200) -> list[str]:
        """Return the last lines the worker said, as it said them: not yet fit for a terminal."""
        with _engine() as engine:
            found = self._find(engine)
            raw = b"" if found is None else found.logs(tail=tail, timestamps=False)
        return raw.decode("utf-8", errors="replace").splitlines()

    def stop(self, deadline: Deadline) -> None:
        """End the worker, by SIGKILL when it does not go in time; its container stays for its log."""
        with _engine() as engine:
            found = self._find(engine)
            if found is None:
                return
            if found.status == "paused":  # a frozen process cannot act on a signal
                found.unpause()
            if found.status not in ("exited", "created", "dead"):
                found.stop(timeout=max(1, int(deadline.left)))

    def remove(self, deadline: Deadline) -> None:
        """Leave no container of this worker."""
        self.stop(deadline)
        with _engine() as engine:
            found = self._find(engine)
            if found is not None:
                found.remove(force=True)

    def state(self) -> ProcessState:
        """Whether the container runs, is paused or is gone; one that waits for its restart is gone."""
        found = self.inspect()
        if found is None:
            return ProcessState.GONE
        return {"running": ProcessState.RUNNING, "paused": ProcessState.FROZEN}.get(found.status, ProcessState.GONE)

    def _find(self, engine: DockerClient) -> Container | None:
        label = f"{LABEL_WORKER}={worker_label(self.spec)}"
        found = engine.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        return found[0] if found else None


def _require_image(engine: DockerClient, image: str) -> None:
    from docker.errors import ImageNotFound

    try:
        engine.images.get(image)
    except ImageNotFound as exc:
        raise NotFound(
            f"Docker has no image {image}",
            hint=f"docker pull {image}, or build the project's own: make -C compose image",
        ) from exc


def _state(container: Container) -> ContainerState:
    container.reload()
    return read_state(container.attrs)


@contextmanager
def _engine() -> Iterator[DockerClient]:
    """Give a client of the Docker engine; raise only our errors from the block.

    Raises: Unreachable, AccessDenied, OperationFailed; NotFound for the missing SDK.
    """
    try:
        import docker
        from docker.errors import APIError, DockerException
        from requests.exceptions import RequestException
    except ModuleNotFoundError as exc:
        raise NotFound(
            "runtime docker needs the docker SDK, which is not installed", hint="pip install 'replicator[docker]'"
        ) from exc
    try:
        with closing(docker.from_env(timeout=_ENGINE_SECONDS)) as engine:
            yield engine
    except APIError as exc:
        raise _refusal(exc) from exc
    except (DockerException, RequestException) as exc:
        raise _silence(exc) from exc


def _refusal(exc: APIError) -> ReplicatorError:
    return OperationFailed(f"Docker refused: {safe_text(exc.explanation or exc)}")


def _silence(exc: Exception) -> ReplicatorError:
    if "Permission denied" in str(exc):
        return AccessDenied(
            "the Docker engine's socket refuses us",
            hint="add this user to the group docker, or use runtime: process",
        )
    return Unreachable("no Docker engine answers", detail=safe_text(exc), hint="start dockerd, or use runtime: process")
