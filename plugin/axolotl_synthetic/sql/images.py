"""Generated rows as databases in memory: SQLite's own file format, which a reader takes in for one query and drops again."""

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

# The smallest that SQLite has: a table takes at least a page, and most of ours hold few rows.
PAGE_BYTES = 512
# Databases that stay open for their next filling, some 80 kB each.
KEPT_OPEN = 64
# A user's own file beyond this is not copied to see what its rows' order does.
LARGEST_COPY = 8 * 2**20


def image_of(schema: Schema, rows: Rows, *, plain: bool = False) -> bytes:
    """A database with these rows.

    Args:
        schema: its tables.
        rows: what goes into them, in this order; a row that a CHECK constraint refuses is left out.
        plain: without keys, so that the rows lie as they are put in, the last first. Tables whose columns are more than names and
            types keep their keys.
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
    """A database of these tables and views. To make them takes longer than to put rows in, so it is kept for the next rows."""
    key = schema.text, plain
    if key not in _open:
        connection = connections.in_memory(cached_statements=128)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("BEGIN")
        connection.execute("PRAGMA user_version = 1")  # a database without a page cannot be had as bytes
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
            pass  # a primary key that must be a whole number, and is not in this row: `OR IGNORE` is not for that. The next one
        except (sqlite3.Error, OverflowError):
            # A CHECK or a generated column cannot be computed of this row. Where it can of none, SQLite took no row from the iterator.
            if next(rows, None) is None:
                return


def rearranged(schema: Schema, source: bytes | str) -> tuple[bytes, ...]:
    """The same rows in other orders: a query whose answer hangs on how rows happen to lie gives another answer on one of them.

    Args:
        schema: the tables.
        source: a database in memory, or a file's path.

    Returns:
        The rows the other way round; and those at even places before the others, for rows that tie in a pattern which reads the
        same backwards. None of them where rows cannot be laid in another order.
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
        return ()  # a text in it is no UTF-8, or a table is not what the schema says
    riffled = {name: [*found[::2], *found[1::2]] for name, found in rows.items()}
    return image_of(schema, rows, plain=True), image_of(schema, riffled, plain=True)
