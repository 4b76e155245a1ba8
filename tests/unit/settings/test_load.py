"""What a configuration file says, and how it is told that it cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replicator.errors import ConfigInvalid, NotFound
from replicator.model.cluster import SecurityProtocol
from replicator.model.flow import Delivery, Naming, Selection
from replicator.settings import Runtime, Settings, candidate_paths, find_config, load_settings

GOOD = """\
apiVersion: replicator/v1
clusters:
  east:
    bootstrap: 127.0.0.1:9092, 127.0.0.1:9093
    cluster_id: abc
    security: {insecure: true}
  west:
    bootstrap: 127.0.0.1:9192
    security: {insecure: true}
connect:
  west:
    runtime: external
    url: http://127.0.0.1:8083/
flows:
  orders:
    source: east
    target: west
    topics:
      include: ["orders.*", "re:a[0-9]+"]
      exclude: ["orders.tmp"]
    groups: {include: [app]}
    objectives: {rpo_seconds: 30, rto_seconds: 300}
    connector: {tasks.max: 8, errors.log.enable: true}
"""


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    path = folder / "replicator.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, environ or {})


def refusal(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        load(folder, text, environ)
    return str(caught.value).replace(f"{folder}/", "")


def test_flow_becomes_the_value_rooms_take(tmp_path: Path) -> None:
    """A flow's section becomes a Flow with patterns, objectives and overrides as Connect writes them."""
    (flow,) = load(tmp_path, GOOD).flows
    assert (flow.name, flow.source, flow.target) == ("orders", "east", "west")
    assert flow.topics == Selection(("orders.*", "re:a[0-9]+"), ("orders.tmp",))
    assert flow.groups == Selection(("app",))
    assert (flow.naming, flow.delivery) == (Naming.IDENTITY, Delivery.EXACTLY_ONCE)
    assert (flow.objectives.rpo_seconds, flow.objectives.rpo_records, flow.objectives.rto_seconds) == (30, None, 300)
    assert flow.connector == {"tasks.max": "8", "errors.log.enable": "true"}


def test_cluster_access_holds_what_the_file_says(tmp_path: Path) -> None:
    """Addresses lose their blanks; id and protocol are passed on."""
    access = load(tmp_path, GOOD).cluster_access("east")
    assert access.bootstrap == "127.0.0.1:9092,127.0.0.1:9093"
    assert access.cluster_id == "abc"
    assert access.security.protocol is SecurityProtocol.PLAINTEXT


def test_connect_names_follow_from_the_cluster(tmp_path: Path) -> None:
    """Without names, group and topics of a worker stand under our own prefix, so that no flow carries them."""
    settings = load(tmp_path, GOOD)
    connect = settings.connect_of("west")
    assert connect.runtime is Runtime.EXTERNAL
    assert connect.url == settings.connect_url("west") == "http://127.0.0.1:8083"
    assert connect.group_id == "__replicator.connect.west"
    assert connect.offsets_topic == "__replicator.connect.west.offsets"
    assert connect.configs_topic == "__replicator.connect.west.configs"
    assert connect.status_topic == "__replicator.connect.west.status"
    assert not settings.flow("orders").carries_topic(connect.offsets_topic)


def test_connect_topics_follow_a_given_group(tmp_path: Path) -> None:
    """A group id of yours names the topics, unless they are named themselves."""
    text = GOOD.replace("runtime: external", "runtime: external\n    group_id: mine\n    status_topic: s")
    connect = load(tmp_path, text).connect_of("west")
    assert (connect.group_id, connect.offsets_topic, connect.status_topic) == ("mine", "mine.offsets", "s")


def test_unknown_names_are_not_found_and_list_the_known(tmp_path: Path) -> None:
    """Asking for a flow, cluster or Connect that is not there names those that are, the nearest first."""
    settings = load(tmp_path, GOOD)
    with pytest.raises(NotFound, match="no flow 'order'") as flow:
        settings.flow("order")
    assert flow.value.hint == "did you mean orders? known: orders"
    with pytest.raises(NotFound, match="no cluster 'north'"):
        settings.cluster_access("north")
    with pytest.raises(NotFound, match="no Connect of cluster 'east'"):
        settings.connect_of("east")


