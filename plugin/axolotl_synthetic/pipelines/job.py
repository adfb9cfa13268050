"""What the steps of one pipeline share, and the small folder through which they reach one another.

distilabel runs each step in a process of its own and writes a step's attributes into its cache, so a step is given only the
folder's path. The folder lies outside the output folder: when that one's disk is full, an error can still be told.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import pickle
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from axolotl_synthetic import errors
from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError, SyntheticError
from axolotl_synthetic.records import Candidate, Role, Seed
from axolotl_synthetic.teachers import ModelSettings


@dataclass(frozen=True)
class Job:
    """One run of the pipeline.

    Attributes:
        settings: the user's.
        models: the settings to open each model with, servers of ours running.
        seeds: in the order in which they are used.
        held_out: seeds that are kept for grading, and that no sample may give away.
        shares: strategy and share of the candidates.
        ledger: path of the ledger.
        spool: path of the file that verification writes, a line of `samples.jsonl` for each candidate, in their order.
        most_candidates: end after so many, None for no such limit.
        python_path: `sys.path` of the process that starts the pipeline.
    """

    settings: Settings
    models: Mapping[Role, ModelSettings]
    seeds: tuple[Seed, ...]
    shares: Mapping[str, float]
    ledger: Path
    spool: Path
    most_candidates: int | None = None
    held_out: tuple[Seed, ...] = ()
    python_path: Sequence[str] = field(default_factory=lambda: tuple(sys.path))


@dataclass(frozen=True)
class Workplace:
    """The folder of one running pipeline."""

    path: Path

    def put(self, job: Job) -> None:
        (self.path / "job.pickle").write_bytes(pickle.dumps(job))
        # Room for an error's text: it can then be written in place even when this disk is full as well.
        (self.path / "error").write_text(" " * 8192)

    def job(self) -> Job:
        job = pickle.loads((self.path / "job.pickle").read_bytes())
        assert isinstance(job, Job)
        return job

    def put_pack(self, number: int, pack: list[Candidate]) -> None:
        beside = self.path / "pack.tmp"
        with _handed_on():
            pickled = pickle.dumps(pack)
        beside.write_bytes(pickled)
        beside.rename(self.path / f"pack-{number}")

    def take_pack(self, number: int) -> list[Candidate]:
        path = self.path / f"pack-{number}"
        try:
            pickled = path.read_bytes()
        except OSError:
            return []  # it could not be written, which was told
        with _handed_on():
            pack: list[Candidate] = pickle.loads(pickled)
        path.unlink()
        return pack

    def has_pack(self, number: int) -> bool:
        return (self.path / f"pack-{number}").exists()

    def end_packs(self, number: int = 0) -> None:
        """There are so many packs, and there will be no more."""
        # Its name is the message: it can be written on a full disk as well.
        with suppress(OSError):  # the folder is gone, which says the same
            (self.path / f"packs={number}").touch()

    def packs(self) -> int | None:
        """How many packs there are, None as long as more may come."""
        ended = next(self.path.glob("packs=*"), None)
        if ended is None:
            return None if self.is_there() else 0
        return int(ended.name.partition("=")[2])

    def is_there(self) -> bool:
        """Whether nobody has removed it. The folder alone says nothing: distilabel would make it anew."""
        return (self.path / "error").exists()

    def stop(self) -> None:
        """Ask the pipeline to end: no new calls."""
        try:
            (self.path / "stop").touch()
        except OSError:
            (self.path / "job.pickle").unlink(missing_ok=True)

    def stopped(self) -> bool:
        return (self.path / "stop").exists() or not (self.path / "job.pickle").exists()

    def fail(self, error: SyntheticError) -> None:
        """Keep the first error that ends the run, for the process that started the pipeline; and stop."""
        if self.error() is None:
            try:
                with open(self.path / "error", "r+", encoding="utf-8") as file:
                    file.write(json.dumps([type(error).__name__, str(error)[:1000]]) + "\n")
            except OSError:
                # This process may have no file left to open; a link needs none, and says it in its target, of 4,095 bytes at most.
                with suppress(OSError):
                    os.symlink(json.dumps([type(error).__name__, str(error)[:300]]), self.path / "error-link")
        self.stop()

    def error(self) -> SyntheticError | None:
        try:
            text = self._told()
        except FileNotFoundError:
            return errors.StorageError(
                f"{self.path}: this temporary folder was removed while the run was at work; run the same command again: what was paid"
                " for is kept (TMPDIR can name another place for it)"
            )
        if not text:
            return None
        name, message = json.loads(text)
        made: SyntheticError = getattr(errors, name, SyntheticError)(message)
        return made

    def _told(self) -> str:
        """Return the text of the error that ends the run, empty while there is none."""
        try:
            return os.readlink(self.path / "error-link")
        except OSError:
            pass
        try:
            # The first line alone: two processes may have written at once, the shorter text over the longer.
            return (self.path / "error").read_text(encoding="utf-8").split("\n", 1)[0].strip()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return ""  # no file can be opened to look
            raise


@contextmanager
def _handed_on() -> Iterator[None]:
    """Turn an error of pickle into one of ours: only a class of the user's own can cause it."""
    try:
        yield
    except Exception as error:  # whatever a class does while it is pickled
        raise ConfigError(
            f"synthetic.task: its questions cannot be handed from one process to another ({type(error).__name__}: {error}); make them of"
            " `Question`, or of a class at the top of a module whose fields can be pickled"
        ) from error


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux), so that a killed run leaves nothing behind that goes on
    asking a teacher.

    Args:
        parent: its process id, noted before the fork: it may have ended since.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
