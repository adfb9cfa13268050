"""The process that makes the calls: runs the engine and hands on, in packs, the candidates that end.

It is started (`caller_process.py`) before distilabel is imported, which takes seconds in which the teacher would idle, and even
before there is a job: what it imports itself is then ready when the job comes. It outlives distilabel's own processes when one of
them breaks, so that the calls under way end and are kept. A pack, of candidates that ended at about the same time, is a file of the
workplace.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections import deque
from contextlib import suppress
from pathlib import Path

from axolotl_synthetic.checks import DEFAULTS
from axolotl_synthetic.errors import StorageError, SyntheticError
from axolotl_synthetic.pipelines import open_files
from axolotl_synthetic.pipelines.job import Workplace, die_with
from axolotl_synthetic.records import Candidate

PACK = 512
PACK_SECONDS = 0.05
SWITCH_SECONDS = 0.0005
# What most jobs need.
EARLY = ("uvloop", "pipelines.engine", "teachers.openai", "tasks.math", *(f"checks.{name}" for name in DEFAULTS))


def main(parent: str) -> None:
    """Wait for a line of JSON on the standard input (the workplace's path, the log's, the environment's variables), and run the job
    until a limit ends it. No line, no job.

    Args:
        parent: the process id of who started this process, and with whom it is to end.
    """
    die_with(int(parent))
    for asked in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # one who asks all processes of the run: our parent handles that
        signal.signal(asked, signal.SIG_IGN)
    for name in EARLY:
        # One that cannot be imported is told of when the engine needs it, in a process that has a log.
        with suppress(Exception):
            importlib.import_module(name if name == "uvloop" else f"axolotl_synthetic.{name}")
    # A line, not the end of the input: a process that was forked meanwhile may hold its other end open.
    if not (line := sys.stdin.buffer.readline()):
        return
    path, log, environment = json.loads(line)
    os.environ.clear()
    os.environ.update(environment)
    _print_to(log)
    work = Workplace(Path(path))
    job = work.job()
    # A task or a model of the user's own may live anywhere on the path of the process that started this one.
    sys.path[:] = job.python_path
    open_files.allow(job.models)
    threading.excepthook = lambda broke: _tell(work, f"the thread {broke.thread.name if broke.thread else ''}", broke.exc_value)
    # A thread that waits for the ledger's disk gets its turn back sooner: each statement gives it up.
    sys.setswitchinterval(SWITCH_SECONDS)
    packer = _Packer(work)
    packer.start()
    try:
        _run_engine(work, packer)
    finally:
        packer.finish()


def _print_to(log: str) -> None:
    with open(log, "ab") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)


def _run_engine(work: Workplace, packer: _Packer) -> None:
    try:
        import uvloop

        from axolotl_synthetic.pipelines.engine import Engine

        gc.freeze()  # what was imported stays: the collector need not look through it again and again
        uvloop.run(Engine(work, packer.take).run())
    except SyntheticError as error:
        work.fail(error)
    except BaseException as error:
        _tell(work, "the engine", error)


def _tell(work: Workplace, who: str, error: BaseException | None) -> None:
    """End the run because a part of this process broke; the rest would wait for it for ever."""
    work.fail(SyntheticError(f"{who} broke: {type(error).__name__}: {error}; please report this: what was paid for is kept"))
    traceback.print_exception(error)


class _Packer(threading.Thread):
    """Writes what has ended as a pack, twenty times a second. Woken for each candidate it would slow down the calls."""

    def __init__(self, work: Workplace) -> None:
        super().__init__(name="packer")
        self._work = work
        self._ended: deque[Candidate] = deque()
        self._over = threading.Event()
        self._number = 0

    def take(self, candidate: Candidate) -> None:
        self._ended.append(candidate)

    def finish(self) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        while not self._over.wait(PACK_SECONDS):
            self._put()
        self._put()
        self._work.end_packs(self._number)

    def _put(self) -> None:
        while self._ended:
            pack = [self._ended.popleft() for _ in range(min(PACK, len(self._ended)))]
            self._number += 1
            # What follows an error cannot be handed on either, but the calls under way are to end and be kept.
            try:
                self._work.put_pack(self._number, pack)
            except SyntheticError as error:
                self._work.fail(error)
            except OSError as error:
                self._work.fail(
                    StorageError(f"{self._work.path}: {error.strerror}; free some space there, then run the same command again")
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
