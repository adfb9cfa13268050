"""The distilabel pipeline of a job, `Generate >> Verify`, run to its end.

distilabel's own cache is not used (a rerun on it hung after a kill); the ledger does that work. Its log goes to a file.
"""

from __future__ import annotations

import gc
import io
import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import datasets
import rich
from distilabel.pipeline import Pipeline
from distilabel.pipeline.base import _STEP_NOT_LOADED_CODE
from distilabel.utils.logging import stop_logging

from axolotl_synthetic import terminal
from axolotl_synthetic.errors import ProcessEndedError, StorageError, SyntheticError
from axolotl_synthetic.pipelines.caller_process import CallerProcess
from axolotl_synthetic.pipelines.job import Workplace, die_with
from axolotl_synthetic.pipelines.steps import Generate, Verify

POLL_SECONDS = 0.2
# How often the steps are looked for while they load and while they end, and for how long they load at most.
LOOK_SECONDS = 0.02
LOADING_SECONDS = 60.0
# Who forks children that are to end with it; 0 while no pipeline runs, for other forks are none of our business.
_parent = 0
_registered = False
_by_main_thread = False


class _Pipeline(Pipeline):  # type: ignore[misc]  # distilabel is not typed
    """distilabel's pipeline, but for four things: its signal handler, which drops what is under way; what happens when the kernel
    kills one of its processes (out of memory): it would wait for ever; its cache, which nobody reads: it would write it anew,
    and hash the whole pipeline several times, for each pack, and keep a core busy with that; and how it waits for its steps."""

    def __init__(self, work: Workplace, caller: CallerProcess) -> None:
        super().__init__("synthetic", cache_dir=work.path / "distilabel")
        self._work = work
        self._caller = caller
        self._over = threading.Event()

    def _cache(self) -> None:
        gc.unfreeze()

    @cached_property
    def _cache_location(self) -> Any:
        # First asked for when the pipeline runs: it does not change any more.
        return super()._cache_location

    def _run_steps(self, steps: Iterable[str]) -> None:
        # distilabel looks once, and again every 2.5 seconds, whether its steps are loaded: when it looks, they are.
        started = list(steps)
        super()._run_steps(started)
        end = time.monotonic() + LOADING_SECONDS
        while time.monotonic() < end:
            with self._steps_load_status_lock:
                if _STEP_NOT_LOADED_CODE not in self._get_steps_load_status(started).values():
                    return
            time.sleep(LOOK_SECONDS)

    def _notify_steps_to_stop(self) -> None:
        # It looks at once, and again every half second, whether they have ended: when it looks, they have.
        super()._notify_steps_to_stop()
        while any(self._is_step_running(step) for step in self.dag):
            time.sleep(LOOK_SECONDS)

    @property
    def QueueClass(self) -> Callable[[], Any]:  # its name in distilabel
        # The first two are made before anything watches the processes: that those are gone already is found out here.
        def make() -> Any:
            with self._lost_queues_told():
                return self._manager.Queue()

        return make

    def _handle_keyboard_interrupt(self) -> None:
        """Called once, when the processes have been started."""
        # The pool itself soon forgets a process that died, and starts another one in its place.
        processes = [*self._pool._pool, self._manager._process]
        threading.Thread(target=self._watch, args=(processes,), name="watch", daemon=True).start()

    def _watch(self, processes: list[BaseProcess]) -> None:
        while not (dead := _dead(processes, POLL_SECONDS)):
            if self._over.is_set():
                return
        if self._over.is_set():
            return
        if self._over.wait(POLL_SECONDS):  # and by then its exit code is known
            return
        self._fail(f"exit code {dead[0].exitcode}")
        self._caller.finish()
        while not self._over.wait(POLL_SECONDS):
            self._let_go()

    def _fail(self, how: str) -> None:
        self._work.fail(
            ProcessEndedError(
                f"a process of the pipeline ended unexpectedly ({how}); often it is the kernel, out of memory: see that there is enough,"
                " then run the same command again: what was paid for is kept"
            )
        )

    @contextmanager
    def _lost_queues_told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError):
            self._fail("that of the queues")
            raise

    def _output_queue_loop(self) -> None:
        with suppress(OSError, EOFError), self._lost_queues_told():
            super()._output_queue_loop()

    def _run_load_queue_loop(self) -> None:
        with suppress(OSError, EOFError), self._lost_queues_told():
            super()._run_load_queue_loop()

    def _let_go(self) -> None:
        """Have distilabel's loops take every step for ended."""
        try:
            for name in self.dag:
                self._load_queue.put({"name": name, "status": "failed"})
            self._output_queue.put(None)
        except (OSError, EOFError):
            pass  # the queues' own process is the one that died: the loops have ended

    def _teardown(self) -> None:
        self._over.set()
        super()._teardown()


