"""Environment variables override the file: `REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RPO_SECONDS=30`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from replicator.errors import ConfigInvalid
from replicator.settings.document import Document
from replicator.settings.yaml_file import parse_yaml

PREFIX = "REPLICATOR_"
NEST = "__"

_ROOTS = tuple(name for name in Document.model_fields if name != "api_version")


def override_variables(environ: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the variables that mean a key of the configuration, each with the parts of its name.

    Raises:
        ConfigInvalid: a variable with `__` in it begins with no section of the configuration.
    """
    found: dict[str, tuple[str, ...]] = {}
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and NEST in variable.removeprefix(PREFIX):
            found[variable] = _parts(variable)
    return found


def _parts(variable: str) -> tuple[str, ...]:
    parts = tuple(part.lower() for part in variable.removeprefix(PREFIX).split(NEST))
    if parts[0] not in _ROOTS:
        near = difflib.get_close_matches(parts[0], _ROOTS, n=1)
        meant = f"did you mean {PREFIX}{near[0].upper()}{NEST}…?" if near else f"sections: {', '.join(_ROOTS)}"
        raise ConfigInvalid(f"environment variable {variable}: no section {parts[0]!r}; {meant}")
    if not all(parts):
        raise ConfigInvalid(f"environment variable {variable}: a part of its name is empty")
    return parts


def apply_overrides(tree: dict[str, Any], environ: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Change `tree` to what the environment says; return the variable that set each path.

    A part of a variable's name means the key that reads the same in lower case with `-` and `.` as `_`;
    without one a new key is made. Text that starts with `[` or `{` is read as YAML, `null` is no value.

    Raises:
        ConfigInvalid: a variable's name or its YAML cannot be read.
    """
    origins: dict[tuple[str, ...], str] = {}
    for variable, parts in override_variables(environ).items():
        origins[_set(tree, parts, _value(variable, environ[variable]))] = variable
    return origins


def _set(tree: dict[str, Any], parts: tuple[str, ...], value: object) -> tuple[str, ...]:
    path: list[str] = []
    section = tree
    for part in parts[:-1]:
        path.append(_same_key(section, part))
        below = section.get(path[-1])
        if not isinstance(below, dict):
            below = {}
        section[path[-1]] = below
        section = below
    path.append(_same_key(section, parts[-1]))
    section[path[-1]] = value
    return tuple(path)


def _same_key(section: Mapping[str, Any], part: str) -> str:
    return next((key for key in section if _folded(key) == part), part)


def _folded(key: str) -> str:
    return key.lower().replace("-", "_").replace(".", "_")


def _value(variable: str, text: str) -> object:
    if text.startswith(("[", "{")):
        return parse_yaml(text, name=f"environment variable {variable}").plain()
    return None if text in ("null", "~") else text
