"""Lock of a folder against other processes of ours. It belongs to this process alone: children do not hold it after a run is killed."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from axolotl_synthetic.errors import FolderInUseError
from axolotl_synthetic.files import ANOTHER_FOLDER, storage_errors

LOCK = ".lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock a folder, created if it is missing, for as long as the context lasts.

    Raises:
        FolderInUseError: if another process holds the lock.
        StorageError: if the folder cannot be written.
    """
    with storage_errors(folder, ANOTHER_FOLDER):
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a")
    with file:
        try:
            _lock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise FolderInUseError(f"{folder}: another run is at work there; wait for it, stop it, or choose another output_dir") from error
        yield


def is_held(folder: Path) -> bool:
    """Return whether another process holds the lock, without writing, so that a read-only folder will do."""
    try:
        with open(folder / LOCK, "rb") as file:
            _lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock(file: IO[Any], kind: int) -> None:
    """Take the lock, or raise OSError. Retry for a moment, because `is_held` briefly takes the lock to test it."""
    for _ in range(3):
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(0.1)
    fcntl.lockf(file, kind | fcntl.LOCK_NB)
