"""Database schemas: CREATE TABLE statements as text, and tables, columns and keys as SQLite understands them.

This file reads no rows: `filling.py` makes generated ones, and queries read those of a user's file (`reader.py`).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Literal

from axolotl_synthetic.sql import connections
from axolotl_synthetic.sql.hints import made_by_views
from axolotl_synthetic.sql.reader import ACTIONS, FUNCTIONS, OWN_TABLES

Kind = Literal["integer", "real", "number", "text", "date", "datetime", "boolean", "any"]
# SQLite's own rules for affinity (sqlite.org/datatype3.html, 3.1), after kinds that it does not know but people mean.
_KINDS: tuple[tuple[str, Kind], ...] = (
    *(("BOOL", "boolean"), ("DATETIME", "datetime"), ("TIMESTAMP", "datetime"), ("DATE", "date"), ("TIME", "datetime")),
    *(("INT", "integer"), ("CHAR", "text"), ("CLOB", "text"), ("TEXT", "text"), ("REAL", "real"), ("FLOA", "real"), ("DOUB", "real")),
)
# Statements of a dump that do not affect what the tables look like.
_PASSED_OVER = re.compile(r"\s*(?:BEGIN|COMMIT|END|PRAGMA|DROP\s+(?:TABLE|VIEW|INDEX)\s+IF\s+EXISTS|ANALYZE)\b", re.IGNORECASE)
_CREATED = re.compile(
    r"\s*CREATE\s+(?P<kind>(?:TEMP(?:ORARY)?\s+)?(?:TABLE|VIEW)|(?:UNIQUE\s+)?INDEX|VIRTUAL\s+TABLE|TRIGGER)\b", re.IGNORECASE
)

# Actions that SQLite asks about while tables, views and indexes are made and inspected (sqlite.org/c3ref/c_alter_table.html).
_MAKING = {
    *(sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_REINDEX),
    *(sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE),
}
_WRITING = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_WRITTEN = {"sqlite_master", "sqlite_schema", "sqlite_sequence"}
_ASKED = {"table_xinfo", "index_list", "index_info", "foreign_key_list"}
# Suffixes after a virtual table's name: FTS3, FTS4 and FTS5, R-trees.
_SHADOWS = ("data", "idx", "content", "docsize", "config", "segments", "segdir", "stat", "node", "parent", "rowid")


class BadSchema(Exception):
    """No tables can be read from a text or a file; the message says why, with the remedy."""


@dataclass(frozen=True)
class Column:
    """One column. `declared` is its type as written; `unique` is about this column alone."""

    name: str
    declared: str
    kind: Kind
    not_null: bool
    unique: bool


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key: `columns` refer to rows of `table` by its `parents`, which need not be a key of that table."""

    columns: tuple[str, ...]
    table: str
    parents: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table. `uniques` are sets of columns whose values no two rows share, the primary key's first."""

    name: str
    columns: tuple[Column, ...]
    uniques: tuple[tuple[str, ...], ...]
    foreign_keys: tuple[ForeignKey, ...]
    sql: str

    @property
    def plain(self) -> str | None:
        """Return a CREATE TABLE statement with the same columns and types but no keys, so that rows keep their insertion order.

        None if the columns have more than names and types.
        """
        if re.search(r"\bCOLLATE\b|\bGENERATED\b|\bAS\s*\(|\bSTRICT\s*$", self.sql, re.IGNORECASE):
            return None
        if not all(re.fullmatch(r"[\w\s(),.+-]*", column.declared) for column in self.columns):
            return None
        columns = ", ".join(f"{quoted(column.name)} {column.declared}" for column in self.columns)
        return f"CREATE TABLE {quoted(self.name)} ({columns})"


