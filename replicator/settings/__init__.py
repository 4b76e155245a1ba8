"""Settings: one YAML file, its environment overrides and its defaults become typed, checked values.

Owns the names and meanings of every configuration key, where a value came from, and the errors that name file,
line, column, key and the nearest known key. Secrets stay references (`env:NAME`, `file:/path`) until a door is
about to be opened. Never talks to a cluster, and never writes a file. Only the supervisor and the faces see it
whole: rooms below receive `ClusterAccess`, `Flow` and the like.
"""

from replicator.settings.checks import find_problems
from replicator.settings.clusters import (
    ClusterSettings,
    ConnectAccess,
    ConnectSettings,
    ConnectTopics,
    RegistrySettings,
    Runtime,
    SecuritySettings,
)
from replicator.settings.document import Document, json_schema
from replicator.settings.flows import FlowSettings
from replicator.settings.load import (
    ApiReach,
    ApiServing,
    ApiToken,
    Origin,
    Settings,
    candidate_paths,
    find_config,
    load_settings,
    settings_of,
)
from replicator.settings.secrets import check_token
from replicator.settings.upkeep import (
    ApiSettings,
    FailoverSettings,
    HookSettings,
    KeepSettings,
    ScheduleSettings,
    SnapshotsSettings,
    SupervisorSettings,
)
from replicator.settings.values import host_of, is_address, is_loopback, zone_of
from replicator.settings.yaml_file import parse_yaml

__all__ = [
    "ApiReach",
    "ApiServing",
    "ApiSettings",
    "ApiToken",
    "ClusterSettings",
    "ConnectAccess",
    "ConnectSettings",
    "ConnectTopics",
    "Document",
    "FailoverSettings",
    "FlowSettings",
    "HookSettings",
    "KeepSettings",
    "Origin",
    "RegistrySettings",
    "Runtime",
    "ScheduleSettings",
    "SecuritySettings",
    "Settings",
    "SnapshotsSettings",
    "SupervisorSettings",
    "candidate_paths",
    "check_token",
    "find_config",
    "find_problems",
    "host_of",
    "is_address",
    "is_loopback",
    "json_schema",
    "load_settings",
    "parse_yaml",
    "settings_of",
    "zone_of",
]
