"""The process that makes the calls: runs the engine and hands on, in packs, the candidates that end.

It starts before distilabel is imported, which takes seconds in which the teacher would idle, and it outlives distilabel's own
processes when one of them breaks, so that the calls under way end and are kept. A pack, of candidates that ended at about the same
time, is a file of the workplace.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from axolotl_synthetic.errors import StorageError, SyntheticError
from axolotl_synthetic.pipelines.job import Workplace, die_with
from axolotl_synthetic.records import Candidate

PACK = 512
PACK_SECONDS = 0.05


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
    ended: queue.SimpleQueue[Candidate | None] = queue.SimpleQueue()
    packer = threading.Thread(target=_pack, args=(work, ended), name="packer")
    packer.start()
    try:
        _run_engine(work, ended)
    finally:
        ended.put(None)
        packer.join()


def _run_engine(work: Workplace, ended: queue.SimpleQueue[Candidate | None]) -> None:
    try:
        import uvloop

        from axolotl_synthetic.pipelines.engine import Engine

        uvloop.run(Engine(work, ended.put).run())
    except SyntheticError as error:
        work.fail(error)
    except Exception as error:
        work.fail(SyntheticError(f"the engine broke: {type(error).__name__}: {error}; please report this"))
        traceback.print_exc()


def _pack(work: Workplace, ended: queue.SimpleQueue[Candidate | None]) -> None:
    over, number = False, 0
    while not over:
        pack, over = _gather(ended)
        number += 1
        try:
            work.put_pack(number, pack)
        except OSError as error:
            # What follows cannot be handed on either, but the calls under way are to end and be kept.
            work.fail(StorageError(f"{work.path}: {error.strerror}; free some space there, then run the same command again"))
    work.end_packs(number)


def _gather(ended: queue.SimpleQueue[Candidate | None]) -> tuple[list[Candidate], bool]:
    """What ends from now on for a moment, at most a pack, and whether it was the last."""
    pack: list[Candidate] = []
    candidate = ended.get()
    until = time.monotonic() + PACK_SECONDS
    while candidate is not None:
        pack.append(candidate)
        left = until - time.monotonic()
        if len(pack) == PACK or left <= 0:
            return pack, False
        try:
            candidate = ended.get(timeout=left)
        except queue.Empty:
            return pack, False
    return pack, True


if __name__ == "__main__":
    main(*sys.argv[1:])
