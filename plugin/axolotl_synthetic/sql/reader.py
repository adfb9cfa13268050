"""Read-only connections for one query: limits, an authorizer, and a clock.

Runs in the sandbox's worker (`worker.py`), which the kernel limits further. Here SQLite itself refuses everything but reading tables and
calling harmless functions, and rows and bytes beyond the limits. It checks the time at every thousandth step.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from axolotl_synthetic.sql import connections

Cell = None | int | float | str | bytes
Row = tuple[Cell, ...]
Program = tuple[Row, ...]
"""Steps that SQLite compiled a query to, as EXPLAIN shows them, without the comments."""

# Functions that a query may call: SQLite's functions of values, aggregates, windows, dates, mathematics and JSON
# (sqlite.org/lang_corefunc.html and its siblings). Excluded are functions that read or write files (`readfile`, `writefile`, `edit`), load
# code (`load_extension`, `fts3_tokenizer`) or reveal the connection (`changes`, `sqlite_version`). `random` is excluded because no two
# queries could agree on it.
_NAMES = (
    "abs char coalesce concat concat_ws format glob hex ifnull iif if instr length like likelihood likely lower ltrim max min nullif"
    " octet_length printf quote replace round rtrim sign soundex substr substring trim typeof unhex unicode unlikely upper zeroblob"
    " avg count group_concat string_agg sum total median percentile percentile_cont percentile_disc"
    " row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value"
    " date time datetime julianday unixepoch strftime timediff current_date current_time current_timestamp"
    " acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power radians sin sinh"
    " sqrt tan tanh trunc"
    " json json_array json_array_length json_error_position json_extract json_insert json_object json_patch json_pretty json_quote"
    " json_remove json_replace json_set json_type json_valid json_group_array json_group_object -> ->>"
)
FUNCTIONS = frozenset(_NAMES.split())
# Prefixes of SQLite's own tables; a query that defines such a name by WITH could still mean SQLite's.
OWN_TABLES = ("sqlite_", "pragma_", "dbstat", "bytecode", "tables_used", "fts3tokenize", "fts4aux", "fts5vocab")
STEPS_BETWEEN_LOOKS = 1_000
LONGEST_VALUE = 5_000_000  # bytes
# Readable names of the sqlite3.SQLITE_… action codes (sqlite.org/c3ref/c_alter_table.html).
ACTIONS = {
    getattr(sqlite3, f"SQLITE_{name}"): name.replace("_", " ")
    for name in (
        *("ALTER_TABLE", "ANALYZE", "ATTACH", "DELETE", "DETACH", "INSERT", "PRAGMA", "REINDEX", "SAVEPOINT", "TRANSACTION", "UPDATE"),
        *("CREATE_INDEX", "CREATE_TABLE", "CREATE_TRIGGER", "CREATE_VIEW", "CREATE_VTABLE"),
        *("DROP_INDEX", "DROP_TABLE", "DROP_TRIGGER", "DROP_VIEW", "DROP_VTABLE"),
        *("CREATE_TEMP_INDEX", "CREATE_TEMP_TABLE", "CREATE_TEMP_TRIGGER", "CREATE_TEMP_VIEW"),
        *("DROP_TEMP_INDEX", "DROP_TEMP_TABLE", "DROP_TEMP_TRIGGER", "DROP_TEMP_VIEW"),
    )
}
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: LONGEST_VALUE,
    # For a query or, while a schema is read, one CREATE TABLE: 2,000 columns take some 50,000. `queries.py` limits queries further.
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 1_000_000,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_VDBE_OP: 100_000,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1_000,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
}


class QueryFailed(Exception):
    """A query gave no rows; the message says why, for a person to read."""


class SQLiteFailed(QueryFailed):
    """SQLite itself reported the failure, such as malformed JSON; on other rows the query may run."""


@dataclass(frozen=True)
class Result:
    """Rows in the order they came, and their number of columns, which is known even without rows."""

    columns: int
    rows: tuple[Row, ...]


class Clock:
    """Processor time that a query may still use. Wall time is not counted, as the machine's other work must not change a verdict.

    Args:
        seconds: total for everything that the query is run on.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._left = seconds
        self._until = 0.0

    def __enter__(self) -> Self:
        self._until = time.process_time() + self._left
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._left = self._until - time.process_time()

    def is_over(self) -> bool:
        return time.process_time() > self._until


