"""The process that makes the calls: runs the engine and hands on, in packs, the candidates that end.

It starts before distilabel is imported, which takes seconds in which the teacher would idle, and it outlives distilabel's own
processes when one of them breaks, so that the calls under way end and are kept. A pack, of candidates that ended at about the same
time, is a file of the workplace.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axolotl_synthetic.errors import StorageError, SyntheticError
from axolotl_synthetic.pipelines.job import Workplace, die_with
from axolotl_synthetic.records import Candidate

PACK = 512
PACK_SECONDS = 0.05
SWITCH_SECONDS = 0.0005


class Caller:
    """The process, as the one that started it sees it."""

    def __init__(self, process: subprocess.Popen[bytes], work: Workplace) -> None:
        self._process = process
        self._work = work
        self._watch = threading.Thread(target=self._wait, name="caller", daemon=True)
        self._watch.start()

    def finish(self) -> None:
        """Wait until no call is under way any more, and none will be."""
        self._watch.join()

    def _wait(self) -> None:
        code = self._process.wait()
        if self._work.packs() is None:
            self._work.fail(
                SyntheticError(
                    f"the process that asks the models ended unexpectedly (exit code {code}); often it is the kernel, out of memory: see"
                    " that there is enough, then run the same command again: what was paid for is kept"
                )
            )
            self._work.end_packs()


@contextmanager
def calling(work: Workplace, log: Path) -> Iterator[Caller]:
    """Start the process; at the end, whatever ended it, wait until the calls under way have finished.

    Args:
        work: where the job is.
        log: what the process prints is appended there.

    Raises:
        StorageError: if the log cannot be written.
        SyntheticError: if the process cannot be started.
    """
    try:
        output = open(log, "ab")
    except OSError as error:
        raise StorageError(f"{log}: {error.strerror}; make it writable, or choose another output_dir") from error
    # -P: the working directory must not stand in for installed packages. A session of its own: Ctrl-C is for its parent to handle.
    command = [sys.executable, "-P", "-m", __name__, str(work.path), str(os.getpid())]
    with output:
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
        except OSError as error:
            raise SyntheticError(f"no process can be started: {error}; free memory or processes, then start again") from error
    caller = Caller(process, work)
    try:
        yield caller
    except BaseException:
        work.stop()
        raise
    finally:
        caller.finish()


def main(path: str, parent: str) -> None:
    """Run the job of a workplace until a limit ends it."""
    die_with(int(parent))
    work = Workplace(Path(path))
    # A task or a model of the user's own may live anywhere on the path of the process that started this one.
    sys.path[:] = work.job().python_path
    # A thread that waits for the ledger's disk gets its turn back sooner: each statement gives it up.
    sys.setswitchinterval(SWITCH_SECONDS)
    packer = _Packer(work)
    packer.start()
    try:
        _run_engine(work, packer)
    finally:
        packer.finish()


def _run_engine(work: Workplace, packer: _Packer) -> None:
    try:
        import uvloop

        from axolotl_synthetic.pipelines.engine import Engine

        gc.freeze()  # what was imported stays: the collector need not look through it again and again
        uvloop.run(Engine(work, packer.take).run())
    except SyntheticError as error:
        work.fail(error)
    except Exception as error:
        work.fail(SyntheticError(f"the engine broke: {type(error).__name__}: {error}; please report this"))
        traceback.print_exc()


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
            try:
                self._work.put_pack(self._number, pack)
            except OSError as error:
                # What follows cannot be handed on either, but the calls under way are to end and be kept.
                self._work.fail(
                    StorageError(f"{self._work.path}: {error.strerror}; free some space there, then run the same command again")
                )


if __name__ == "__main__":
    main(*sys.argv[1:])