@dataclass(frozen=True)
class Schema:
    """Tables in the order of the text, and views as written."""

    text: str
    tables: tuple[Table, ...]
    views: tuple[tuple[str, str], ...]

    @cached_property
    def columns(self) -> Mapping[str, frozenset[str]]:
        """Return column names by table name, all in lower case."""
        return {table.name.lower(): frozenset(column.name.lower() for column in table.columns) for table in self.tables}

    def only(self, names: frozenset[str]) -> Schema:
        """Return the schema of these tables only, which is read much faster; the schema itself if one of the names is a view's.

        Args:
            names: in lower case. Foreign keys to other tables are left out.
        """
        if any(name.lower() in names for name, _ in self.views):
            return self
        tables = tuple(
            replace(table, foreign_keys=tuple(key for key in table.foreign_keys if key.table.lower() in names))
            for table in self.tables
            if table.name.lower() in names
        )
        return replace(self, text="\n".join(table.sql for table in tables), tables=tables, views=())

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the names of all tables and views, in lower case."""
        return frozenset([*(table.name.lower() for table in self.tables), *(name.lower() for name, _ in self.views)])

    @cached_property
    def made(self) -> frozenset[str]:
        """Return the names that its views define by WITH, in lower case."""
        return made_by_views(sql for _, sql in self.views)


def quoted(name: str) -> str:
    """Return a name in quotes, which SQL accepts for any name."""
    return '"' + name.replace('"', '""') + '"'


def schema_of_file(path: Path) -> str:
    """Return the CREATE TABLE and CREATE VIEW statements of a `.sql` file or of a SQLite database.

    Raises:
        BadSchema: if it is neither, or cannot be read.
    """
    try:
        if path.suffix.lower() == ".sql":
            # utf-8-sig drops the byte order mark that editors on Windows write.
            return schema_of_script(path.read_text(encoding="utf-8-sig"))
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise BadSchema("it is no SQLite database")
        if (problem := connections.unfinished(path)) is not None:
            raise BadSchema(problem)
    except OSError as error:
        raise BadSchema(f"it cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSchema(f"it is not UTF-8 (byte {error.start + 1}); save it as UTF-8") from error
    try:
        with closing(connections.of_file(str(path))) as connection:
            rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY rowid").fetchall()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # the error may quote a name that is not UTF-8
        raise BadSchema(f"SQLite cannot read it: {error}") from error
    # These texts come from the file's author, perhaps not through SQLite, so they are as untrusted as any.
    with closing(_made(_own_tables(rows))) as connection:
        return schema_text(connection)


def _own_tables(rows: Sequence[tuple[object, object, object]]) -> list[str]:
    """Return the statements of a database's tables and views, tables first, as a view may precede a table that was recreated.

    Virtual tables, which no query may read, and their shadow tables are left out.
    """
    found: dict[object, list[tuple[str, str]]] = {"table": [], "view": []}
    kept_by: set[str] = set()
    for kind, name, sql in rows:
        if kind not in found or sql is None:
            continue
        if not isinstance(name, str) or not isinstance(sql, str):
            raise BadSchema("its list of tables is damaged: a name in it is no text")
        if sql.startswith("CREATE VIRTUAL TABLE "):  # the form in which SQLite itself writes it
            kept_by |= {f"{name}_{part}".lower() for part in _SHADOWS}
        elif not name.lower().startswith("sqlite_"):
            found[kind].append((name, sql))
    own = [sql for each in found.values() for name, sql in each if name.lower() not in kept_by]
    if kept_by and not own:
        raise BadSchema("all its tables are virtual, and no query may read those; give the rows in ordinary tables")
    return own


def schema_of_script(script: str) -> str:
    """Return the CREATE TABLE (and CREATE VIEW) statements of a `.sql` file.

    Raises:
        BadSchema: if there are none, one is wrong, or the file has statements that are not read, such as rows, which would be lost
            silently.
    """
    if "\0" in script:
        raise BadSchema(f"it holds a NUL character (character {script.index(chr(0)) + 1}), which no SQL does; save it as UTF-8")
    statements = []
    for statement in _statements(script):
        created = _CREATED.match(statement)
        if created is not None and created["kind"].upper() not in ("VIRTUAL TABLE", "TRIGGER"):
            statements.append(statement)
        elif not _PASSED_OVER.match(statement):
            raise BadSchema(
                f"{_said(statement)} is no CREATE TABLE statement; for tables with rows make a .sqlite: sqlite3 x.sqlite < x.sql"
            )
    with closing(_made(statements)) as connection:
        return schema_text(connection)


def _made(statements: Iterable[str]) -> sqlite3.Connection:
    """Return an in-memory database in which each statement has made one table, view or index, and done nothing else.

    Raises:
        BadSchema: if a statement would do anything else, or SQLite refuses it. Later statements do not run.
    """
    connection = connections.in_memory()
    refused: list[str] = []
    connection.set_authorizer(partial(_authorize, refused))
    for statement in statements:
        created = _CREATED.match(_uncommented(statement))
        if created is None or " ".join(created["kind"].upper().split()) in ("VIRTUAL TABLE", "TRIGGER"):
            connection.close()
            raise BadSchema(
                f"{_said(statement)} is no CREATE TABLE statement; for tables with rows make a .sqlite: sqlite3 x.sqlite < x.sql"
            )
        try:
            connection.execute(statement)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            connection.close()
            if refused:
                raise BadSchema(f"{_said(statement)} {refused[0]}; only tables, views and indexes can be made") from None
            if "one statement at a time" in str(error):
                raise BadSchema(
                    f"{_said(statement)} has another statement behind it, where a file that SQLite wrote has none; nothing of it was run."
                    " If the file is from others, do not use it"
                ) from None
            raise BadSchema(f"SQLite does not take it: {error}; write CREATE TABLE statements as SQLite has them") from error
    return connection


def _authorize(refused: list[str], action: int, one: str | None, two: str | None, database: str | None, within: str | None) -> int:
    """Let a statement make tables, views and indexes, and read what queries may read, as in CREATE TABLE … AS SELECT."""
    name = str(one).lower()
    if (
        action in _MAKING
        or (action in _WRITING and name in _WRITTEN)
        or (action == sqlite3.SQLITE_READ and (name in _WRITTEN or not name.startswith(OWN_TABLES)))
        or (action == sqlite3.SQLITE_FUNCTION and str(two).lower() in FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and name in _ASKED)
    ):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        refused.append(f"calls the function {two}")
    elif action == sqlite3.SQLITE_READ:
        refused.append(f"reads {one}")
    else:
        refused.append(f"does {ACTIONS.get(action, f'action {action}')}")
    return sqlite3.SQLITE_DENY


def _said(statement: str) -> str:
    return repr(" ".join(statement.split())[:60])


def _statements(script: str) -> Iterator[str]:
    """Yield the statements of a script, without comments before them; SQLite decides where one ends."""
    part = ""
    for piece in re.split(r"(?<=;)", script):
        part += piece
        if sqlite3.complete_statement(part):
            if statement := _uncommented(part).strip():
                yield statement
            part = ""
    if statement := _uncommented(part).strip():
        yield statement


def _uncommented(statement: str) -> str:
    return re.sub(r"\A(?:\s+|--[^\n]*(?:\n|\Z)|/\*.*?\*/|;)+", "", statement, flags=re.DOTALL)


def schema_text(connection: sqlite3.Connection) -> str:
    """Return the CREATE TABLE and CREATE VIEW statements of a database, in its own order.

    Raises:
        BadSchema: if it has no tables.
    """
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY rowid")
    found = [(kind, sql.strip()) for kind, name, sql in rows if not name.lower().startswith("sqlite_")]
    if not any(kind == "table" for kind, _ in found):
        raise BadSchema("it has no tables")
    # Tables first: a view may precede a table that was recreated.
    ordered = [sql for kind, sql in found if kind == "table"] + [sql for kind, sql in found if kind == "view"]
    return "\n\n".join(f"{sql.rstrip(';')};" for sql in ordered)


@lru_cache(maxsize=256)
def read_schema(text: str) -> Schema:
    """Return the tables, columns and keys of a schema's text.

    Raises:
        BadSchema: if SQLite refuses it.
    """
    with closing(_made(_statements(text))) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid").fetchall()
        tables = [_table(connection, name, sql) for kind, name, sql in rows if kind == "table" and not name.startswith("sqlite_")]
        return Schema(text, tuple(tables), tuple((name, sql) for kind, name, sql in rows if kind == "view"))


def _table(connection: sqlite3.Connection, name: str, sql: str) -> Table:
    ask = connection.execute
    info = [row for row in ask(f"PRAGMA table_xinfo({quoted(name)})") if row[6] == 0]  # generated columns take no values
    primary = tuple(row[1] for row in sorted((row for row in info if row[5]), key=lambda row: row[5]))
    uniques = [primary] if primary else []
    for index in ask(f"PRAGMA index_list({quoted(name)})").fetchall():
        # A partial index holds only for some rows; treating it as an index of all rows is stricter and safe.
        members = tuple(row[2] for row in ask(f"PRAGMA index_info({quoted(index[1])})"))
        if index[2] and all(members) and members not in uniques:
            uniques.append(members)
    columns = tuple(
        Column(
            name=row[1],
            declared=row[2],
            kind=_kind(row[2]),
            # SQLite allows NULLs in most primary keys, a historical bug (sqlite.org/lang_createtable.html); real data has none.
            not_null=bool(row[3] or row[5]),
            unique=(row[1],) in uniques,
        )
        for row in info
    )
    return Table(name, columns, tuple(uniques), tuple(_foreign_keys(connection, name)), sql)


def _foreign_keys(connection: sqlite3.Connection, name: str) -> Iterator[ForeignKey]:
    keys: dict[int, list[Sequence[str | None]]] = {}
    for row in connection.execute(f"PRAGMA foreign_key_list({quoted(name)})"):
        keys.setdefault(row[0], []).append((row[2], row[3], row[4]))
    for rows in keys.values():
        parent = str(rows[0][0])
        info = connection.execute(f"PRAGMA table_xinfo({quoted(parent)})").fetchall()
        primary = [row[1] for row in sorted((row for row in info if row[5]), key=lambda row: row[5])]
        # Without columns the key refers to the parent's primary key.
        parents = [row[2] for row in rows] if rows[0][2] is not None else primary
        known = {row[1].lower(): row[1] for row in info}
        if len(parents) == len(rows) and all(str(one).lower() in known for one in parents):
            own = {row[1].lower(): row[1] for row in connection.execute(f"PRAGMA table_xinfo({quoted(name)})")}
            yield ForeignKey(tuple(own[str(row[1]).lower()] for row in rows), parent, tuple(known[str(one).lower()] for one in parents))


def _kind(declared: str) -> Kind:
    upper = declared.upper()
    for part, kind in _KINDS:
        if part in upper:
            return kind
    return "any" if not upper or "BLOB" in upper else "number"
