"""The real Argilla server of `review serve`, and people who answer through its HTTP API like the page."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx


def free_port() -> int:
    """Return a port that no outgoing connection gets: those start at 32768 on Linux."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_768)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def serve(data: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `axolotl synthetic review serve`, with its data in a folder of the test's."""
    return subprocess.run(
        [sys.executable, "-m", "axolotl_synthetic", "review", "serve", *options],
        env={**os.environ, "XDG_DATA_HOME": str(data)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@dataclass
class ArgillaHere:
    """One server. `seconds` lists the duration of each start."""

    data: Path
    port: int = field(default_factory=free_port)
    seconds: list[float] = field(default_factory=list)
    said: list[subprocess.CompletedProcess[str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def home(self) -> Path:
        return self.data / "axolotl-synthetic" / "argilla"

    @property
    def credentials(self) -> dict[str, str]:
        known: dict[str, str] = json.loads((self.home / "credentials.json").read_text())
        return known

    @property
    def key(self) -> str:
        return self.credentials["api_key"]

    def start(self) -> None:
        began = time.monotonic()
        done = serve(self.data, "--port", str(self.port))
        assert done.returncode == 0, done.stderr
        self.seconds.append(time.monotonic() - began)
        self.said.append(done)

    def kill(self) -> None:
        """Kill the server as `kill -9` does."""
        os.kill(json.loads((self.home / "server.json").read_text())["pid"], signal.SIGKILL)
        until = time.monotonic() + 10
        while time.monotonic() < until and self.answers():
            time.sleep(0.02)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def call(self, method: str, path: str, *, key: str | None = None, **request: Any) -> Any:
        headers = {"X-Argilla-Api-Key": key or self.key}
        response = httpx.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, trust_env=False, **request)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def person(self, name: str, *, role: str = "annotator", workspace: str | None = "synthetic") -> Person:
        """Create a new person in the workspace."""
        username = f"{name}-{uuid.uuid4().hex[:6]}"
        made = self.call("POST", "/users", json={"first_name": name, "username": username, "password": "a-password", "role": role})
        if workspace is not None:
            known = {one["name"]: one["id"] for one in self.call("GET", "/me/workspaces")["items"]}
            if workspace not in known:
                known[workspace] = self.call("POST", "/workspaces", json={"name": workspace})["id"]
            self.call("POST", f"/workspaces/{known[workspace]}/users", json={"user_id": made["id"]})
        return Person(self, username, made["id"], made["api_key"])

    def dataset(self, name: str) -> str:
        (found,) = [one["id"] for one in self.call("GET", "/me/datasets")["items"] if one["name"] == name]
        return str(found)

    def records(self, name: str) -> dict[str, dict[str, Any]]:
        """Return all records of a dataset by the sample's id."""
        path = f"/datasets/{self.dataset(name)}/records?include=responses&include=suggestions&limit=1000"
        return {record["external_id"]: record for record in self.call("GET", path)["items"]}


@dataclass(frozen=True)
class Person:
    """A person with an account."""

    server: ArgillaHere
    name: str
    id: str
    key: str

    def answer(self, records: Iterable[Mapping[str, Any]], status: str = "submitted", **values: Any) -> None:
        """Give the same response to each of these records."""
        given = {question: {"value": value} for question, value in values.items()} or None
        items = [{"record_id": record["id"], "status": status, "values": given} for record in records]
        for at in range(0, len(items), 100):
            made = self.server.call("POST", "/me/responses/bulk", key=self.key, json={"items": items[at : at + 100]})
            assert not [one["error"] for one in made["items"] if one["error"]]
