"""A local server with the part of the Hugging Face Hub that a push uses.

It checks who may write, and has repositories, commits, and both ways to send large files (Git LFS, and Xet's store of chunks). It keeps
what
it received, and fails where a test says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_recognisable0123456789"
Refusal = Callable[[str, str], int | None]


@dataclass
class Repository:
    private: bool
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[list[dict[str, Any]]] = field(default_factory=list)
    card: dict[str, Any] = field(default_factory=dict)


class FakeHub:
    """The server, running while its context lasts.

    Args:
        refuse: returns the status with which a request (method, path) is refused, None to answer it.
    """

    def __init__(self, refuse: Refusal = lambda method, path: None) -> None:
        self.refuse = refuse
        self.repositories: dict[str, Repository] = {}
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.unknown: list[tuple[str, str]] = []
        self.xorbs: list[str] = []
        self.shards = 0

    def __enter__(self) -> FakeHub:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def sent(self, method: str, part: str) -> int:
        """Return how many requests of a method had this in their path."""
        return sum(of == method and part in path for of, path in self.requests)


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self._chunked()
        path = self.path.split("?")[0]
        self.hub.requests.append((self.command, path))
        if (status := self.hub.refuse(self.command, path)) is not None:
            self._send(status, {"error": "refused by the test"})
        elif path.startswith(("/objects/", "/cas/")):
            self._send(*self._store(path, body))
        elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"error": "Invalid username or password."}, {"X-Error-Message": "Invalid username or password."})
        else:
            self._send(*self._hub(path, body))

    do_GET = do_POST = do_PUT = do_HEAD = _answer

    def _chunked(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return b""
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _send(self, status: int, content: Any = None, headers: dict[str, str] | None = None) -> None:
        text = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def _store(self, path: str, body: bytes) -> tuple[int, Any]:
        """Store objects of Git LFS, by their hash, and hf_xet's data: blocks of chunks, and lists of the files' parts."""
        if path.startswith("/objects/"):
            if hashlib.sha256(body).hexdigest() != path.rpartition("/")[2]:
                return 400, {"error": "another content"}
            self.hub.objects[path.rpartition("/")[2]] = body
            return 200, {}
        if "/xorbs/" in path:
            is_new = path not in self.hub.xorbs
            self.hub.xorbs += [path] if is_new else []
            return 200, {"was_inserted": is_new}
        if path.endswith("/shards"):
            self.hub.shards += 1
            return 200, {"type": "result", "result": 1, "shard_hash": "0" * 64}
        if "/chunks/" in path or "/xorb-grants/" in path:  # no known chunk, and no other address to send one to
            return 404, {}
        self.hub.unknown.append((self.command, path))
        return 404, {}

    def _hub(self, path: str, body: bytes) -> tuple[Any, ...]:
        hub = self.hub
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else f"me/{asked['name']}"
            hub.repositories[name] = Repository(private=bool(asked.get("private", asked.get("visibility") == "private")))
            return 200, {"url": f"{hub.endpoint}/datasets/{name}", "name": name, "id": name}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path.endswith(".git/info/lfs/objects/batch"):
            asked = json.loads(body)
            # Older clients ask for the way to send; newer ones use Xet where it is available.
            transfer = "xet" if "xet" in asked["transfers"] else "basic"
            return 200, {"transfer": transfer, "objects": [self._lfs(one) for one in asked["objects"]]}
        parts = path.removeprefix("/api/datasets/").split("/")
        name, rest = "/".join(parts[:2]), parts[2:]
        repository = hub.repositories.get(name)
        if repository is None:
            return 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"}
        if not rest or rest[0] == "revision":
            head = f"{len(repository.commits):040x}"
            return 200, {"id": name, "private": repository.private, "sha": head, "cardData": repository.card, "siblings": []}
        if rest[0] == "tree":
            return 200, [{"type": "file", "path": at, "size": len(it), "oid": _git(it)} for at, it in repository.files.items()]
        if rest[0] == "preupload":
            return 200, {"files": [self._mode(repository, file) for file in json.loads(body)["files"]]}
        if rest[0] == "xet-write-token":
            expires = int(time.time()) + 3_600
            said = {"X-Xet-Cas-Url": f"{hub.endpoint}/cas", "X-Xet-Access-Token": "t", "X-Xet-Token-Expiration": str(expires)}
            return 200, {"casUrl": f"{hub.endpoint}/cas", "accessToken": "t", "exp": expires}, said
        if rest[0] == "commit":
            return self._commit(name, repository, [json.loads(line) for line in body.splitlines()])
        hub.unknown.append((self.command, path))
        return 404, {"error": "unknown"}

    def _mode(self, repository: Repository, file: dict[str, Any]) -> dict[str, Any]:
        there = repository.files.get(file["path"])
        mode = "lfs" if file["path"].endswith((".parquet", ".png")) else "regular"
        oid = None if there is None else hashlib.sha256(there).hexdigest() if mode == "lfs" else _git(there)
        return {"path": file["path"], "uploadMode": mode, "shouldIgnore": False, **({} if oid is None else {"oid": oid})}

    def _lfs(self, asked: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.hub.endpoint}/objects/{asked['oid']}"
        action = {} if asked["oid"] in self.hub.objects else {"actions": {"upload": {"href": href}}}
        return {"oid": asked["oid"], "size": asked["size"], **action}

    def _commit(self, name: str, repository: Repository, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                repository.files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                # The content sent by hf_xet is in blocks that are not put together here.
                repository.files[value["path"]] = self.hub.objects.get(value["oid"], b"")
            elif line["key"] == "deletedFile":
                del repository.files[value["path"]]
        repository.commits.append(lines)
        oid = f"{len(repository.commits):040x}"
        return 200, {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.endpoint}/datasets/{name}/commit/{oid}"}


def _git(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
