"""Runs a job: hands it to the process that makes the calls, then starts the distilabel pipeline that judges what comes of them."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from axolotl_synthetic import terminal
from axolotl_synthetic.errors import Interrupted, ProcessEndedError, StorageError, SyntheticError
from axolotl_synthetic.pipelines.caller_process import CallerProcess
from axolotl_synthetic.pipelines.job import Job, Workplace

# A socket's path has at most 107 bytes, of which multiprocessing uses these: /pymp-abcdefgh/listener-abcdefgh.
LONGEST_TEMPORARY = 107 - 32
# How often the workplace is looked at, and how long distilabel has to end once it cannot do its work any more.
LOOK_SECONDS = 1.0
GRACE_SECONDS = 8.0


def run_pipeline(job: Job, log: Path, caller: CallerProcess) -> None:
    """Run a job until a limit ends it.

    Args:
        job: what to do; the spool is written, the ledger grows.
        log: where distilabel's log is appended.
        caller: the process that makes the calls, waiting for a job.

    Raises:
        Interrupted: when the user asked to stop; what was under way has been finished and kept.
        SyntheticError: the error that ended the run.
    """
    with _workplace() as work:
        try:
            work.put(job)
        except OSError as error:
            raise StorageError(f"{work.path}: {error.strerror}; free some space there, or set TMPDIR to another folder") from error
        with (
            _home(work),
            _stop_on_signal(work) as interrupted,
            caller.calling(work, log),
            _ends_without_distilabel(work, caller, interrupted),
        ):
            # distilabel is slow to import: meanwhile the first calls are under way.
            from axolotl_synthetic.pipelines.graph import run_graph

            run_graph(work, log, caller)
        if (early := _early_end(work, interrupted())) is not None:
            raise early


def _early_end(work: Workplace, interrupted: bool) -> SyntheticError | None:
    """What ended the pipeline before a limit, None when nothing did."""
    failed = work.error()
    # Who asks to stop may ask every process of the run, as systemd and Slurm do: those of distilabel end at once.
    if interrupted and (failed is None or isinstance(failed, ProcessEndedError)):
        return Interrupted("stopped; every reply that was paid for is kept: run the same command again to go on")
    return failed


@contextmanager
def _home(work: Workplace) -> Iterator[None]:
    """distilabel asks for the user's home folder when it is imported, and writes nothing there: where there is none, as for the unknown
    user of a container, the workplace is lent to it."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(work.path)
        try:
            yield
        finally:
            del os.environ["HOME"]
    else:
        yield


@contextmanager
def _workplace() -> Iterator[Workplace]:
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TEMPORARY:
        raise StorageError(
            f"{tempfile.gettempdir()}: the path of the temporary folder is longer than the {LONGEST_TEMPORARY} bytes that leave room for"
            " the name of a socket in it; set TMPDIR to a shorter one"
        )
    try:
        folder = Path(tempfile.mkdtemp(prefix="axolotl-synthetic-"))
    except OSError as error:
        raise StorageError(f"no temporary folder can be made: {error}; free some space, or set TMPDIR to another folder") from error
    try:
        yield Workplace(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ends_without_distilabel(work: Workplace, caller: CallerProcess, interrupted: Callable[[], bool]) -> Iterator[None]:
    """distilabel waits for ever when the temporary folder is removed under it, or when one of its processes dies with a lock in its
    hands. The calls under way end and are kept; what is left of distilabel ends with this process."""
    over = threading.Event()

    def guard() -> None:
        while not over.wait(LOOK_SECONDS):
            if not work.is_there() or isinstance(work.error(), ProcessEndedError):
                caller.finish()
                if not over.wait(GRACE_SECONDS) and (early := _early_end(work, interrupted())) is not None:
                    terminal.notice(f"axolotl-synthetic: {early}")
                    for process in multiprocessing.active_children():
                        process.kill()
                    shutil.rmtree(work.path, ignore_errors=True)
                    os._exit(early.exit_code)
                return

    threading.Thread(target=guard, name="guard", daemon=True).start()
    try:
        yield
    finally:
        over.set()


@contextmanager
def _stop_on_signal(work: Workplace) -> Iterator[Callable[[], bool]]:
    """The first SIGINT, SIGTERM or SIGHUP lets what is under way finish, another SIGINT or SIGTERM ends everything at once."""
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        if number == signal.SIGHUP and count:
            return  # a terminal that is closed sends it, and its shell sends it again
        count += 1
        if count > 1:
            # Children die with us, the embedded server when its input closes; the ledger is durable at every moment.
            shutil.rmtree(work.path, ignore_errors=True)
            os._exit(Interrupted.exit_code)
        work.stop()

    asked = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which `nohup` sets, so that the run outlives its terminal
        asked.append(signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in asked}
    try:
        yield lambda: count > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
