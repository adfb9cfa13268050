"""Find the files that `seeds.path` names: one or a pattern, compressed or not, local or through fsspec (`s3://`, `hf://`).

`rows.py` reads their contents. fsspec is imported only if needed, so that a local file opens fast.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from axolotl_synthetic.errors import SeedsError

# Suffixes of compressed files that fsspec recognises.
COMPRESSED = (".gz", ".zst", ".bz2", ".xz")


@dataclass(frozen=True)
class File:
    """One file.

    Attributes:
        path: path for messages.
        suffix: suffix of its content, in lower case: `.jsonl` for `seeds.jsonl.gz`.
        open: opens its decompressed content for reading bytes.
    """

    path: str
    suffix: str
    open: Callable[[], IO[Any]]

    def read(self) -> bytes:
        with self.open() as content:
            whole: bytes = content.read()
            return whole


def suffix_of(path: str) -> str:
    """Return the suffix of a file's content, in lower case."""
    name = PurePosixPath(path)
    if name.suffix.lower() in COMPRESSED:
        name = name.with_suffix("")
    return name.suffix.lower()


def find_files(path: str) -> list[File]:
    """Return the files that a path or a pattern names, sorted by name; empty if there is no such file.

    Raises:
        SeedsError: if the location cannot be reached, or a package for it is missing.
    """
    if "://" in path:
        return _remote_files(path)
    local = Path(path).expanduser()
    if local.is_file():
        return [_local_file(local, path)]
    if local.is_dir() or not glob.has_magic(path):
        return []
    return [_local_file(Path(found), found) for found in sorted(glob.glob(str(local), recursive=True)) if Path(found).is_file()]


def _local_file(file: Path, path: str) -> File:
    if file.suffix.lower() not in COMPRESSED:
        return File(path, suffix_of(path), lambda: file.open("rb"))
    return File(path, suffix_of(path), lambda: _opened(str(file)))


def _remote_files(path: str) -> list[File]:
    import fsspec

    try:
        system, inside = fsspec.core.url_to_fs(path)
        found = sorted(system.glob(inside)) if glob.has_magic(inside) else [inside] if system.isfile(inside) else []
        names = [system.unstrip_protocol(one) for one in found]
    # Each file system raises its client's errors: no such protocol, no package for it, no key, no network.
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise SeedsError(f"synthetic.seeds.path: {path} cannot be reached: {said}; check the address, or copy the file here") from error
    return [File(name, suffix_of(name), lambda name=name: _opened(name)) for name in names]  # type: ignore[misc]


def _opened(path: str) -> IO[Any]:
    import fsspec

    if not path.lower().endswith(".zst"):
        opened: IO[Any] = fsspec.open(path, "rb", compression="infer").open()
        return opened
    import pyarrow

    # fsspec's own reader ends silently where a file was cut off.
    return io.BufferedReader(pyarrow.CompressedInputStream(fsspec.open(path, "rb").open(), "zstd"))
