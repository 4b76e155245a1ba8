"""What `snapshot export --format raw` writes is read by Kafka's own dump tool."""

from __future__ import annotations

import re
from pathlib import Path

from replicator.clock import Deadline
from replicator.jvm import JvmCommand, JvmProfile, kafka_classpath, log4j_properties
from replicator.jvm.process import run_to_end
from replicator.model.flow import Selection
from replicator.snapshot import ExportFormat, export_snapshot
from tests.unit.snapshot.conftest import make_batch, make_slice, make_workshop


def test_a_raw_export_is_a_segment_to_kafka(tmp_path: Path) -> None:
    """Every record with its offset and value, every CRC valid, and where the file ends."""
    workshop = make_workshop()
    raw = make_batch(30, [b"first", b"second"]) + make_batch(40, [b"third"], codec=4)
    manifest = workshop.take("20261101T000000Z-0000aa", [make_slice(raw, start=30, stop=41)], stop=41)
    (done,) = export_snapshot(
        workshop.repository, manifest, tmp_path, kind=ExportFormat.RAW, topics=Selection(include=("*",))
    )
    log4j = tmp_path / "log4j2.properties"
    log4j.write_text(log4j_properties("ERROR"))
    told = tmp_path / "dump.txt"
    run_to_end(
        JvmCommand(
            name="dump tool",
            main_class="org.apache.kafka.tools.DumpLogSegments",
            arguments=("--print-data-log", "--files", str(done.path)),
            flags=JvmProfile(heap_mib=128, is_quick=True).flags(log4j_file=log4j),
            classpath=kafka_classpath(),
            log_file=told,
        ),
        Deadline.after(120),
    )
    text = told.read_text()
    assert re.findall(r"offset: (\d+) .*payload: (\w+)", text) == [("30", "first"), ("31", "second"), ("40", "third")]
    assert text.count("isvalid: true") == 2
