"""A stand-in for a schema registry, written from the published REST API: no real one can be had from the package
registries. It keeps to the rules that a restore leans on: modes, ids, references, deleted versions, compatibility.

Source: Confluent's Schema Registry API reference (subjects, schemas, config, mode; error codes 40401 to 42206).
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Answer = tuple[int, Any]


@dataclass
class Kept:
    """One version as the registry keeps it. `body` has what was sent: schema, schemaType, references and the like."""

    id: int
    body: dict[str, Any]
    is_deleted: bool = False


@dataclass
class StandIn:
    """A registry in memory. `asked` are the requests that came, `users` who may ask (nobody named: everybody)."""

    url: str = ""
    subjects: dict[str, dict[int, Kept]] = field(default_factory=dict)
    modes: dict[str | None, str] = field(default_factory=lambda: {None: "READWRITE"})
    configs: dict[str | None, dict[str, Any]] = field(default_factory=lambda: {None: {"compatibility": "BACKWARD"}})
    users: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)

    def put(self, subject: str, id: int, schema: str, *, version: int | None = None, **rest: Any) -> int:  # noqa: A002
        """A version is there, as if it had been registered long ago; return its number."""
        kept = self.subjects.setdefault(subject, {})
        number = version or max(kept, default=0) + 1
        deleted = rest.pop("is_deleted", False)
        kept[number] = Kept(id=id, body={"schema": schema, "schemaType": "AVRO", **rest}, is_deleted=deleted)
        return number

    def told(self) -> dict[str, Any]:
        """Return all it holds, to be compared."""
        return {
            "subjects": {
                subject: {n: (one.id, _bare(one.body), one.is_deleted) for n, one in sorted(kept.items())}
                for subject, kept in sorted(self.subjects.items())
            },
            "modes": self.modes,
            "configs": self.configs,
        }

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Answer:
        """Return status and content."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match (method, *parts):
            case ("GET", "subjects"):
                return 200, sorted(s for s, k in self.subjects.items() if query.get("deleted") == "true" or _alive(k))
            case ("GET", "subjects", subject, "versions"):
                kept = self.subjects.get(subject, {})
                found = [n for n, one in sorted(kept.items()) if query.get("deleted") == "true" or not one.is_deleted]
                return (200, found) if found else _missing(40401, f"Subject '{subject}' not found.")
            case ("GET", "subjects", subject, "versions", number):
                return self._version(subject, int(number), has_deleted=query.get("deleted") == "true")
            case ("POST", "subjects", subject, "versions"):
                return self._register(subject, body)
            case ("POST", "subjects", subject):
                return self._look_up(subject, body)
            case ("DELETE", "subjects", subject, "versions", number):
                return self._delete(subject, int(number))
            case ("GET", "schemas", "ids", number):
                return self._by_id(int(number), query.get("subject"))
            case (_, "mode" | "config", *rest):
                return self._rule(method, parts[0], rest[0] if rest else None, query, body)
        return _missing(404, "HTTP 404 Not Found")

    def _version(self, subject: str, number: int, *, has_deleted: bool) -> Answer:
        one = self.subjects.get(subject, {}).get(number)
        if one is None or (one.is_deleted and not has_deleted):
            return _missing(40402, f"Version {number} not found.")
        return 200, {"subject": subject, "version": number, "id": one.id, **_plain_avro(one.body)}

    def _mode(self, subject: str) -> str:
        return self.modes.get(subject, self.modes[None])

    def _register(self, subject: str, body: dict[str, Any]) -> Answer:
        mode, kept = self._mode(subject), self.subjects.get(subject, {})
        sent = {k: v for k, v in body.items() if k not in ("id", "version", "subject")}
        if mode == "READONLY":
            return 422, {"error_code": 42205, "message": f"Subject {subject} is in read-only mode"}
        if ("id" in body) != (mode == "IMPORT"):
            return 422, {"error_code": 42205, "message": f"Subject {subject} is not in import mode"}
        for reference in sent.get("references", ()):
            if self._version(reference["subject"], reference["version"], has_deleted=False)[0] != 200:
                return 422, {"error_code": 42201, "message": "Invalid schema: no schema reference found"}
        if mode == "IMPORT":
            number, id_ = body["version"], body["id"]
            there = self._by_id(id_, subject)
            if there[0] == 200 and there[1]["schema"] != sent["schema"]:
                return 422, {"error_code": 42205, "message": f"Overwrite new schema with id {id_} is not permitted."}
        else:
            same = [(n, one) for n, one in kept.items() if one.body["schema"] == sent["schema"] and not one.is_deleted]
            if same:
                return 200, {"id": same[0][1].id}
            if _alive(kept) and self.configs.get(subject, self.configs[None])["compatibility"] != "NONE":
                return 409, {"error_code": 409, "message": "Schema being registered is incompatible"}
            number, id_ = max(kept, default=0) + 1, self._id_for(sent["schema"])
        self.subjects.setdefault(subject, {})[number] = Kept(id=id_, body=sent)
        return 200, {"id": id_, "version": number}

    def _id_for(self, schema: str) -> int:
        ids = {one.body["schema"]: one.id for kept in self.subjects.values() for one in kept.values()}
        return ids.get(schema, max(ids.values(), default=0) + 1)

    def _look_up(self, subject: str, body: dict[str, Any]) -> Answer:
        for number, one in self.subjects.get(subject, {}).items():
            if one.body["schema"] == body["schema"]:
                return self._version(subject, number, has_deleted=True)
        return _missing(40403, "Schema not found")

    def _delete(self, subject: str, number: int) -> Answer:
        one = self.subjects.get(subject, {}).get(number)
        if one is None or one.is_deleted:
            return _missing(40402, f"Version {number} not found.")
        for kept in self.subjects.values():
            for other in kept.values():
                wanted = [(r["subject"], r["version"]) for r in other.body.get("references", ())]
                if not other.is_deleted and (subject, number) in wanted:
                    return 422, {"error_code": 42206, "message": "One or more references exist to the schema"}
        one.is_deleted = True
        return 200, number

    def _by_id(self, id: int, subject: str | None) -> Answer:  # noqa: A002 - the registry's word
        context = (subject or "").rpartition(":")[0]
        for name, kept in self.subjects.items():
            for one in kept.values():
                if one.id == id and name.rpartition(":")[0] == context:
                    return 200, {"schema": one.body["schema"]}
        return _missing(40403, f"Schema {id} not found")

    def _rule(self, method: str, kind: str, subject: str | None, query: dict[str, str], body: dict[str, Any]) -> Answer:
        rules: dict[str | None, Any] = self.modes if kind == "mode" else self.configs
        if method == "PUT":
            is_import = body.get("mode") == "IMPORT"
            if is_import and _alive(self.subjects.get(subject or "", {})) and query.get("force") != "True":
                return 422, {"error_code": 42205, "message": "Cannot import since found existing subjects"}
            if kind == "config" and subject and self._mode(subject) == "READONLY":
                return 422, {"error_code": 42205, "message": f"Subject {subject} is in read-only mode"}
            rules[subject] = body["mode"] if kind == "mode" else body
            return 200, body
        if subject not in rules:
            return _missing(40409 if kind == "mode" else 40408, f"Subject '{subject}' has no {kind}")
        told = rules.pop(subject) if method == "DELETE" else rules[subject]
        if kind == "mode":
            return 200, {"mode": told}
        return 200, {"compatibilityLevel" if k == "compatibility" else k: v for k, v in told.items()}


