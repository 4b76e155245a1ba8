"""A flow between secured clusters: MM2 proves itself with secrets that no configuration holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from replicator.clock import Deadline
from replicator.connect import secret_text, secrets_path
from replicator.jvm import write_private
from replicator.kafka import Outgoing
from replicator.lab import Lab
from replicator.model.cluster import TopicSpec

pytestmark = [pytest.mark.lab, pytest.mark.security]


def test_a_secured_flow_runs_and_leaks_no_secret(secure_lab: Lab, names: Any, flow_on: Callable[..., Any]) -> None:
    """Records cross from one secured cluster to the other; REST and the configs topic hold references alone."""
    folder = secure_lab.folders.secrets / "mm2"
    passwords = []
    for cluster in ("east", "west"):
        access = secure_lab.access(cluster, "mm2")
        assert access.security.password is not None
        passwords.append(access.security.password.value)
        write_private(Path(secrets_path(access, str(folder))), secret_text(access))
    opened = flow_on(secure_lab)
    opened.wiring = replace(opened.wiring, secrets_folder=str(folder))
    topic = names.topic("orders")
    source, target = opened.handles.source, opened.handles.target
    source.topics.create([TopicSpec(name=topic, partitions=1)], Deadline.after(30))
    writer = source.writer("test")
    writer.send(Outgoing(topic, b"k", b"v", partition=0))
    writer.flush(Deadline.after(30))
    opened.apply()
    opened.wait_mirrored(topic, 1)
    assert opened.plan().is_empty
    shown = repr(opened.handles.connect.list(Deadline.after(10)))
    assert "${file:" in shown
    tail = target.tail([f"{secure_lab.group_id('west')}.configs"])
    kept = b"".join((record.key or b"") + (record.value or b"") for record in tail.poll_to_end(Deadline.after(30)))
    tail.close()
    for password in passwords:
        assert password not in shown
        assert password.encode() not in kept
