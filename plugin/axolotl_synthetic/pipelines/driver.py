"""The process that runs the pipeline: it builds distilabel's graph for a job, runs it and reports how it ended.

It starts before there is a job (process.py), so that slow imports, above all distilabel's, are done when the job comes. Its own process
keeps distilabel's logging, signal handlers and threads away from the command. Standard input brings a line of JSON and the pickled job.
Standard output takes one line: `WHOLE` for a whole run, or else the encoded error that ended it.
"""

from __future__ import annotations

import errno
import gc
import importlib
import io
import json
import multiprocessing
import os
import pickle
import select
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TextIO

from axolotl_synthetic import terminal
from axolotl_synthetic.checks import DEFAULTS
from axolotl_synthetic.errors import ProcessEndedError, StorageError, SyntheticError, decoded, encoded
from axolotl_synthetic.ledger import CLUSTER, Ledger
from axolotl_synthetic.pipelines import calling
from axolotl_synthetic.pipelines.job import Job
from axolotl_synthetic.pipelines.process import WHOLE
from axolotl_synthetic.pipelines.verifiers import cluster_of
from axolotl_synthetic.processes import die_with

# Modules that most calls need, then those of the graph. LATER is imported only until a job comes, so that the job need not wait.
EARLY = ("uvloop", "axolotl_synthetic.pipelines.engine", "axolotl_synthetic.teachers.openai", "axolotl_synthetic.tasks.math")
LATER = (*(f"axolotl_synthetic.checks.{name}" for name in DEFAULTS), "numpy", "requests", "pyarrow", "networkx", "pandas", "datasets")
# Interval at which the processes and the folder are checked, and the time that a pool may take to end.
LOOK_SECONDS = 0.2
GRACE_SECONDS = 8.0
# Exit codes of a process that its pool ended after all work was done: 0, and SIGTERM.
ENDED = (0, -signal.SIGTERM)
# Errors in distilabel's threads after one of its processes was killed; `_what_broke` reports that death.
LOST = (OSError, EOFError)
# Error numbers of a disk without room for distilabel's files.
FULL = (errno.ENOSPC, errno.EDQUOT)


