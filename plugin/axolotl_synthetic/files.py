"""Write files whole or not at all, and say what to do when the disk does not take them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from axolotl_synthetic.errors import StorageError

AGAIN = "free some space or make it writable, then run the same command again"
ANOTHER_FOLDER = "make it writable, or choose another output_dir"


@contextmanager
def storage_errors(path: Path, remedy: str = AGAIN) -> Iterator[None]:
    """Raise what the operating system says of a path as `StorageError`, with what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}; {remedy}") from error


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it.

    Raises:
        StorageError: if it cannot be made.
    """
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file as `write_bytes` does, in UTF-8."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Write a file in one step: it is there whole, or as it was before.

    Args:
        path: the file.
        content: all of it.
        mode: the rights of a file that is made, before the umask; 0o600 is for its owner alone.

    Raises:
        StorageError: if it cannot be written; what was there is there still.
    """
    beside = path.with_name(path.name + ".tmp")
    with storage_errors(path), open(beside, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        file.write(content)
        put_in_place(file, beside, path)


def put_in_place(file: IO[Any], beside: Path, path: Path) -> None:
    """Rename a file that was written beside its place, once it is on the disk."""
    file.flush()
    os.fsync(file.fileno())
    os.replace(beside, path)


def sha256(path: Path) -> str:
    """Return the hash of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
