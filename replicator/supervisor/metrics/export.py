"""Write the alert rules and the dashboard: `python -m replicator.supervisor.metrics.export FOLDER`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from ruamel.yaml import YAML

from replicator.supervisor.metrics.alerts import rules_document
from replicator.supervisor.metrics.grafana import dashboard_document

RULES_FILE = "prometheus/replicator.yaml"
DASHBOARD_FILE = "grafana/readiness.json"
_HEAD = "# Made by `python -m replicator.supervisor.metrics.export configs`; change the code, not this file.\n"


def rules_text() -> str:
    """Return the rule file."""
    stream = StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump(rules_document(), stream)
    return _HEAD + stream.getvalue()


def dashboard_text() -> str:
    """Return the dashboard's JSON."""
    return json.dumps(dashboard_document(), indent=2, ensure_ascii=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write both files into the folder named."""
    if len(arguments) != 1:
        print("usage: python -m replicator.supervisor.metrics.export FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    for name, text in ((RULES_FILE, rules_text()), (DASHBOARD_FILE, dashboard_text())):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        print(folder / name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
