"""Plain values as YAML text."""

from __future__ import annotations

import io
from typing import Any

from replicator.model.plain import Plain


def to_yaml(value: Plain) -> str:
    """Return `value` as YAML 1.2 in pure printable ASCII, without the last line break."""
    from ruamel.yaml import YAML

    yaml: Any = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = False
    yaml.width = 4096
    yaml.sort_base_mapping_type_on_output = False
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue().rstrip("\n")
