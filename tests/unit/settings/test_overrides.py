"""The environment beats the file, and everybody can see which won."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.errors import ConfigInvalid
from replicator.settings import Settings, load_settings

FILE = """\
apiVersion: replicator/v1
clusters:
  prod-eu.1: {bootstrap: "a:1", security: {insecure: true}}
  west: {bootstrap: "b:1", security: {insecure: true}}
connect:
  west: {runtime: process}
flows:
  orders:
    source: prod-eu.1
    target: west
    objectives: {rpo_seconds: 30}
    connector: {tasks.max: 2}
"""


def load(folder: Path, **variables: str) -> Settings:
    path = folder / "replicator.yaml"
    path.write_text(FILE)
    return load_settings(path, variables)


def test_variables_override_add_and_name_odd_keys(tmp_path: Path) -> None:
    """A variable replaces a value, adds a missing one, and reaches keys with dots and dashes."""
    settings = load(
        tmp_path,
        REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RPO_SECONDS="5",
        REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RTO_SECONDS="60",
        REPLICATOR_FLOWS__ORDERS__TOPICS__INCLUDE="[orders.*, customers]",
        REPLICATOR_FLOWS__ORDERS__CONNECTOR__TASKS_MAX="8",
        REPLICATOR_CLUSTERS__PROD_EU_1__BOOTSTRAP="c:2",
        REPLICATOR_SUPERVISOR__ID="second",
    )
    flow = settings.flow("orders")
    assert (flow.objectives.rpo_seconds, flow.objectives.rto_seconds) == (5, 60)
    assert flow.topics.include == ("orders.*", "customers")
    assert flow.connector == {"tasks.max": "8"}
    assert settings.cluster_access("prod-eu.1").bootstrap == "c:2"
    assert settings.supervisor.id == "second"


def test_every_value_tells_its_origin(tmp_path: Path) -> None:
    """Each key names the variable, the line and column, or the default it came from."""
    settings = load(tmp_path, REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RPO_SECONDS="5")
    origins = {origin.key: (origin.value, origin.origin.rpartition("/")[2]) for origin in settings.origins()}
    assert origins["flows.orders.objectives.rpo_seconds"] == (
        5.0,
        "environment variable REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RPO_SECONDS",
    )
    assert origins["flows.orders.target"] == ("west", "replicator.yaml:10:5")
    assert origins["flows.orders.naming"] == ("identity", "default")
    assert origins['clusters."prod-eu.1".bootstrap'] == ("a:1", "replicator.yaml:3:15")


def test_a_bad_variable_is_named(tmp_path: Path) -> None:
    """An error in a variable names the variable, not a line of the file."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RPO_SECONDS="soon")
    assert str(caught.value).startswith(
        "environment variable REPLICATOR_FLOWS__ORDERS__OBJECTIVES__RPO_SECONDS: flows.orders.objectives.rpo_seconds:"
    )


@pytest.mark.parametrize(
    ("variable", "text", "told"),
    [
        ("REPLICATOR_FLOW__ORDERS__NAMING", "prefix", "no section 'flow'; did you mean REPLICATOR_FLOWS__…?"),
        ("REPLICATOR_FLOWS__ORDERS__", "x", "a part of its name is empty"),
        ("REPLICATOR_FLOWS__ORDERS", "x", "flows.orders: must be a section"),
        ("REPLICATOR_FLOWS__ORDERS__TOPICS__INCLUDE", "[a", "no valid YAML"),
        ("REPLICATOR_FLOWS__ORDERS__SPEED", "9", "flows.orders.speed: unknown key"),
        ("REPLICATOR_FLOWS__ORDERS__SOURCE__X", "9", "flows.orders.source: must be text"),
    ],
)
def test_variables_that_mean_nothing_are_refused(tmp_path: Path, variable: str, text: str, told: str) -> None:
    """A typing mistake in a variable is told, never ignored."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, **{variable: text})
    assert told in str(caught.value)
    assert variable in str(caught.value)


def test_variables_without_nesting_are_not_ours(tmp_path: Path) -> None:
    """Variables such as REPLICATOR_REQUIRE_ALL mean something else and are left alone."""
    assert load(tmp_path, REPLICATOR_REQUIRE_ALL="1", REPLICATOR_CONFIG="x").supervisor.id == "main"


def test_the_environment_alone_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any file the environment can say everything."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(
        None,
        {
            "HOME": str(tmp_path),
            "REPLICATOR_CLUSTERS__EAST__BOOTSTRAP": "a:1",
            "REPLICATOR_CLUSTERS__EAST__SECURITY": "{insecure: true}",
        },
    )
    if settings.path is None:
        assert settings.clusters == ("east",)
        assert settings.cluster_access("east").bootstrap == "a:1"


@pytest.mark.security
def test_a_secret_in_a_variable_is_refused_unseen(tmp_path: Path) -> None:
    """A literal password in an override is refused without being shown."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, REPLICATOR_CLUSTERS__WEST__SECURITY__PASSWORD="hunter2")
    assert "by reference" in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.detail}"