class Reader:
    """A connection for one query; closed on leaving.

    Args:
        tables: names that may be read, in lower case.
        made: names that the query or a view defines by WITH; SQLite asks about those that refer to themselves.
        clock: when to stop.
        rows, result_bytes: largest result.
    """

    def __init__(self, tables: frozenset[str], made: frozenset[str], clock: Clock, *, rows: int, result_bytes: int) -> None:
        self._tables = tables | {name for name in made if not name.startswith(OWN_TABLES)}
        self._clock = clock
        self._rows = rows
        self._bytes = result_bytes
        self._refused: str | None = None
        self._virtual = False
        self._ours = False
        self._memory: sqlite3.Connection | None = None
        self._image: bytes | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._memory is not None:
            self._memory.close()

    def of_image(self, image: bytes, query: str) -> Result:
        """Run the query on an in-memory database.

        Raises:
            QueryFailed: if it is refused, is wrong, or reaches a limit.
        """
        if self._memory is None:
            self._memory = self._guarded(connections.in_memory())
        if image is not self._image:
            # SQLite loads an image by a statement of its own, which the authorizer must allow.
            self._ours = True
            try:
                self._memory.deserialize(image)
            finally:
                self._ours = False
            self._image = image
        return self._run(self._memory, query)

    def of_file(self, path: str, query: str) -> Result:
        """Run the query on a file, opened read-only on the assumption that it does not change.

        Raises:
            QueryFailed: as for `of_image`; also if the file cannot be read.
        """
        try:
            if (problem := connections.unfinished(Path(path))) is not None:
                raise QueryFailed(f"{path} cannot be read: {problem}")
            connection = self._guarded(connections.of_file(path))
        except (OSError, sqlite3.Error) as error:
            raise QueryFailed(f"{path} cannot be read: {error}") from error
        try:
            return self._run(connection, query)
        finally:
            connection.close()

    def program(self, image: bytes, query: str) -> Program | None:
        """Return the program that SQLite compiles the query to; None if EXPLAIN does not show all of it.

        Two queries with the same program are equivalent, because SQLite runs only the program.

        Raises:
            QueryFailed: as for `of_image`.
        """
        steps = self.of_image(image, f"EXPLAIN {query}").rows
        # (place, operation, p1, p2, p3, p4, p5, comment): sqlite.org/opcode.html. EXPLAIN cuts a blob at its first NUL, and shows only an
        # address for the state of a table-valued function.
        if any(str(p4).startswith("vtab:") or (operation == "Blob" and p4 is not None) for _, operation, _, _, _, p4, _, _ in steps):
            return None
        return tuple(step[:-1] for step in steps if step[1] != "Explain")

    def _guarded(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        for limit, value in _LIMITS.items():
            connection.setlimit(limit, value)
        # The authorizer checks functions by name in views and columns too; without trusted_schema SQLite would refuse JSON there.
        for pragma in ("query_only = 1", "trusted_schema = 1"):
            connection.execute(f"PRAGMA {pragma}")
        connection.text_factory = _text
        connection.set_authorizer(self._authorize)
        connection.set_progress_handler(self._clock.is_over, STEPS_BETWEEN_LOOKS)
        return connection

    def _authorize(self, action: int, one: str | None, two: str | None, database: str | None, within: str | None) -> int:
        if self._ours or action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_READ:
            if str(one).lower() in self._tables:
                return sqlite3.SQLITE_OK
            self._refused = f"reads {one}, which is no table of the database"
        elif action == sqlite3.SQLITE_FUNCTION:
            if str(two).lower() in FUNCTIONS:
                return sqlite3.SQLITE_OK
            self._refused = f"calls the function {two}"
        elif (action, one) == (sqlite3.SQLITE_UPDATE, "sqlite_master"):
            # SQLite does this to prepare a virtual table. It then asks for other actions, whose refusal would explain less.
            self._virtual = True
        else:
            self._refused = f"does {ACTIONS.get(action, f'action {action}')}"
        return sqlite3.SQLITE_DENY

    def _run(self, connection: sqlite3.Connection, query: str) -> Result:
        self._refused, self._virtual = None, False
        with self._clock:
            try:
                cursor = connection.execute(query)
                return Result(len(cursor.description or ()), tuple(self._fetched(cursor)))
            except MemoryError:
                raise QueryFailed("it needs more memory than it may have") from None
            except (sqlite3.Error, sqlite3.Warning, OverflowError, ValueError) as error:
                if self._virtual:
                    raise QueryFailed(
                        "it reads a virtual table, or takes what a function such as json_each gives for a table; a query may only read"
                        " ordinary tables"
                    ) from None
                if self._refused is not None:
                    raise QueryFailed(f"it {self._refused}; a query may only read") from None
                if self._clock.is_over():
                    raise QueryFailed(f"it takes longer than {self._clock.seconds:g} s") from None
                raise SQLiteFailed(f"SQLite says: {str(error)[:200]}") from None

    def _fetched(self, cursor: sqlite3.Cursor) -> list[Row]:
        rows: list[Row] = []
        size = 0
        for row in cursor:
            rows.append(row)
            size += _size(row)
            if len(rows) > self._rows:
                raise QueryFailed(f"its result has more than {self._rows:,} rows")
            if size > self._bytes:
                raise QueryFailed(f"its result has more than {self._bytes:,} bytes")
        return rows


def _text(raw: bytes) -> Cell:
    """Decode a text; one that is not UTF-8 stays bytes, so that equal bytes stay equal."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _size(row: Sequence[Cell]) -> int:
    return sum(len(cell) if isinstance(cell, str | bytes) else 8 for cell in row)