def _bare(body: Any) -> Any:
    """Without the empty lists that clients add."""
    if not isinstance(body, dict):
        return body
    return {key: _bare(value) for key, value in body.items() if value != []}


def _alive(kept: dict[int, Kept]) -> bool:
    return any(not one.is_deleted for one in kept.values())


def _plain_avro(body: dict[str, Any]) -> dict[str, Any]:
    """A registry does not say of an Avro schema that it is one."""
    return {k: v for k, v in body.items() if (k, v) != ("schemaType", "AVRO")}


def _missing(code: int, message: str) -> Answer:
    return 404, {"error_code": code, "message": message}


@contextmanager
def serve_registry(registry: StandIn) -> Iterator[StandIn]:
    """Yield the stand-in, reachable at its `url` on this machine alone."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65536

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            split = urlsplit(self.path)
            registry.asked.append(f"{self.command} {unquote(split.path)}")
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            if registry.failures:
                self._send(registry.failures.pop(0), {"error_code": 50001, "message": "out of order"})
            elif not self._is_known():
                self._send(401, {"error_code": 40101, "message": "Unauthorized"})
            else:
                self._send(*registry.answer(self.command, split.path, query, body))

        do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - the names http.server looks for

        def _is_known(self) -> bool:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            known = [base64.b64encode(f"{user}:{word}".encode()).decode() for user, word in registry.users.items()]
            return not known or given in known

        def _send(self, status: int, content: Any) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    registry.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
