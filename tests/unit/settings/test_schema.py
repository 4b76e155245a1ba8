"""The committed schema and example say what the code says."""

from __future__ import annotations

import json
from pathlib import Path

from replicator.settings import Document, json_schema, load_settings
from replicator.settings.document import known_keys, known_values

CONFIGS = Path(__file__).parents[3] / "configs"


def test_the_committed_schema_is_the_codes() -> None:
    """configs/replicator.v1.schema.json equals what `replicator config schema` prints."""
    committed = json.loads((CONFIGS / "replicator.v1.schema.json").read_text())
    assert committed == json_schema(), "run: replicator config schema > configs/replicator.v1.schema.json"


def test_the_schema_refuses_unknown_keys_and_describes_every_key() -> None:
    """Every section is closed, and every key has a description."""
    schema = json_schema()
    sections = [schema, *(entry for entry in schema["$defs"].values() if entry["type"] == "object")]
    assert len(sections) > 12
    for section in sections:
        assert section["additionalProperties"] is False
        undescribed = [
            key
            for key, entry in section["properties"].items()
            if "description" not in entry and "description" not in schema["$defs"][entry["$ref"].rpartition("/")[2]]
        ]
        assert undescribed == []


def test_the_example_is_a_good_configuration() -> None:
    """configs/example.yaml loads, and names its schema in its first line."""
    path = CONFIGS / "example.yaml"
    settings = load_settings(path, {})
    assert [flow.name for flow in settings.flows] == ["orders"]
    assert path.read_text().startswith("# yaml-language-server: $schema=replicator.v1.schema.json\n")
    assert (CONFIGS / "replicator.v1.schema.json").is_file()


def test_the_example_uses_every_section() -> None:
    """A newcomer sees every section of the configuration in the example."""
    document = load_settings(CONFIGS / "example.yaml", {}).document
    assert document.model_fields_set == set(Document.model_fields)
    assert document.snapshots.schedules["nightly"].keep is not None


def test_known_keys_and_values_are_found_by_path() -> None:
    """Suggestions come from the section that stands at the path."""
    assert "api_version" not in known_keys(())
    assert set(known_keys(("flows", "any", "objectives"))) == {"rpo_seconds", "rpo_records", "rto_seconds"}
    assert known_keys(("flows",)) == ()
    assert known_keys(("snapshots", "schedules", "x", "keep"))[0] == "last"
    assert known_keys(("failover", "hooks", "fence", 0)) == ("argv", "timeout_seconds", "verify")
    assert known_values(("flows", "any", "naming")) == ("identity", "prefix")
    assert known_values(("clusters", "x", "security", "mechanism")) == ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
