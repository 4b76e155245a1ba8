"""Whether the sections of a configuration fit together."""

from __future__ import annotations

from typing import Any

import pytest

from replicator.settings import Document, SecuritySettings, find_problems
from replicator.settings.checks import security_problems
from replicator.settings.problems import nearest


def document(**sections: Any) -> Document:
    base: dict[str, Any] = {
        "apiVersion": "replicator/v1",
        "clusters": {
            name: {"bootstrap": f"{name}:9092", "security": {"insecure": True}} for name in ("east", "west", "no.rth")
        },
        "connect": {
            name: {"runtime": "process", "url": f"http://127.0.0.1:{port}"}
            for name, port in (("east", 8083), ("west", 8084))
        },
    }
    return Document.model_validate({**base, **sections})


def told(**sections: Any) -> list[str]:
    return [f"{'.'.join(map(str, problem.path))}: {problem.why}" for problem in find_problems(document(**sections))]


def flow(
    source: str, target: str, *include: str, exclude: tuple[str, ...] = (), naming: str = "identity"
) -> dict[str, Any]:
    return {
        "source": source,
        "target": target,
        "topics": {"include": include, "exclude": exclude},
        "naming": naming,
    }


def test_what_fits_has_no_problem() -> None:
    """Two flows in opposite directions on different topics are fine."""
    assert told(flows={"out": flow("east", "west", "a", "b"), "home": flow("west", "east", "c")}) == []


PAIRS: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    ("same name", flow("east", "west", "a"), flow("west", "east", "a"), "a would loop"),
    ("glob", flow("east", "west", "a.b"), flow("west", "east", "a.*"), "a.b would loop"),
    ("glob first", flow("east", "west", "*"), flow("west", "east", "x"), "x would loop"),
    ("excluded", flow("east", "west", "*", exclude=("x",)), flow("west", "east", "x"), None),
    ("two globs", flow("east", "west", "a*"), flow("west", "east", "*b"), None),
    ("prefix", flow("east", "west", "a", naming="prefix"), flow("west", "east", "a", naming="prefix"), None),
    ("internal", flow("east", "west", "__x"), flow("west", "east", "__x"), None),
    ("two writers", flow("east", "west", "a"), flow("east", "west", "a"), "a on west would have two writers"),
    ("same target", flow("east", "west", "a"), flow("no.rth", "west", "*"), "a on west would have two writers"),
    ("other name", flow("east", "west", "a"), flow("east", "west", "a", naming="prefix"), None),
]


@pytest.mark.parametrize(("one", "other", "why"), [row[1:] for row in PAIRS], ids=[row[0] for row in PAIRS])
def test_one_writer_one_direction(one: dict[str, Any], other: dict[str, Any], why: str | None) -> None:
    """Two flows on one topic are refused where literal names can show it, in either order of the file."""
    for first, second in ((one, other), (other, one)):
        problems = told(flows={"first": first, "second": second})
        assert (problems == []) if why is None else (len(problems) == 1 and why in problems[0]), problems


def test_prefix_and_a_dotted_cluster_do_not_go_together() -> None:
    """Under prefix naming a cluster's name must not hold the separator."""
    assert any(
        "ends the cluster's name at the first dot" in line
        for line in told(flows={"f": flow("no.rth", "west", "a", naming="prefix")})
    )


def test_same_cluster_id_twice_is_one_cluster() -> None:
    """Two names with one cluster id would make a flow from a cluster to itself."""
    clusters = {
        name: {"bootstrap": f"{name}:9092", "cluster_id": "same", "security": {"insecure": True}} for name in ("a", "b")
    }
    assert told(clusters=clusters, connect={}) == [
        "clusters.b.cluster_id: the same cluster_id as cluster a: one cluster, one name"
    ]


def test_one_connect_writes_to_one_cluster() -> None:
    """The same Connect cannot stand beside two clusters."""
    connect = {name: {"runtime": "external", "url": "http://c:8083"} for name in ("east", "west")}
    assert [line for line in told(connect=connect) if "each target has its own" in line]


