"""Packing of the modules of a user's own task and checks, for machines that do not have them."""

from __future__ import annotations

import io
import site
import sys
import sysconfig
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from axolotl_synthetic.errors import ConfigError

# Largest total size in bytes. A larger folder holds more than a task, and every process of the cluster would hold a copy.
LARGEST = 64 * 2**20


def packed(names: Iterable[str]) -> bytes:
    """Return a zip file of the imported packages and modules in the folders of the named modules.

    Installed packages are left out: every machine must install them.

    Args:
        names: names of imported modules, such as `my_package.tasks`.

    Returns:
        The file; empty if all named modules are installed or belong to this package.

    Raises:
        ConfigError: if the files are too large.
    """
    tops = {name.partition(".")[0] for name in names} - {"axolotl_synthetic", "__main__", "builtins"}
    folders = {path.parent for top in tops if (path := _place(sys.modules.get(top))) is not None}
    folders = {folder for folder in folders if not any(folder.is_relative_to(installed) for installed in _installed())}
    if not folders:
        return b""
    # Include imported modules from the same folders: the named ones may need them.
    places = [_place(module) for name, module in list(sys.modules.items()) if "." not in name]
    buffer, size = io.BytesIO(), 0
    with zipfile.ZipFile(buffer, "w", strict_timestamps=False) as archive:
        for place in sorted({place for place in places if place is not None and place.parent in folders}):
            for path in _files(place):
                size += path.stat().st_size
                if size > LARGEST:
                    raise ConfigError(
                        f"synthetic.engine: {place} holds more than {LARGEST // 2**20} MiB, which cannot be carried to every process of the"
                        " cluster; put your task into a folder with nothing but its modules, or install it on every node"
                    )
                archive.write(path, path.relative_to(place.parent))
    return buffer.getvalue()


def _place(module: ModuleType | None) -> Path | None:
    """Return a package's folder or a module's file; None where it has neither."""
    if module is None:
        return None
    if paths := list(getattr(module, "__path__", ())):
        return Path(paths[0]).resolve()
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if isinstance(file, str) else None


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for path in sorted(place.rglob("*")):
        hidden = any(part.startswith(".") or part == "__pycache__" for part in path.relative_to(place).parts)
        if path.is_file() and not hidden:
            yield path


def _installed() -> set[Path]:
    folders = {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    return {Path(folder).resolve() for folder in (*folders, *site.getsitepackages(), site.getusersitepackages())}