REFUSED: list[tuple[str, str, str, str]] = [
    ("unknown key", "exclude: [", "exlude: [", "replicator.yaml:20:7: flows.orders.topics.exlude: unknown key"),
    ("nearest key", "rpo_seconds", "rpo_second", "did you mean rpo_seconds?"),
    ("unknown section", "connect:", "conect:", "replicator.yaml:10:1: conect: unknown key; did you mean connect?"),
    ("version", "replicator/v1", "replicator/v2", "apiVersion: 'replicator/v2' is none of replicator/v1"),
    ("no version", "apiVersion: replicator/v1\n", "", "apiVersion: is required"),
    ("enum", "runtime: external", "runtime: extern", "'extern' is none of docker, process, external; did you mean"),
    ("number", "rpo_seconds: 30", "rpo_seconds: soon", "flows.orders.objectives.rpo_seconds: must be a valid number"),
    ("negative", "rpo_seconds: 30", "rpo_seconds: -1", "must be greater than 0; '-1' is there"),
    ("infinite", "rpo_seconds: 30", "rpo_seconds: 1e999", "must be a finite number"),
    ("list", "include: [app]", "include: app", "flows.orders.groups.include: must be a list, like [a, b]"),
    ("section", "groups: {include: [app]}", "groups: app", "flows.orders.groups: must be a section"),
    ("text", "cluster_id: abc", "cluster_id: 12", "clusters.east.cluster_id: must be text; put it in quotes"),
    ("regex", "re:a[0-9]+", "re:a[0-9", "include[1]: the regular expression cannot be compiled"),
    ("comma", "orders.tmp", "re:a{1,2}", "exclude[0]: a pattern holds no comma"),
    ("topic", "orders.tmp", "orders/tmp", "no topic can have this name"),
    ("address", "127.0.0.1:9192", "127.0.0.1", "clusters.west.bootstrap: '127.0.0.1' is no host:port"),
    ("port", "127.0.0.1:9192", "127.0.0.1:99999", "is no host:port"),
    ("name", "  orders:", "  Orders:", "flows.Orders: a name is at most 63 of a-z"),
    ("source", "source: east", "source: eaast", "flows.orders.source: there is no cluster eaast; did you mean east?"),
    ("same", "source: east", "source: west", "flows.orders.target: source and target are the same cluster"),
    ("alias", "127.0.0.1:9192", "127.0.0.1:9093", "clusters.west.bootstrap: the same bootstrap as cluster east"),
    ("connect", "  west:\n    runtime", "  east:\n    runtime", "there is no connect.west"),
    ("plain text", "security: {insecure: true}", "security: {}", "clusters.east.security: PLAINTEXT is not encrypted"),
    ("login", "{insecure: true}", "{protocol: SASL_SSL}", "security.mechanism: is required by SASL_SSL"),
    ("override", "tasks.max: 8", "source.cluster.sasl.jaas.config: x", "security comes from clusters.NAME.security"),
    ("url", "http://127.0.0.1:8083/", "127.0.0.1:8083", "connect.west.url: a URL starts with http://"),
    ("url login", "http://127.0.0.1:8083/", "http://a:b@127.0.0.1:8083", "a URL holds no credentials"),
    ("external", "    url: http://127.0.0.1:8083/\n", "", "connect.west.url: is required by runtime external"),
]


@pytest.mark.parametrize(("old", "new", "told"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_each_mistake_is_told_with_place_key_and_reason(tmp_path: Path, old: str, new: str, told: str) -> None:
    """One mistake in a good file is refused with its line, column, key and reason."""
    assert old in GOOD
    message = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert told in message
    assert message.startswith("replicator.yaml:")
    assert "\n" not in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """The first mistake is the message, all of them the detail, in one go."""
    text = GOOD.replace("rpo_seconds: 30", "rpo_seconds: x").replace("source: east", "surce: east")
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, text)
    detail = caught.value.detail or ""
    assert [word in detail for word in ("surce", "source: is required", "rpo_seconds")] == [True, True, True]


def test_many_mistakes_are_bounded(tmp_path: Path) -> None:
    """A file full of mistakes shows some of them and counts the rest."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, GOOD + "".join(f"unknown{number}: 1\n" for number in range(300)))
    assert (caught.value.detail or "").splitlines()[-1] == "… and 280 more"


def test_a_literal_secret_is_refused_and_never_repeated(tmp_path: Path) -> None:
    """A password written out is refused without being shown, whatever its shape."""
    for literal in ("hunter2", "'hunter2: x'", "[hunter2]", "{hunter2: 1}", "*hunter2", "hunter2:abc"):
        text = GOOD.replace(
            "security: {insecure: true}",
            f"security:\n      protocol: SASL_SSL\n      mechanism: PLAIN\n      username: u\n"
            f"      password: {literal}",
            1,
        )
        with pytest.raises(ConfigInvalid) as caught:
            load(tmp_path, text)
        assert "hunter2" not in f"{caught.value}{caught.value.detail}{caught.value.hint}"
        assert caught.value.__cause__ is None or "hunter2" not in str(caught.value.__cause__)


def test_missing_file_and_missing_configuration_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A named file that is not there, and no file anywhere, are two different errors."""
    with pytest.raises(ConfigInvalid, match=r"nowhere\.yaml: cannot be read: No such file"):
        load_settings(tmp_path / "nowhere.yaml", {})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigInvalid, match="there is no configuration") as caught:
        load_settings(None, {"HOME": str(tmp_path)})
    assert "lab up" in (caught.value.hint or "")


def test_files_are_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--config beats REPLICATOR_CONFIG, which beats the working folder, which beats the home."""
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    assert find_config(None, environ) is None or find_config(None, environ) == candidate_paths(environ)[-1]
    home = tmp_path / ".config" / "replicator" / "config.yaml"
    home.parent.mkdir(parents=True)
    home.write_text(GOOD)
    assert find_config(None, environ) == home
    Path("replicator.yaml").write_text(GOOD)
    assert find_config(None, environ) == Path("replicator.yaml")
    environ["REPLICATOR_CONFIG"] = "named.yaml"
    assert find_config(None, environ) == Path("named.yaml")
    assert find_config(Path("flag.yaml"), environ) == Path("flag.yaml")


def test_settings_are_frozen(tmp_path: Path) -> None:
    """Nobody changes a configuration after it was checked."""
    document: Any = load(tmp_path, GOOD).document
    with pytest.raises(ValueError, match="frozen"):
        document.supervisor.id = "other"


def test_relative_store_is_beside_the_file(tmp_path: Path) -> None:
    """A folder given relatively is relative to the configuration; a URL is passed on as it is."""
    assert load(tmp_path, GOOD + "snapshots: {store: repo}\n").store == str(tmp_path / "repo")
    assert load(tmp_path, GOOD + "snapshots: {store: 's3://b/p'}\n").store == "s3://b/p"
    assert load(tmp_path, GOOD).store is None