def test_schedules_need_a_flow_a_store_and_something_to_keep() -> None:
    """A schedule without its flow or store, or with a retention that keeps nothing, is refused."""
    schedules = {"nightly": {"cron": "0 2 * * *", "flow": "gone", "keep": {}}}
    lines = told(snapshots={"schedules": schedules})
    assert len(lines) == 3
    assert any("there is no flow gone" in line for line in lines)
    assert any("keeps nothing" in line for line in lines)
    assert any("snapshots.store: is required" in line for line in lines)


def test_a_drill_needs_no_store_and_keeps_nothing() -> None:
    """A schedule of drills goes without a store; retention is about snapshots and refused."""
    drill = {"cron": "0 4 * * 0", "flow": "orders", "kind": "drill"}
    kept = {**drill, "keep": {"last": 3}}
    lines = told(snapshots={"schedules": {"weekly": {**drill, "flow": "gone"}, "kept": {**kept, "flow": "gone"}}})
    assert [line for line in lines if "is about snapshots" in line]
    assert not [line for line in lines if "is required" in line]


def test_a_proof_needs_a_store_and_keeps_nothing() -> None:
    """A schedule of proofs reads the store; it takes no snapshot that retention could be about."""
    proof = {"cron": "0 4 * * 0", "flow": "gone", "kind": "verify"}
    lines = told(snapshots={"schedules": {"bare": proof, "kept": {**proof, "keep": {"last": 3}}}})
    assert [line for line in lines if "a schedule of kind verify takes none" in line]
    assert [line for line in lines if "snapshots.store: is required" in line]


def test_hook_fence_needs_its_hook() -> None:
    """To fence by hook, the hook must be there."""
    assert told(failover={"fence": "hook"}) == ["failover.fence: `hook` needs failover.hooks.fence"]
    assert told(failover={"fence": "hook", "hooks": {"fence": [{"argv": ["x"]}]}}) == []


