"""Turn generated rows into in-memory databases, as bytes in SQLite's file format, which a reader loads for one query."""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from axolotl_synthetic.sql import connections
from axolotl_synthetic.sql.filling import Rows
from axolotl_synthetic.sql.queries import at_one_time
from axolotl_synthetic.sql.reader import Row
from axolotl_synthetic.sql.schema import Schema, quoted

# SQLite's smallest page size: a table takes at least one page, and most of ours hold few rows.
PAGE_BYTES = 512
# Number of databases that stay open for their next filling, some 80 kB each.
KEPT_OPEN = 64
# A user's file larger than this is not copied to test other row orders.
LARGEST_COPY = 8 * 2**20


def image_of(schema: Schema, rows: Rows, *, plain: bool = False) -> bytes:
    """Return a database with these rows.

    Args:
        schema: its tables.
        rows: rows to insert, in this order; rows that a CHECK constraint refuses are left out.
        plain: True to drop keys, so that rows are stored in insertion order, and to insert the last first. Tables whose columns have more
            than names and types keep their keys.
    """
    connection = _without_rows(schema, plain)
    connection.execute("BEGIN")
    try:
        for table in schema.tables:
            columns = ", ".join(quoted(column.name) for column in table.columns)
            places = ", ".join("?" * len(table.columns))
            laid = reversed(rows[table.name]) if plain else rows[table.name]
            _insert(connection, f"INSERT OR IGNORE INTO {quoted(table.name)} ({columns}) VALUES ({places})", iter(laid))
        return connection.serialize()
    finally:
        connection.rollback()


_open: OrderedDict[tuple[str, bool], sqlite3.Connection] = OrderedDict()


def _without_rows(schema: Schema, plain: bool) -> sqlite3.Connection:
    """Return a database with these tables and views, kept open because making them takes longer than inserting rows."""
    key = schema.text, plain
    if key not in _open:
        connection = connections.in_memory(cached_statements=128)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("BEGIN")
        connection.execute("PRAGMA user_version = 1")  # a database without any page cannot be serialised
        for table in schema.tables:
            connection.execute((table.plain if plain else None) or table.sql)
        for _, sql in schema.views:
            connection.execute(at_one_time(sql))
        connection.execute("COMMIT")
        _open[key] = connection
        if len(_open) > KEPT_OPEN:
            _open.popitem(last=False)[1].close()
    _open.move_to_end(key)
    return _open[key]


def _insert(connection: sqlite3.Connection, statement: str, rows: Iterator[Row]) -> None:
    while True:
        try:
            connection.executemany(statement, rows)
            return
        except sqlite3.IntegrityError:
            pass  # the primary key must be an integer and is not in this row, which `OR IGNORE` does not cover; go on with the next row
        except (sqlite3.Error, OverflowError):
            # A CHECK or a generated column cannot be computed for this row. If it can for none, SQLite took no row from the iterator.
            if next(rows, None) is None:
                return


def rearranged(schema: Schema, source: bytes | str) -> tuple[bytes, ...]:
    """Return the same rows in other orders, on one of which a query that depends on the storage order gives another result.

    Args:
        schema: the tables.
        source: a database's bytes, or a file's path.

    Returns:
        The rows reversed, and the rows with those at even indices first, for ties whose pattern is a palindrome. Empty if the rows cannot
        be stored in another order.
    """
    if any(table.plain is None for table in schema.tables):
        return ()
    if isinstance(source, str) and Path(source).stat().st_size > LARGEST_COPY:
        return ()
    try:
        with closing(connections.in_memory() if isinstance(source, bytes) else connections.of_file(source)) as connection:
            if isinstance(source, bytes):
                connection.deserialize(source)
            rows: dict[str, Sequence[Row]] = {}
            for table in schema.tables:
                columns = ", ".join(quoted(column.name) for column in table.columns)
                rows[table.name] = connection.execute(f"SELECT {columns} FROM {quoted(table.name)}").fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return ()  # a text in it is not UTF-8, or a table differs from the schema
    riffled = {name: [*found[::2], *found[1::2]] for name, found in rows.items()}
    return image_of(schema, rows, plain=True), image_of(schema, riffled, plain=True)
