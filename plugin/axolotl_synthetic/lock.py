"""Holds a folder against other processes of ours. The lock is this process's own: children do not keep it when a run is killed."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from axolotl_synthetic.errors import FolderInUseError, StorageError

LOCK = ".lock"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, made when it is missing, for as long as the context lasts.

    Raises:
        FolderInUseError: if another process holds it.
        StorageError: if it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "a")
    except OSError as error:
        raise StorageError(f"{folder}: {error.strerror}; make it writable, or choose another output_dir") from error
    with file:
        try:
            _lock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise FolderInUseError(f"{folder}: another run is at work there; wait for it, stop it, or choose another output_dir") from error
        yield


def is_held(folder: Path) -> bool:
    """Return whether another process holds it. Changes nothing, so a folder that can only be read will do."""
    try:
        with open(folder / LOCK, "rb") as file:
            _lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _lock(file: IO[Any], kind: int) -> None:
    """Take the lock, or raise OSError. Tried for a moment: `is_held` looks whether it is free by taking it."""
    for _ in range(3):
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB)
            return
        except OSError:
            time.sleep(0.1)
    fcntl.lockf(file, kind | fcntl.LOCK_NB)