def main(parent: str) -> None:
    """Wait for a job on standard input, run it, and answer on standard output; without a job, write no answer.

    Args:
        parent: the parent's process id; this process dies with it.
    """
    die_with(int(parent))
    # A signal to all processes of a run reaches this one too, but the parent handles it. SIGINT is blocked already.
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    screen = os.fdopen(os.dup(2), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _have_a_home()
    gc.disable()  # imported objects live until the end
    for name in EARLY + LATER:
        if name in LATER and select.select([sys.stdin], [], [], 0)[0]:
            break
        # A failed import shows again when the run needs the module, and by then there is a log.
        with suppress(Exception):
            importlib.import_module(name)
    if not (line := sys.stdin.buffer.readline()):
        return
    header = json.loads(line)
    os.environ.clear()
    os.environ.update(header["environment"])
    _have_a_home()
    tempfile.tempdir = header["folder"]
    _log_to(Path(header["log"]), screen)
    # The job's classes may come from anywhere on its maker's path, but distilabel must not import its libraries from there.
    path = list(sys.path)
    sys.path[:] = header["python_path"]
    job: Job = pickle.load(sys.stdin.buffer)
    sys.path[:] = path
    error = _Run(job, Path(header["folder"]), Path(header["log"]), answers).result()
    _answer(answers, error)


def _have_a_home() -> None:
    """Set HOME if there is none, as for the unknown user of a container.

    distilabel asks for the home folder at import, and writes nothing there.
    """
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = tempfile.gettempdir()


def _answer(answers: TextIO, error: SyntheticError | None) -> None:
    with suppress(OSError):  # the command is gone
        answers.write((WHOLE if error is None else encoded(error)) + "\n")
        answers.flush()


class _Run:
    """One run of the pipeline, with the thread that watches it.

    distilabel waits for ever when one of its processes is killed (out of memory), when its temporary folder is removed, or when one of its
    threads breaks. The watching thread detects these, lets open calls end, and ends this process if distilabel does not.
    """

    def __init__(self, job: Job, folder: Path, log: Path, answers: TextIO) -> None:
        self._job = job
        self._folder = folder
        self._marker = folder.stat().st_ino
        self._log = log
        self._answers = answers
        self._over = threading.Event()
        self._seen = threading.Event()
        self._asked_to_end = False
        self._error: SyntheticError | None = None
        self._calls: BaseProcess | None = None
        self._started = _remembered()

    def result(self) -> SyntheticError | None:
        """Run the pipeline; return the error that ended it early, None when a limit ended it."""
        let_children_die_with_us()
        threading.excepthook = self._thread_broke
        rows: Sequence[Any] = ()
        broke: Exception | None = None
        try:
            self._connect()
            self._calls = calling.start(self._job)
            threading.Thread(target=self._watch, name="watch", daemon=True).start()
            # Import distilabel only now: that takes seconds, and the calls need not wait for it.
            import datasets

            from axolotl_synthetic.pipelines.graph import build

            datasets.disable_progress_bars()  # distilabel's dataset has only a few rows
            pipeline = build(self._job, self._folder)
            # Forked processes need not scan imported objects, which would also copy their memory pages.
            gc.freeze()
            gc.enable()
            rows = pipeline.run(use_cache=False)["default"]["train"]
        except Exception as error:
            _print(error)
            broke = error
        is_whole = broke is None and bool(rows) and rows[-1]["over"]
        said = decoded(rows[-1]["error"]) if is_whole and rows[-1]["error"] else None
        if not is_whole or isinstance(said, ProcessEndedError):
            # An ended process or a removed folder may be the cause; the watching thread detects it within one interval.
            self._seen.wait(3 * LOOK_SECONDS)
            self._let_calls_end()
        self._over.set()
        if is_whole:
            return self._error or said if isinstance(said, ProcessEndedError) else said
        if self._error is not None:
            return self._error
        if isinstance(broke, SyntheticError):
            return broke
        if broke is not None:
            return SyntheticError(f"distilabel's pipeline broke: {broke}; see {self._log}")
        return SyntheticError(f"distilabel's pipeline ended before the calls did; see {self._log}")

    def _connect(self) -> None:
        """Connect to the cluster that verifies, if there is one, before anything is paid for and before the steps are forked."""
        if cluster_of(self._job) is None:
            return
        from axolotl_synthetic.pipelines.cluster import connect_first

        with Ledger(self._job.ledger) as ledger:
            try:
                connect_first(self._job, ledger.is_asked_to_stop, lambda said: ledger.set_meta(**{CLUSTER: said}))
            finally:
                ledger.set_meta(**{CLUSTER: ""})

    def _watch(self) -> None:
        while self._error is None and not self._over.wait(LOOK_SECONDS):
            self._fail(self._what_broke())
        self._seen.set()
        # When all is done, the pool ends its processes by the same signal; then the run is over within the grace period.
        if self._over.wait(GRACE_SECONDS if self._asked_to_end else 0):
            return
        self._let_calls_end()
        if self._over.wait(LOOK_SECONDS):
            return
        _answer(self._answers, self._error)
        for process in multiprocessing.active_children():
            process.kill()
        os._exit(1)

    def _what_broke(self) -> SyntheticError | None:
        """Return an error if a process has ended or the folder was removed, else None."""
        if not self._folder_is_there():
            return StorageError(
                f"{self._folder}: this temporary folder was removed while the run was at work; run the same command again: what was paid"
                " for is kept (TMPDIR can name another place for it)"
            )
        # The process that makes the calls rightly ends before the others.
        gone = [one for one in list(self._started) if one.exitcode is not None and not (one is self._calls and one.exitcode == 0)]
        if not gone:
            return None
        killed = next((process for process in gone if process.exitcode not in ENDED), None)
        self._asked_to_end = killed is None
        code = (killed or gone[0]).exitcode
        return ProcessEndedError(
            f"a process of the pipeline ended unexpectedly (exit code {code}); often it is the kernel, out of memory: see that there is"
            " enough, then run the same command again: what was paid for is kept"
        )

    def _folder_is_there(self) -> bool:
        try:
            return self._folder.stat().st_ino == self._marker  # distilabel recreates a removed folder
        except OSError:
            return False

    def _let_calls_end(self) -> None:
        """Stop new calls, and wait until no call is open, at most as long as the longest may take."""
        end = time.monotonic() + GRACE_SECONDS + max(model.timeout for model in self._job.models.values())
        with suppress(SyntheticError), Ledger(self._job.ledger) as ledger:
            ledger.ask_to_stop()
            while (process := ledger.calling()) and _is_alive(process) and time.monotonic() < end:
                time.sleep(LOOK_SECONDS)

    def _fail(self, error: SyntheticError | None) -> None:
        if self._error is None:
            self._error = error

    def _thread_broke(self, broke: threading.ExceptHookArgs) -> None:
        _print(broke.exc_value)
        if isinstance(broke.exc_value, OSError) and broke.exc_value.errno in FULL:
            self._fail(
                StorageError(
                    f"{self._folder}: {broke.exc_value.strerror}; free some space for temporary files, or set TMPDIR to another folder,"
                    " then run the same command again: what was paid for is kept"
                )
            )
        elif not isinstance(broke.exc_value, LOST):
            name = broke.thread.name if broke.thread else "that is gone"
            self._fail(
                ProcessEndedError(
                    f"the thread {name} of the run broke ({type(broke.exc_value).__name__}: {broke.exc_value}); see {self._log}, and run"
                    " the same command again: what was paid for is kept"
                )
            )


def _remembered() -> list[BaseProcess]:
    """Return a list to which each process is added as this one starts it: some end too soon to be found later."""
    started: list[BaseProcess] = []
    start = BaseProcess.start

    def remembering(process: BaseProcess) -> None:
        start(process)
        started.append(process)

    BaseProcess.start = remembering  # type: ignore[method-assign, assignment]
    return started


def _print(error: BaseException | None) -> None:
    if isinstance(error, LOST):
        print(f"distilabel lost a queue or a file: {type(error).__name__}: {error}")
    else:
        traceback.print_exception(error)


def _is_alive(process: int) -> bool:
    multiprocessing.active_children()  # reaps ended children
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


# Process with which forked children die; otherwise distilabel's manager would outlive a killed run.
_parent = 0
_by_main_thread = False


def let_children_die_with_us() -> None:
    """Make the processes that this one forks die with it, however it ends."""
    global _parent
    _parent = os.getpid()
    os.register_at_fork(before=_before_a_fork, after_in_child=_in_a_child)


def _before_a_fork() -> None:
    global _by_main_thread
    _by_main_thread = threading.current_thread() is threading.main_thread()


def _in_a_child() -> None:
    global _parent
    if _by_main_thread:
        die_with(_parent)
    else:
        # The pool replaces a dead process from one of its threads. The kernel's death signal would fire when that thread ends, which is
        # before the pool ends. A child killed while it holds the queue's lock would leave the pool waiting for ever.
        threading.Thread(target=_end_without, args=(_parent,), name="parent", daemon=True).start()
    _parent = os.getpid()  # for its own children
    # The pool ends a child with SIGTERM.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _end_without(parent: int) -> None:
    """End this process once its parent has ended, even while other threads are blocked."""
    while os.getppid() == parent:
        time.sleep(LOOK_SECONDS)
    os._exit(1)


class _Log(io.TextIOBase):
    """Log file that drops lines on a full disk rather than raise; with `--verbose` they go to the terminal too."""

    def __init__(self, path: Path, screen: TextIO) -> None:
        self._file = open(path, "ab", buffering=0)
        self._screen = screen if terminal.is_verbose() else None

    def write(self, text: str) -> int:
        if self._screen is not None:
            terminal.echo(text, self._screen)
        with suppress(OSError):
            self._file.write(text.encode(errors="replace"))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def fileno(self) -> int:
        return self._file.fileno()


def _log_to(path: Path, screen: TextIO) -> None:
    """Send the output of this process and its children to the log."""
    # At INFO distilabel logs each batch that a step receives and sends.
    os.environ.setdefault("DISTILABEL_LOG_LEVEL", "INFO" if terminal.is_verbose() else "WARNING")
    log = _Log(path, screen)
    for stream in (1, 2):
        os.dup2(log.fileno(), stream)
    sys.stdout = sys.stderr = log


if __name__ == "__main__":
    main(*sys.argv[1:])
