"""Generated rows as databases in memory: SQLite's own file format, which a reader takes in for one query and drops again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from axolotl_synthetic.sql.filling import Rows
from axolotl_synthetic.sql.reader import Row
from axolotl_synthetic.sql.schema import Schema, quoted

# The smallest that SQLite has: a table takes at least a page, and most of ours hold few rows.
PAGE_BYTES = 512
# A user's own file beyond this is not copied to see what its rows' order does.
LARGEST_COPY = 8 * 2**20


def image_of(schema: Schema, rows: Rows, *, reversed_order: bool = False) -> bytes:
    """A database with these rows.

    Args:
        schema: its tables.
        rows: what goes into them; a row that a CHECK constraint refuses is left out.
        reversed_order: without keys, the last row first. A query whose answer depends on the order in which rows lie gives
            another answer then. Tables whose columns are more than names and types keep their keys.
    """
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("BEGIN")
        connection.execute("PRAGMA user_version = 1")  # a database without a page cannot be had as bytes
        for table in schema.tables:
            connection.execute((table.plain if reversed_order else None) or table.sql)
            _insert(connection, table.name, [column.name for column in table.columns], rows[table.name], reversed_order)
        for _, sql in schema.views:
            connection.execute(sql)
        connection.execute("COMMIT")
        return connection.serialize()
    finally:
        connection.close()


def turned(schema: Schema, source: bytes | str) -> bytes | None:
    """The same rows in the opposite order; None where they cannot be had.

    Args:
        schema: the tables.
        source: a database in memory, or a file's path.
    """
    if any(table.plain is None for table in schema.tables):
        return None
    if isinstance(source, bytes):
        connection = sqlite3.connect(":memory:")
        connection.deserialize(source)
    elif Path(source).stat().st_size <= LARGEST_COPY:
        connection = sqlite3.connect(f"file:{quote(source)}?mode=ro&immutable=1", uri=True)
    else:
        return None
    try:
        rows = {}
        for table in schema.tables:
            columns = ", ".join(quoted(column.name) for column in table.columns)
            rows[table.name] = connection.execute(f"SELECT {columns} FROM {quoted(table.name)}").fetchall()
        return image_of(schema, rows, reversed_order=True)
    except sqlite3.Error:
        return None  # a text in it is no UTF-8, or a table is not what the schema says
    finally:
        connection.close()


def _insert(connection: sqlite3.Connection, table: str, columns: Sequence[str], rows: Iterable[Row], reversed_order: bool) -> None:
    ordered = list(rows)
    if reversed_order:
        ordered.reverse()
    names, places = ", ".join(map(quoted, columns)), ", ".join("?" * len(columns))
    connection.executemany(f"INSERT OR IGNORE INTO {quoted(table)} ({names}) VALUES ({places})", ordered)
