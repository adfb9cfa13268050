"""Builds the distilabel pipeline of a job and runs it to its end: `Generate >> Verify`.

distilabel's own cache is not used (a rerun on it hung after a kill); the ledger does that work. Its log goes to a file.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import datasets
import rich
from distilabel.pipeline import Pipeline

from axolotl_synthetic.errors import Interrupted, SyntheticError
from axolotl_synthetic.pipelines.job import Job, Workplace, die_with_parent
from axolotl_synthetic.pipelines.steps import Generate, Verify

_registered = False


class _Pipeline(Pipeline):  # type: ignore[misc]  # distilabel is not typed
    """distilabel's pipeline, but for its signal handler, which drops what is under way."""

    def _handle_keyboard_interrupt(self) -> None:
        return None


def run_pipeline(job: Job, log: Path) -> None:
    """Run a job until a limit ends it.

    Args:
        job: what to do; the spool is written, the ledger grows.
        log: where distilabel's log is appended.

    Raises:
        Interrupted: when the user asked to stop; what was under way has been finished and kept.
        SyntheticError: the error that ended the run.
    """
    _children_die_with_us()
    folder = Path(tempfile.mkdtemp(prefix="axolotl-synthetic-"))
    work = Workplace(folder)
    try:
        work.put(job)
        with _Pipeline("synthetic", cache_dir=folder / "distilabel") as pipeline:
            Generate(name="generate", work=str(folder)) >> Verify(name="verify", work=str(folder))
        with _log_to(log), _stop_on_signal(work) as interrupted:
            try:
                pipeline.run(use_cache=False)
            except Exception as error:
                raise work.error() or SyntheticError(f"distilabel's pipeline broke: {error}; see {log}") from error
        if (failed := work.error()) is not None:
            raise failed
        if interrupted():
            raise Interrupted("stopped; every reply that was paid for is kept: run the same command again to go on")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _children_die_with_us() -> None:
    """Also distilabel's manager process, which would otherwise outlive a killed run."""
    global _registered
    if not _registered:
        os.register_at_fork(after_in_child=_in_a_child)
        _registered = True


def _in_a_child() -> None:
    die_with_parent()
    # Our own handlers are for the process that started the pipeline; with them a child would not end when its pool ends it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _log_to(log: Path) -> Iterator[None]:
    """distilabel logs to the global rich console and replaces the root logger's handlers: send the one to a file, put the others
    back."""
    datasets.disable_progress_bars()  # of the few rows of counters that distilabel makes a dataset of
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    console = rich.get_console()
    with open(log, "a", encoding="utf-8") as file:
        before = console._file
        console.file = file
        try:
            yield
        finally:
            console.file = before  # type: ignore[assignment]
            root.handlers[:] = handlers
            root.setLevel(level)
            datasets.enable_progress_bars()


@contextmanager
def _stop_on_signal(work: Workplace) -> Iterator[Callable[[], bool]]:
    """The first SIGINT or SIGTERM lets what is under way finish, the second ends everything at once."""
    count = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1
        if count > 1:
            # Children die with us, the embedded server when its input closes; the ledger is durable at every moment.
            os._exit(Interrupted.exit_code)
        work.stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: count > 0
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
