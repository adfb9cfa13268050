"""A user's folder with seeds and a config, and the real command in it, for tests of whole runs.

Every process gets a mark in its environment, so that leftovers are found, a key that must not be written anywhere, and a separate
folder for temporary files.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fake_server import FakeServer

KEY = "sk-recognisable-0123456789abcdef"
# Time limit for a hanging command. It does not test speed: on a busy machine a run may take many times as long.
SECONDS = 300


def seed(number: int) -> dict[str, str]:
    """Return a question that no other number has: 2 to 41 jars, 3 and more cards."""
    jars, cards = 2 + number % 40, 3 + number // 40
    return {
        "question": f"Ada has {jars} jars with {cards} cards each. How many cards are there?",
        "answer": f"{jars} jars of {cards} cards are {jars} * {cards} = {jars * cards} cards.\n#### {jars * cards}",
    }


@dataclass
class Project:
    """A folder, and the commands that were run in it."""

    folder: Path
    seeds: int = 100
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        # Use a folder outside the project's: pytest's paths may be too long for sockets.
        self.temporary = Path(tempfile.mkdtemp(prefix="project-"))
        atexit.register(shutil.rmtree, self.temporary, ignore_errors=True)
        self.write_seeds(range(self.seeds))

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write_seeds(self, numbers: Any) -> None:
        (self.folder / "seeds.jsonl").write_text("".join(json.dumps(seed(number)) + "\n" for number in numbers), encoding="utf-8")

    def configure(self, server: FakeServer | str, *, teacher: dict[str, Any] | None = None, **block: Any) -> None:
        base_url = server if isinstance(server, str) else server.base_url
        config = {
            "seeds": {"path": "seeds.jsonl"},
            "strategy": "answer_augmentation",
            "budget": {"samples": 20},
            "teacher": {"base_url": base_url, "model": "fake-model", "concurrency": 16, **(teacher or {})},
            "output_dir": "out",
            **block,
        }
        (self.folder / "config.yml").write_text(yaml.safe_dump({"synthetic": config}), encoding="utf-8")

    def start(self, command: str = "generate", *options: str, file: str = "config.yml", **popen: Any) -> Running:
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "PROJECT_MARK": self.mark, "TMPDIR": str(self.temporary)}
        child = subprocess.Popen(
            [sys.executable, "-m", "axolotl_synthetic", command, file, *options],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **popen,
        )
        return Running(self, child)

    def run(self, command: str = "generate", *options: str, seconds: float = SECONDS, **popen: Any) -> Done:
        return self.start(command, *options, **popen).wait(seconds)

    # Traces of a run

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))
        return manifest

    @property
    def samples(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.out / "samples.jsonl").read_bytes().split(b"\n")[:-1]]

    @property
    def training_bytes(self) -> bytes:
        return (self.out / self.manifest["files"]["train"]["path"]).read_bytes()

    def ledger(self, query: str) -> list[tuple[Any, ...]]:
        database = sqlite3.connect(self.out / "ledger.sqlite")
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    @property
    def outcomes(self) -> dict[str, int]:
        return dict(self.ledger("SELECT outcome, count(*) FROM calls GROUP BY outcome"))

    @property
    def paid_twice(self) -> int:
        """Return the number of replies in the ledger beyond one for each question and length limit."""
        [[number]] = self.ledger("SELECT count(*) - count(DISTINCT key || max_new_tokens) FROM calls WHERE outcome = 'ok'")
        return int(number)

    def forget_all_but_the_ledger(self) -> None:
        for path in self.out.iterdir():
            if path.is_file() and not path.name.startswith("ledger.sqlite"):
                path.unlink()

    def processes(self) -> list[tuple[int, str]]:
        """Return id and command line of the processes that still run."""
        found = []
        for path in Path("/proc").iterdir():
            try:
                if path.name.isdigit() and f"PROJECT_MARK={self.mark}".encode() in (path / "environ").read_bytes():
                    found.append((int(path.name), (path / "cmdline").read_text().replace("\0", " ")))
            except OSError:
                pass  # ended meanwhile
        return found

    def ends(self, seconds: float = 60) -> bool:
        """Return whether all processes end within this many seconds."""
        return until(lambda: not self.processes(), seconds)


@dataclass
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass
class Running:
    """A command in progress."""

    project: Project
    child: subprocess.Popen[str]
    began: float = field(default_factory=time.monotonic)

    def wait(self, seconds: float = SECONDS) -> Done:
        timer = threading.Timer(seconds, self.kill)
        timer.start()
        out, err = self.child.communicate()
        timer.cancel()
        self.project.said += [out, err]
        return Done(self.child.returncode, out, err, time.monotonic() - self.began)

    def signal(self, number: int) -> None:
        self.child.send_signal(number)

    def kill(self) -> None:
        """Kill only the command's own process, as `kill -9` does."""
        self.child.send_signal(signal.SIGKILL)


def until(happened: Callable[[], object], seconds: float = SECONDS) -> bool:
    """Wait for an event, at most this long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if happened():
            return True
        time.sleep(0.02)
    return False
