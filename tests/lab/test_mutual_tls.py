"""A Java client that proves itself by a certificate: what MirrorMaker's clients are given, against a real listener."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from replicator.clock import Deadline
from replicator.jvm import (
    JvmCommand,
    JvmProfile,
    client_security_properties,
    kafka_classpath,
    log4j_properties,
    render_properties,
)
from replicator.jvm.process import run_to_end
from replicator.lab import Lab
from replicator.model.cluster import Security, SecurityProtocol


def ask_quorum(lab: Lab, folder: Path, security: Security, *, name: str) -> str:
    """Return what Kafka's own tool is told by a controller, whose listener wants a certificate."""
    node = lab.plan.cluster("west").nodes[0]
    config, log4j, told = (folder / f"{name}-{kind}" for kind in ("client.properties", "log4j2.properties", "told.txt"))
    waits = {"request.timeout.ms": "10000", "default.api.timeout.ms": "20000"}
    properties = client_security_properties(security) | waits
    config.write_text(render_properties(properties))
    log4j.write_text(log4j_properties("OFF"))
    address = f"127.0.0.1:{node.controller_port}"
    arguments = ("--bootstrap-controller", address, "--command-config", str(config), "describe", "--status")
    command = JvmCommand(
        name="quorum tool",
        main_class="org.apache.kafka.tools.MetadataQuorumCommand",
        arguments=arguments,
        flags=JvmProfile(heap_mib=128, is_quick=True).flags(log4j_file=log4j),
        classpath=kafka_classpath(),
        log_file=told,
    )
    try:
        run_to_end(command, Deadline.after(120))
    except Exception:  # noqa: BLE001 - who is refused ends badly: what it said is what counts
        return told.read_text()
    return told.read_text()


def test_a_certificate_opens_a_listener_that_asks_for_one(secure_lab: Lab, tmp_path: Path) -> None:
    """With certificate and key as our settings name them a Java client is let in; without them it is not."""
    (ca_file,) = {secure_lab.west.security.ca_file}
    assert ca_file is not None
    both = str(Path(ca_file).with_name("broker.pem"))
    proven = Security(protocol=SecurityProtocol.SSL, ca_file=ca_file, certificate_file=both, key_file=both)
    assert "LeaderId:" in ask_quorum(secure_lab, tmp_path, proven, name="with")
    nameless = replace(proven, certificate_file=None, key_file=None)
    assert "LeaderId:" not in ask_quorum(secure_lab, tmp_path, nameless, name="without")
