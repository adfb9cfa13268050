"""Starts the process that makes the calls (`caller.py`), hands it a job, and waits for its end.

Imports next to nothing, so that a command can start the process first and read its config while that one imports.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from axolotl_synthetic.errors import StorageError, SyntheticError

if TYPE_CHECKING:
    from axolotl_synthetic.pipelines.job import Workplace


class CallerProcess:
    """The process, as the one that started it sees it."""

    def __init__(self) -> None:
        # -P: the working directory must not stand in for installed packages. A session of its own: Ctrl-C is for its parent to handle.
        command = [sys.executable, "-P", "-m", "axolotl_synthetic.pipelines.caller", str(os.getpid())]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=None if sys.stderr else subprocess.DEVNULL,  # closed (`2>&-`), its number would go to the first file opened
                start_new_session=True,
            )
        except OSError as error:
            raise SyntheticError(f"no process can be started: {error}; free memory or processes, then start again") from error
        self._watch: threading.Thread | None = None

    @contextmanager
    def calling(self, work: Workplace, log: Path) -> Iterator[None]:
        """Have it run a job; at the end, whatever ended it, wait until the calls under way have finished.

        Args:
            work: where the job is.
            log: what the process prints is appended there.

        Raises:
            StorageError: if the log cannot be written.
        """
        try:
            open(log, "ab").close()
        except OSError as error:
            raise StorageError(f"{log}: {error.strerror}; make it writable, or choose another output_dir") from error
        assert self._process.stdin is not None
        with suppress(OSError), self._process.stdin as job:  # has it ended already, then it is watched for a moment only
            # What has been set since the process was started, as a task of the user's own may do that reads a .env file, is for it too.
            job.write(json.dumps([str(work.path), str(log.absolute()), dict(os.environ)]).encode() + b"\n")
        self._watch = threading.Thread(target=self._wait, args=(work,), name="caller", daemon=True)
        self._watch.start()
        try:
            yield
        except BaseException:
            work.stop()
            raise
        finally:
            self.finish()

    def finish(self) -> None:
        """Wait until no call is under way any more, and none will be."""
        if self._watch is not None:
            self._watch.join()

    def dismiss(self) -> None:
        """End it, unless it has got a job, which it brings to an end by itself."""
        if self._watch is None:
            self._process.kill()
            self._process.communicate()

    def _wait(self, work: Workplace) -> None:
        code = self._process.wait()
        packs = None
        try:
            packs = work.packs()
        finally:  # whatever broke: without an end of the packs the pipeline would wait for the next one for ever
            if packs is None:
                work.fail(
                    SyntheticError(
                        f"the process that asks the models ended unexpectedly (exit code {code}); often it is the kernel, out of memory:"
                        " see that there is enough, then run the same command again: what was paid for is kept"
                    )
                )
                work.end_packs()


@contextmanager
def waiting() -> Iterator[CallerProcess]:
    """Start the process, and end it when no job has come by the end of the context.

    Raises:
        SyntheticError: if it cannot be started.
    """
    process = CallerProcess()
    try:
        yield process
    finally:
        process.dismiss()