SECURITY: list[tuple[dict[str, Any], list[str | None]]] = [
    ({"insecure": True}, []),
    ({}, [None]),
    ({"protocol": "SSL"}, []),
    ({"protocol": "SSL", "insecure": True}, ["insecure"]),
    ({"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "u", "password": "env:P"}, [None]),
    ({"protocol": "SASL_SSL", "mechanism": "PLAIN", "username": "u", "password": "env:P"}, []),
    ({"protocol": "SASL_SSL"}, ["mechanism", "username", "password"]),
    ({"protocol": "SSL", "username": "u"}, ["username"]),
    ({"insecure": True, "ca_file": "x"}, ["ca_file"]),
    ({"protocol": "SSL", "certificate_file": "x"}, ["key_file"]),
    ({"protocol": "SSL", "key_file": "x"}, ["certificate_file"]),
    ({"protocol": "SSL", "key_password": "env:P"}, ["key_password"]),
    ({"protocol": "SSL", "certificate_file": "x", "key_file": "x", "key_password": "env:P"}, []),
]


@pytest.mark.parametrize(("section", "keys"), SECURITY)
def test_security_is_whole_and_plain_text_is_said_aloud(section: dict[str, Any], keys: list[str | None]) -> None:
    """Each protocol has exactly what it needs, and what is not encrypted says `insecure: true`."""
    assert [key for key, _ in security_problems(SecuritySettings.model_validate(section))] == keys


API_CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("loopback may be open", {"listen": "127.0.0.1:9108"}, []),
    ("localhost is loopback", {"listen": "localhost:9108"}, []),
    ("[::1] is loopback", {"listen": "[::1]:9108"}, []),
    (
        "everywhere lacks both",
        {"listen": "0.0.0.0:9108"},
        ["supervisor.listen: 0.0.0.0 is seen by other machines and lacks a token (supervisor.api.tokens) and TLS"],
    ),
    (
        "a token is not enough",
        {"listen": "10.0.0.5:9108", "api": {"tokens": {"ops": {"secret": "env:T"}}}},
        ["supervisor.listen: 10.0.0.5 is seen by other machines and lacks TLS"],
    ),
    (
        "a certificate is not enough",
        {"listen": "[::]:9108", "api": {"certificate_file": "a.pem", "key_file": "a.key"}},
        ["supervisor.listen: :: is seen by other machines and lacks a token"],
    ),
    (
        "both will do",
        {
            "listen": "0.0.0.0:9108",
            "api": {"tokens": {"ops": {"secret": "env:T"}}, "certificate_file": "a.pem", "key_file": "a.key"},
        },
        [],
    ),
    (
        "a certificate takes its key",
        {"api": {"certificate_file": "a.pem"}},
        ["supervisor.api.key_file: certificate_file and key_file go together"],
    ),
    (
        "a key takes its certificate",
        {"api": {"key_file": "a.key"}},
        ["supervisor.api.certificate_file: certificate_file and key_file go together"],
    ),
]


@pytest.mark.security
@pytest.mark.parametrize(("supervisor", "expected"), [case[1:] for case in API_CASES], ids=[c[0] for c in API_CASES])
def test_what_other_machines_see_takes_a_token_and_tls(supervisor: dict[str, Any], expected: list[str]) -> None:
    """Loopback may be open; any other address is refused without tokens and a certificate, and told what lacks."""
    found = told(supervisor=supervisor)
    assert len(found) == len(expected)
    assert all(one.startswith(start) for one, start in zip(found, expected, strict=True)), found


@pytest.mark.security
def test_plain_text_takes_a_word_for_mirror_maker_too() -> None:
    """MM2's own way to a cluster follows the rules of ours: what is not encrypted must be called insecure."""
    clusters = {"east": {"bootstrap": "east:9092", "security": {"insecure": True}, "mirror": {"protocol": "PLAINTEXT"}}}
    assert any(one.startswith("clusters.east.mirror: PLAINTEXT is not encrypted") for one in told(clusters=clusters))


@pytest.mark.parametrize("name", ["https://x", "a b", "x:443", "", "a/"])
def test_a_host_of_the_api_is_a_name(name: str) -> None:
    """Names by which the API is called hold no scheme, port or blank."""
    with pytest.raises(ValueError, match="host name"):
        document(supervisor={"api": {"hosts": [name]}})


def test_auto_says_how_much_it_may_lose() -> None:
    """For all flows, or by the promise of each."""
    flows = {"orders": flow("east", "west", "orders")}
    promised = {"orders": {**flows["orders"], "objectives": {"rpo_records": 5}}}

    def automatic(lines: list[str]) -> list[str]:
        return [line for line in lines if line.startswith("failover.mode")]

    (line,) = automatic(told(flows=flows, failover={"mode": "auto"}))
    assert "failover.loss_max" in line
    assert automatic(told(flows=flows, failover={"mode": "auto", "loss_max": 100})) == []
    assert automatic(told(flows=promised, failover={"mode": "auto"})) == []
    assert automatic(told(flows=flows, failover={"mode": "advise"})) == []


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("esat", ["east", "west"], "east"),
        ("esat", ["west", "east"], "east"),
        ("wets", ["east", "west"], "west"),
        ("eastt", ["west", "east"], "east"),
        ("north", ["east", "west"], None),
    ],
)
def test_swapped_letters_mean_the_word_of_the_same_letters(word: str, known: list[str], meant: str | None) -> None:
    """Of two words as near as each other, the one that was probably typed is meant."""
    assert nearest(word, known) == meant


def test_a_registry_belongs_to_a_cluster_and_its_parts_go_together() -> None:
    """A cluster that is not there, half a log-in, half a certificate, and certificates without https are told."""
    registries = {
        "wets": {"url": "http://r:8081"},
        "west": {"url": "http://r:8081", "username": "me", "ca_file": "ca.pem", "key_file": "key.pem"},
    }
    found = told(registries=registries)
    for line in (
        "there is no cluster wets",
        "username and password go together",
        "certificate and key go together",
        "http uses no certificates",
    ):
        assert [one for one in found if line in one], line
