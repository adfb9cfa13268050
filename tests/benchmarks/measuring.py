"""Measurement of one command from start to end: seconds, CPU seconds and peak memory of all its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

SAMPLE_SECONDS = 0.1
# Reading the proportional share of pages takes milliseconds per process, so it is sampled less often.
PSS_SECONDS = 1.0
MB = 1024 * 1024
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Measured:
    """Cost of a command.

    Attributes:
        seconds: wall clock, including start-up and files.
        cpu_seconds: user and system time of the process tree. A child that was not waited for counts up to its last sample.
        peak_mb: largest sum of the tree's PSS (shared pages counted once); of its RSS if the run was too short for that.
        peak_rss_mb: largest sum of the tree's RSS, which counts a shared page for each process.
        code: exit code; None if the time limit ended it.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    peak_rss_mb: float
    code: int | None


def measure(command: Sequence[str | Path], *, log: Path, cwd: Path, env: Mapping[str, str], limit: float) -> Measured:
    """Run a command.

    Args:
        log: the file for its output.
        env: variables to add to the environment.
        limit: seconds after which it and its children are killed.
    """
    with log.open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=os.environ | env,
            start_new_session=True,
        )
        ended = threading.Event()
        outcome: list[Any] = []

        def wait() -> None:
            _, status, usage = os.wait4(process.pid, 0)
            outcome.extend((time.perf_counter(), status, usage))
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        tree = _Tree(process.pid)
        killed = False
        try:
            while not ended.wait(SAMPLE_SECONDS):
                tree.sample()
                if not killed and time.perf_counter() - began > limit:
                    killed = True
                    os.killpg(process.pid, signal.SIGKILL)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    end, status, usage = outcome
    process.returncode = os.waitstatus_to_exitcode(status)
    return Measured(
        seconds=end - began,
        cpu_seconds=max(usage.ru_utime + usage.ru_stime, sum(tree.cpu.values())),
        peak_mb=(tree.peak_pss or tree.peak_rss) / MB,
        peak_rss_mb=tree.peak_rss / MB,
        code=None if killed else process.returncode,
    )


class _Tree:
    """A process and all its descendants."""

    def __init__(self, pid: int) -> None:
        self.root = psutil.Process(pid)
        self.cpu: dict[int, float] = {}
        self.peak_rss = self.peak_pss = 0
        self.next_pss = time.monotonic() + PSS_SECONDS / 2

    def sample(self) -> None:
        rss = pss = 0
        look = time.monotonic() >= self.next_pss
        try:
            processes = [self.root, *self.root.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                times = process.cpu_times()
                self.cpu[process.pid] = times.user + times.system
                rss += process.memory_info().rss
                pss += process.memory_full_info().pss if look else 0
            except psutil.Error:
                continue
        self.peak_rss, self.peak_pss = max(self.peak_rss, rss), max(self.peak_pss, pss)
        if look:
            self.next_pss = time.monotonic() + PSS_SECONDS


class Server:
    """The fake server in a separate process, so that its cost is not counted as the client's."""

    def __init__(self, latency: str, slots: int) -> None:
        # An equal request gets another sample each time, as from a real model: Answer Augmentation repeats its requests.
        options = ["--latency", latency, "--slots", str(slots), "--vary-repeats"]
        self._process = subprocess.Popen([sys.executable, str(TESTS / "fake_server.py"), *options], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.base_url = self._process.stdout.readline().strip()
        if not self.base_url:
            raise RuntimeError("the fake server did not start")

    def reset(self) -> None:
        self._get("/reset")

    def stats(self) -> dict[str, Any]:
        return self._get("/stats")

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.base_url.removesuffix("/v1") + path, timeout=60) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.communicate()
