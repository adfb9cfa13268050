"""Send requests to the worker process, and survive whatever a query does to it.

The worker (`worker.py`) limits itself, the kernel kills what exceeds that, and the timeout here ends what even the kernel misses. If it
dies of a query, the query fails and the next one starts a new worker. All work of SQLite or sqlglot on model-written text goes through
here.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any

from axolotl_synthetic.errors import ServiceError

MODULE = "axolotl_synthetic.sql.worker"
# Wall time per allowed processor second for a worker that hangs: far beyond what it needs even on a busy machine.
PATIENCE = 20.0
START_SECONDS = 120.0


class WorkerDied(Exception):
    """The worker ended, or was killed, during a request."""


class _Worker:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: subprocess.Popen[bytes] | None = None
        self.rest = b""

    def ask(self, request: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        with self.lock:
            if self.running is None or self.running.poll() is not None:
                self.start()
            assert self.running is not None and self.running.stdin is not None
            line = None
            try:
                self.running.stdin.write(json.dumps(request).encode() + b"\n")
                self.running.stdin.flush()
                line = self.line(seconds)
            except OSError:
                pass
            finally:
                # Also if the caller is interrupted: this reply must not be read as the next request's.
                if line is None:
                    self.stop()
            if line is None:
                raise WorkerDied
            reply: dict[str, Any] = json.loads(line)
            return reply

    def line(self, seconds: float) -> bytes | None:
        """Return one line from the worker, None if it ended or timed out."""
        assert self.running is not None and self.running.stdout is not None
        output = self.running.stdout.fileno()
        poll = select.poll()
        poll.register(output, select.POLLIN)
        while b"\n" not in self.rest:
            if not poll.poll(1_000 * seconds):
                return None
            part = os.read(output, 1 << 16)
            if not part:
                return None
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def start(self) -> None:
        self.stop()
        # Do not pass on our environment, which holds API keys, except Python's import path. The fixed time zone is for queries that ask for
        # the local time.
        environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        try:
            self.running = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
                cwd="/",
                start_new_session=True,  # the run handles Ctrl-C
            )
        except OSError as error:
            raise ServiceError(f"the process that runs SQL cannot be started: {error}; free memory or processes and start again") from error
        if self.line(START_SECONDS) != b"ready":
            self.stop()
            raise ServiceError(f"the process that runs SQL does not start; see what `{sys.executable} -P -m {MODULE}` says")

    def stop(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.running.communicate()
            self.running = None
        self.rest = b""


_worker = _Worker()


def ask(request: Mapping[str, Any], *, seconds: float) -> dict[str, Any]:
    """Return the worker's reply. Safe in any thread and after a fork.

    Args:
        request: see `worker.py`.
        seconds: processor time that the request's queries may take.

    Raises:
        WorkerDied: if it ended without a reply because the query ran out of time or memory.
        ServiceError: if it cannot be started; otherwise all queries would count as wrong.
    """
    return _worker.ask(request, PATIENCE * (1 + seconds))


def _after_fork() -> None:
    # The worker belongs to the parent: two clients of one pipe would read each other's replies.
    global _worker
    _worker = _Worker()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(lambda: _worker.stop())
