"""Ask math-verify in a separate process whether two expressions are equal.

math-verify limits its time with `signal.alarm`, which works only in a main thread and does not interrupt a long integer operation. An
answer such as 9**9**9**9 could therefore hang a run. `verifier_process.py` does the work under limits that the kernel enforces. If they
kill it, the two are not equal and the next question starts a new process.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from functools import lru_cache
from pathlib import Path

from axolotl_synthetic.errors import ServiceError

PROGRAM = Path(__file__).with_name("verifier_process.py")


@lru_cache(maxsize=65_536)
def same_expression(gold: str, other: str) -> bool:
    """Say whether math-verify considers two expressions, in LaTeX or plain, equal. Safe in any thread and after a fork.

    Raises:
        ServiceError: if math-verify does not start; otherwise all answers would count as wrong.
    """
    return _process.ask(json.dumps([gold, other]))


class _Process:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: subprocess.Popen[str] | None = None

    def ask(self, line: str) -> bool:
        with self.lock:
            if self.running is None or self.running.poll() is not None:
                self.start()
            assert self.running is not None and self.running.stdin is not None and self.running.stdout is not None
            try:
                self.running.stdin.write(line + "\n")
                self.running.stdin.flush()
                reply = self.running.stdout.readline()
            except OSError:
                reply = ""
            if not reply:
                self.stop()
            return reply == "1\n"

    def start(self) -> None:
        self.stop()
        try:
            self.running = self.popen()
        except OSError as error:
            raise ServiceError(f"math-verify cannot be started: {error}; free memory or processes and start again") from error
        assert self.running.stdout is not None
        if self.running.stdout.readline() != "ready\n":
            code = self.running.wait()
            raise ServiceError(f"math-verify does not start (exit code {code}); see what `{sys.executable} -P {PROGRAM}` says")

    def popen(self) -> subprocess.Popen[str]:
        # -P: this folder contains a `math.py`, which would shadow Python's own.
        return subprocess.Popen(
            [sys.executable, "-P", str(PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # the run handles Ctrl-C
        )

    def stop(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.communicate()
            self.running = None


_process = _Process()


def _after_fork() -> None:
    # The process belongs to the parent: two clients of one pipe would read each other's replies.
    global _process
    _process = _Process()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _process.stop())
