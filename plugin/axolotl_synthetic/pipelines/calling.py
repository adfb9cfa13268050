"""The process that makes a run's calls: it runs the engine and sends ended candidates to `Generate` through a pipe.

It is forked before the pipeline's process imports distilabel and builds the graph, which takes longer than many calls. It outlives a
killed step, so every reply that was paid for is stored.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections import deque
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import FrameType

from axolotl_synthetic.errors import ProcessEndedError, SyntheticError, encoded
from axolotl_synthetic.pipelines import open_files
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.rows import to_text
from axolotl_synthetic.records import Candidate

# CHUNK limits a row's candidates. A row costs distilabel 5 ms of processor time whatever its size. So while at least MANY candidates
# arrive per look, the sender waits for more, for up to MOST_LOOKS looks.
CHUNK = 2048
LOOK_SECONDS, MOST_LOOKS, MANY = 0.05, 6, 20
# A short interval returns the interpreter sooner to a thread that waits for the ledger's disk: it releases the lock at each statement.
SWITCH_SECONDS = 0.0005

Row = tuple[list[str], bool, str]
"""Candidates as texts, whether the calls are over, and the encoded error that ended them early (empty: none)."""

# The pipe's end that `Generate` reads. `Generate` inherits it: its process is forked from the one that started the calls.
_ended: Connection | None = None


def start(job: Job) -> BaseProcess:
    """Start the process that makes the calls.

    It ends when no call is open any more. On SIGTERM it makes no new calls and waits for the open ones.
    Raises:
        SyntheticError: if it cannot be started.
    """
    global _ended
    _ended, outgoing = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_work, args=(job, outgoing), name="calls", daemon=True)
    try:
        process.start()
    except OSError as error:
        raise SyntheticError(f"no process can be started: {error}; free memory or processes, then start again") from error
    # Our copy would keep the pipe open after the process is killed.
    outgoing.close()
    return process


def receive() -> Row:
    """Wait for ended candidates, or for the end of the calls."""
    assert _ended is not None
    try:
        row: Row = _ended.recv()
    except (EOFError, OSError):
        return [], True, encoded(ProcessEndedError("the process that makes the calls ended unexpectedly"))
    return row


def broken(who: str, error: BaseException | None) -> SyntheticError:
    """Return the error that ends a run after an unexpected exception, whose traceback goes to the log."""
    traceback.print_exception(error)
    return SyntheticError(f"{who} broke: {type(error).__name__}: {error}; please report this: what was paid for is kept")


def _work(job: Job, outgoing: Connection) -> None:
    gc.freeze()  # spare the collector the modules that the parent imported
    gc.enable()
    _Calls(job, outgoing).run()


class _Calls:
    """Calls of a run: the engine in the main thread, which receives signals, and a thread that sends ended candidates."""

    def __init__(self, job: Job, outgoing: Connection) -> None:
        self._job = job
        self._outgoing = outgoing
        self._ended: deque[Candidate] = deque()
        self._stopping = threading.Event()
        self._over = threading.Event()
        self._error = ""
        signal.signal(signal.SIGTERM, self._terminate)
        threading.excepthook = self._thread_broke

    def run(self) -> None:
        sender = threading.Thread(target=self._send, name="sender", daemon=True)
        sender.start()
        try:
            import uvloop

            from axolotl_synthetic.pipelines.engine import Engine

            sys.path[:] = self._job.python_path
            open_files.allow(self._job.models)
            sys.setswitchinterval(SWITCH_SECONDS)
            engine = Engine(self._job, self._ended.append, self._stopping)
            uvloop.run(engine.run())
            if engine.error is not None:
                self._fail(engine.error)
        except SyntheticError as error:
            self._fail(error)
        except BaseException as error:
            self._fail(broken("the engine", error))
        self._over.set()
        sender.join()

    def _send(self) -> None:
        """Send rows until the calls are over and everything is sent, or the reader is gone."""
        over = False
        while not over:
            over = self._gather() and len(self._ended) <= CHUNK  # order matters: after the end, nothing is added
            texts = self._take(CHUNK)
            if texts or over:
                try:
                    self._outgoing.send((texts, over, self._error))
                except OSError:
                    return

    def _gather(self) -> bool:
        """Wait for a row's candidates or for the end of the calls; return whether the calls are over."""
        had = 0
        for _ in range(MOST_LOOKS):
            if self._over.wait(LOOK_SECONDS):
                return True
            now = len(self._ended)
            if now - had < MANY or now > CHUNK:
                break
            had = now
        return False

    def _take(self, most: int) -> list[str]:
        texts = []
        for _ in range(min(most, len(self._ended))):
            try:
                texts.append(to_text(self._ended.popleft()))
            except SyntheticError as error:
                # Later candidates cannot be judged either, but open calls may end, so that their replies are stored.
                self._fail(error)
        return texts

    def _fail(self, error: SyntheticError) -> None:
        self._error = self._error or encoded(error)
        self._stopping.set()

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        self._stopping.set()
        if self._over.is_set():
            os._exit(0)

    def _thread_broke(self, broke: threading.ExceptHookArgs) -> None:
        self._fail(broken(f"the thread {broke.thread.name if broke.thread else ''}", broke.exc_value))
