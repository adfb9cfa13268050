"""Start of the process that runs the pipeline (driver.py): hand it a job and wait for its end.

This module imports very little, so that a command can start the process first and read its config while that process imports.
"""

from __future__ import annotations

import json
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from axolotl_synthetic.errors import Interrupted, ProcessEndedError, StorageError, SyntheticError, decoded

if TYPE_CHECKING:
    from axolotl_synthetic.pipelines.job import Job

# A socket's path has at most 107 bytes, of which we and multiprocessing use these: /axolotl-abcdefgh/pymp-abcdefgh/listener-abcdefgh.
LONGEST_TEMPORARY = 107 - 49
# Answer of the process when a limit of the budget ended the run.
WHOLE = "whole"
# Seconds between two checks whether the user asked to stop.
LOOK_SECONDS = 0.2


class PipelineProcess:
    """The pipeline's process as its parent sees it."""

    def __init__(self) -> None:
        # -P: the working directory must not shadow installed packages. Its own session: the parent handles Ctrl-C.
        command = [sys.executable, "-P", "-m", "axolotl_synthetic.pipelines.driver", str(os.getpid())]
        # A SIGINT to all processes of a run reaches the child too, even while it imports, but we handle it. distilabel installs a handler
        # of its own, which would undo ignoring the signal; so block it, as a child inherits the mask.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if sys.stderr else subprocess.DEVNULL,  # closed (`2>&-`), its number would go to the first opened file
                start_new_session=True,
            )
        except OSError as error:
            raise SyntheticError(f"no process can be started: {error}; free memory or processes, then start again") from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def run(self, job: Job, log: Path) -> None:
        """Run a job until a limit ends it.

        Args:
            job: what to do; the process writes the spool and adds to the ledger.
            log: file to which distilabel's log and the process's output are appended.

        Raises:
            Interrupted: when the user asked to stop; open calls have ended and their replies are stored.
            SyntheticError: the error that ended the run.
        """
        try:
            open(log, "ab").close()
        except OSError as problem:
            raise StorageError(f"{log}: {problem.strerror}; make it writable, or choose another output_dir") from problem
        error: SyntheticError | None = None
        with _temporary_folder() as folder, _stopping(self._process, folder) as asked:
            self._send(job, folder, log)
            error = self._result(job, asked)
        # A signal to every process of the run, as systemd and Slurm send it, ends distilabel's processes at once.
        if asked() and (error is None or isinstance(error, ProcessEndedError)):
            raise Interrupted(
                f"stopped; every reply that was paid for is kept: run the same command again to go on{_left_open(job.ledger)}"
            )
        if error is not None:
            raise error

    def dismiss(self) -> None:
        """Kill the process, whatever it does."""
        self._process.kill()
        self._process.communicate()

    def _send(self, job: Job, folder: Path, log: Path) -> None:
        # Pass the current environment: a user's own task may have read a .env file since the process started.
        header = {"folder": str(folder), "log": str(log.absolute()), "environment": dict(os.environ), "python_path": job.python_path}
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended already; `_result` reports that
            self._process.stdin.write(json.dumps(header).encode() + b"\n" + pickle.dumps(job))
            self._process.stdin.flush()

    def _result(self, job: Job, asked: Callable[[], bool]) -> SyntheticError | None:
        """Wait for the process's answer, and pass on a request to stop through the ledger."""
        from axolotl_synthetic.ledger import Ledger

        def ask() -> None:
            # If the ledger cannot be written, the calls end by themselves.
            with suppress(SyntheticError), Ledger(job.ledger) as ledger:
                ledger.ask_to_stop()

        assert self._process.stdout is not None
        told = False
        while not select.select([self._process.stdout], [], [], LOOK_SECONDS)[0]:
            if asked() and not told:
                # In a thread: while SQLite waits for a lock, no handler could run for a second signal, which must end everything at once.
                threading.Thread(target=ask, daemon=True).start()
                told = True
        if line := self._process.stdout.readline():
            answer = line.decode().strip()
            return None if answer == WHOLE else decoded(answer)
        return ProcessEndedError(
            f"the process that runs the pipeline ended unexpectedly (exit code {self._process.wait()}); often it is the kernel, out of"
            " memory: see that there is enough, then run the same command again: what was paid for is kept"
        )


def _left_open(path: Path) -> str:
    """Return a text about the batches that go on without the run; empty where there are none."""
    from axolotl_synthetic.batch_ledger import BatchLedger
    from axolotl_synthetic.wording import number_of

    with suppress(SyntheticError), BatchLedger(path, read_only=True) as ledger:
        if left := ledger.open_batches():
            calls = sum(waiting for _, waiting in left)
            goes = "goes on at its provider, and that picks it up" if len(left) == 1 else "go on at their provider, and that picks them up"
            return f"; {number_of(len(left), 'batch', 'batches')} with {number_of(calls, 'call')} {goes}"
    return ""


@contextmanager
def waiting() -> Iterator[PipelineProcess]:
    """Start the process, and kill it when the context ends.

    Raises:
        SyntheticError: if it cannot be started.
    """
    process = PipelineProcess()
    try:
        yield process
    finally:
        process.dismiss()


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Make a folder for all temporary files of the run's processes, which may be killed.

    It lies outside the output folder, so that the run can still end well when the output folder's disk is full.
    """
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TEMPORARY:
        raise StorageError(
            f"{tempfile.gettempdir()}: the path of the temporary folder is longer than the {LONGEST_TEMPORARY} bytes that leave room for"
            " the name of a socket in it; set TMPDIR to a shorter one"
        )
    try:
        folder = Path(tempfile.mkdtemp(prefix="axolotl-"))
    except OSError as error:
        raise StorageError(f"no temporary folder can be made: {error}; free some space, or set TMPDIR to another folder") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stopping(process: subprocess.Popen[bytes], folder: Path) -> Iterator[Callable[[], bool]]:
    """Let open calls finish at the first SIGINT, SIGTERM or SIGHUP, and end everything at a further SIGINT or SIGTERM.

    Yields:
        A function that returns whether the user asked to stop.
    """
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        if number == signal.SIGHUP and count:
            return  # a closed terminal sends it, and then its shell again
        count += 1
        if count > 1:
            # Children die with us, the embedded server when its input closes. The ledger is durable at every moment.
            process.kill()
            shutil.rmtree(folder, ignore_errors=True)
            os._exit(Interrupted.exit_code)

    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` sets that to outlive the terminal
        signals.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield lambda: count > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