def _dead(processes: list[BaseProcess], timeout: float) -> list[BaseProcess]:
    ended = wait([process.sentinel for process in processes], timeout)
    return [process for process in processes if process.sentinel in ended]


def run_graph(work: Workplace, log: Path, caller: CallerProcess) -> None:
    """Run the pipeline of a workplace to its end.

    Args:
        work: where the job is.
        log: where distilabel's log is appended.
        caller: the process that makes the calls.

    Raises:
        SyntheticError: the error that ended it, unless the workplace holds one.
    """
    with _log_to(log, work), _imports_out_of_the_way(), _children_die_with_us(), _none_left():
        with _Pipeline(work, caller) as pipeline:
            Generate(name="generate", work=str(work.path)) >> Verify(name="verify", work=str(work.path))
        try:
            pipeline.run(use_cache=False)
        except Exception as error:
            if work.error() is None:
                raise SyntheticError(f"distilabel's pipeline broke: {error}; see {log}") from error
        if work.packs() is None and work.error() is None:
            # The engine would wait for verdicts that nothing is left to give.
            raise SyntheticError(f"distilabel's pipeline ended before the calls did; see {log}")


@contextmanager
def _imports_out_of_the_way() -> Iterator[None]:
    """The garbage collector need not look through what was imported in each of the forked processes, nor copy it by doing so. What the
    pipeline makes is not meant: a study runs many in one process."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@contextmanager
def _none_left() -> Iterator[None]:
    """A pool that broke may leave a process behind, which Python would wait for at its end."""
    before = {process.pid for process in multiprocessing.active_children()}
    try:
        yield
    finally:
        for process in multiprocessing.active_children():
            if process.pid not in before:
                process.kill()


@contextmanager
def _children_die_with_us() -> Iterator[None]:
    """Also distilabel's manager process, which would otherwise outlive a killed run."""
    global _parent, _registered
    if not _registered:
        os.register_at_fork(before=_before_a_fork, after_in_child=_in_a_child)
        _registered = True
    _parent = os.getpid()
    try:
        yield
    finally:
        _parent = 0


def _before_a_fork() -> None:
    global _by_main_thread
    _by_main_thread = threading.current_thread() is threading.main_thread()


def _in_a_child() -> None:
    global _parent
    if not _parent:
        return
    if _by_main_thread:
        die_with(_parent)
    else:
        # The pool forks from a thread of its own what takes a dead process's place. The kernel's signal would come when that thread ends,
        # which is before the pool ends: killed with the queue's lock in its hands, the process would leave the pool waiting for ever.
        threading.Thread(target=_end_without, args=(_parent,), name="parent", daemon=True).start()
    _parent = os.getpid()  # what it forks in turn
    # Our own handlers are for the process that started the pipeline; with them a child would not end when its pool ends it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _end_without(parent: int) -> None:
    """End this process once its parent has ended, whatever its other threads wait for."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


class _Log(io.TextIOBase):
    """A log file that loses its lines on a full disk, rather than break what it tells of. With `--verbose` they go to the terminal too."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "ab", buffering=0)

    def write(self, text: str) -> int:
        if terminal.is_verbose():
            terminal.echo(text)
        try:
            self._file.write(text.encode(errors="replace"))
        except OSError:
            pass
        return len(text)

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def _log_to(log: Path, work: Workplace) -> Iterator[None]:
    """distilabel logs to the global rich console and replaces the root logger's handlers: send the one to a file, put the others
    back."""
    # At INFO it writes a line for each batch that comes and goes.
    os.environ.setdefault("DISTILABEL_LOG_LEVEL", "INFO" if terminal.is_verbose() else "WARNING")
    datasets.disable_progress_bars()  # of the few rows of counters that distilabel makes a dataset of
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    console = rich.get_console()
    try:
        file = _Log(log)
    except OSError as error:
        raise StorageError(f"{log}: {error.strerror}; make it writable, or choose another output_dir") from error
    with file:
        before, hook = console._file, threading.excepthook
        console.file = file  # type: ignore[assignment]

        def tell(broke: threading.ExceptHookArgs) -> None:
            traceback.print_exception(broke.exc_value, file=file)
            # Its threads lose their queues when one of its processes is killed, which has a message of its own.
            if not isinstance(broke.exc_value, OSError | EOFError):
                name = broke.thread.name if broke.thread else "that is gone"
                work.fail(
                    ProcessEndedError(
                        f"the thread {name} of the run broke ({type(broke.exc_value).__name__}: {broke.exc_value}); see {log}, and run the"
                        " same command again: what was paid for is kept"
                    )
                )

        threading.excepthook = tell
        try:
            yield
        finally:
            stop_logging()
            threading.excepthook = hook
            console.file = before  # type: ignore[assignment]
            root.handlers[:] = handlers
            root.setLevel(level)
            datasets.enable_progress_bars()
