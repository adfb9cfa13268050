"""The actor that judges candidates on a node of a Ray cluster, and reports what prevents it.

Ray carries this module to the nodes by value (cluster_process.py), so that it can report a node that lacks this package or has another
version of it. So the package is imported only inside functions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import io
import os
import pickle
import platform
import shutil
import sqlite3
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGE = "axolotl_synthetic"
# Libraries that verdicts depend on: another version of one may judge differently.
JUDGING = ("math-verify", "sympy", "sqlglot", "py3langid", "regex", "rensa", "tokenizers")
FOLDER = "axolotl-verifier-"


def versions() -> dict[str, str]:
    """Return the versions of everything on this machine that verdicts depend on besides the run itself."""
    found = {"Python": platform.python_version(), "SQLite": sqlite3.sqlite_version, "axolotl-synthetic": _own_version()}
    for name in JUDGING:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def _own_version() -> str:
    """Return our version with a digest of our files: a changed checkout keeps its version number."""
    specification = importlib.util.find_spec(PACKAGE)
    if specification is None or not specification.submodule_search_locations:
        return "none"
    folder = Path(next(iter(specification.submodule_search_locations)))
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{__import__(PACKAGE).__version__} ({digest.hexdigest()[:8]})"


def mark_of(path: str) -> tuple[int, ...]:
    """Return a mark that distinguishes a file from another at the same path, here and on machines that share this disk.

    Raises:
        OSError: if there is no such file.
    """
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


class Verifier:
    """Ray actor that judges candidates by the run's checks that need only the candidate.

    Args:
        wanted: `versions()` of the machine that started the run.
        work: a list with the reference to `(modules, pickled)`: a zip file of the user's own modules (may be empty), and the run's
            `Judging` with its seeds by id. Ray does not fetch a reference inside a list, so this class can report a problem first.
    """

    def __init__(self, wanted: Mapping[str, str], work: Sequence[Any]) -> None:
        self._seeds: Any = {}
        self._files: dict[str, str] = {}
        self._folder = ""
        self._problem = ""
        have = versions()
        other = [f"{name} {have[name]} instead of {version}" for name, version in wanted.items() if have[name] != version]
        if other:
            self._problem = f"has {', '.join(other)}"
            return
        try:
            self._open(work)
        except (Exception, SystemExit) as error:  # a user's class may raise anything
            self._problem = f"cannot load the task and the checks of this run: {type(error).__name__}: {error}"

    def _open(self, work: Sequence[Any]) -> None:
        import ray

        _remove_folders_of_the_dead()
        self._folder = tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-")
        modules, pickled = ray.get(work[0])
        if modules:
            with zipfile.ZipFile(io.BytesIO(modules)) as archive:
                archive.extractall(self._folder)
            sys.path.append(self._folder)  # last, so that no file in it shadows a library
        self._judging, self._seeds = pickle.loads(pickled)

    def ready(self) -> tuple[str, str, int]:
        """Return this node's address, why it cannot judge (empty if it can), and the id of this process."""
        import ray

        return ray.util.get_node_ip_address(), self._problem, os.getpid()

    def judge(self, texts: Sequence[str], databases: Mapping[str, Any]) -> tuple[str, bytes, Sequence[str]]:
        """Judge candidates.

        Args:
            texts: candidates as texts from `rows.to_text`.
            databases: files that the questions are about: for each path its mark, and a list with the reference to its bytes. The list is
                empty until a verifier has missed the file.

        Returns:
            The encoded error that ends the run, or an empty text; pickled, for each candidate its final answer, status, reason and checks,
            and the verdicts of `Judging.alone`; and the missing databases. With any missing, nothing is judged.
        """
        from axolotl_synthetic.errors import SyntheticError, encoded
        from axolotl_synthetic.pipelines.rows import from_text

        missing = [path for path, (mark, content) in databases.items() if not self._has(path, mark, content)]
        if missing:
            return "", b"", missing
        rulings = []
        try:
            for text in texts:
                candidate = from_text(text)
                seed = self._seeds[candidate.seed_id]
                if seed.question.database_file is not None:
                    file = self._files[seed.question.database_file]
                    candidate, seed = _with_file(candidate, file), _with_file(seed, file)
                judged, verdicts = self._judging.alone(candidate, seed)
                rulings.append((judged.final_answer, judged.status, judged.reason, judged.checks, verdicts))
        except SyntheticError as error:
            return encoded(error), b"", ()
        return "", pickle.dumps(rulings), ()

    def close(self) -> None:
        """Remove the files of this process."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _has(self, path: str, mark: tuple[int, ...], content: Sequence[Any]) -> bool:
        """Return whether a database can be read on this node, after fetching it if it is not at its path."""
        import ray

        if path in self._files:
            return True
        try:
            here = mark_of(path) == mark
        except OSError:
            here = False
        if here:
            self._files[path] = path
        elif content:
            copy = Path(self._folder, f"{len(self._files)}.sqlite")
            copy.write_bytes(ray.get(content[0]))
            self._files[path] = str(copy)
        return here or bool(content)


def _with_file(record: Any, file: str) -> Any:
    """Return the candidate or seed with its question's database at this file."""
    from dataclasses import replace

    question = record.question
    if not hasattr(question, "database_file"):
        return record  # a user's class without databases
    return replace(record, question=replace(question, database_file=file))


def _remove_folders_of_the_dead() -> None:
    """Remove folders of verifiers on this node whose processes were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER}*"):
        process = folder.name.removeprefix(FOLDER).partition("-")[0]
        if process.isdigit() and not os.path.exists(f"/proc/{process}"):
            shutil.rmtree(folder, ignore_errors=True)
