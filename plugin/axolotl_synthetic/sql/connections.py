"""Open SQLite databases in the worker so that nothing in them, schema included, can write, attach or delete a file.

`reader.py` restricts queries further, and `schema.py` restricts schemas.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

# ATTACH, VACUUM and VACUUM INTO all attach a database, so a limit of 0 disables them.
_LIMITS = {
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}


def in_memory(*, cached_statements: int = 0) -> sqlite3.Connection:
    """Return an empty database that touches no file."""
    return _guarded(sqlite3.connect(":memory:", isolation_level=None, cached_statements=cached_statements))


def of_file(path: str) -> sqlite3.Connection:
    """Open a file for reading, on the assumption that it does not change.

    Raises:
        sqlite3.Error: if it cannot be opened.
    """
    # `immutable` keeps SQLite from making a lock file, and from rolling back a journal, which may name any file to delete.
    address = f"file:{quote(path)}?mode=ro&immutable=1"
    connection = _guarded(sqlite3.connect(address, uri=True, isolation_level=None, cached_statements=0))
    connection.execute("PRAGMA trusted_schema = 0")
    return connection


def _guarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    for limit, value in _LIMITS.items():
        connection.setlimit(limit, value)
    for pragma in ("temp_store = MEMORY", "cell_size_check = 1"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def unfinished(path: Path) -> str | None:
    """Return which file beside a database shows an unfinished change, with the remedy; None if there is none.

    Raises:
        OSError: if the file cannot be read.
    """
    # Changes only in a log would be missed; changes that a journal would undo would be read as complete.
    log, journal = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    # With a database's name near the length limit, these names are too long to exist; os.path.exists then returns False.
    if os.path.exists(log) and log.stat().st_size:
        return f"{log.name} beside it holds changes; close what writes to it, or run `PRAGMA wal_checkpoint(TRUNCATE)`"
    # SQLite zeroes the first byte of a finished journal (sqlite.org/fileformat2.html, 3).
    if os.path.isfile(journal) and _first_byte(journal) not in (b"", b"\0"):
        return (
            f"{journal.name} beside it belongs to a change that was broken off; close what writes to the database and, if it is your own,"
            " open it once with sqlite3, which takes the change back. Do not open one from others, whose journal may delete your files:"
            " ask them for the database alone"
        )
    return None


def _first_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1)
