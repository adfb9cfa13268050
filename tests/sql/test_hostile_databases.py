"""Databases from strangers: nothing in them is executed, and no file is made, opened for writing or deleted."""

import os
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from axolotl_synthetic import sql
from axolotl_synthetic.sql import Database, queries

from shop import SCHEMA, make_shop, trap

FOR_EVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all files below a folder: their sizes, modification times and contents."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


def with_text(file: Path, text: str, table: str = "singer") -> Path:
    """Write a database with another text as a table's CREATE TABLE statement."""
    make_shop(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (text, table))
        connection.commit()
    return file


def test_the_trap_is_one(tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    with closing(sqlite3.connect(trap(tmp_path / "shop.sqlite", victim))) as connection:
        connection.execute("SELECT count(*) FROM singer").fetchall()
    assert not victim.exists()


def test_a_journal_that_names_another_file_is_refused_and_the_file_stays(tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    file = trap(tmp_path / "shop.sqlite", victim)
    before = snapshot(tmp_path)
    with pytest.raises(sql.BadDatabase, match=r"shop\.sqlite-journal beside it belongs to a change that was broken off"):
        sql.schema_of(str(file))
    # This holds also if a question already has its schema, as in grading.
    assert "shop.sqlite-journal beside it" in sql.runs("SELECT name FROM singer", Database(SCHEMA, str(file))).why
    with pytest.raises(sql.GoldFailed, match=r"shop\.sqlite-journal beside it"):
        sql.compare("SELECT name FROM singer", "SELECT id FROM singer", Database(SCHEMA, str(file)))
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize(("content", "is_hot"), [(b"", False), (b"\0" * 512, False), (b"\xd9\xd5\x05\xf9", True)])
def test_a_journal_that_sqlite_is_done_with_is_none(tmp_path, content, is_hot):
    make_shop(tmp_path / "shop.sqlite")
    (tmp_path / "shop.sqlite-journal").write_bytes(content)
    try:
        refused = sql.schema_of(str(tmp_path / "shop.sqlite")) is None
    except sql.BadDatabase:
        refused = True
    assert refused is is_hot


def test_a_database_whose_name_leaves_no_room_for_a_journals_is_read(tmp_path):
    file = tmp_path / ("x" * 245 + ".sqlite")
    make_shop(tmp_path / "shop.sqlite")  # SQLite itself cannot write one of this name
    (tmp_path / "shop.sqlite").rename(file)
    assert sql.schema_of(str(file))
    assert sql.runs("SELECT name FROM singer", Database(SCHEMA, str(file))).stands


def test_rows_of_a_change_that_was_broken_off_are_not_read_as_if_it_were_whole(tmp_path):
    file = tmp_path / "shop.sqlite"
    make_shop(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO singer (name) WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 4000) SELECT x FROM c"
        )
        # The state that a power failure at this point would leave.
        content, journal = file.read_bytes(), Path(f"{file}-journal").read_bytes()
        connection.execute("ROLLBACK")
    file.write_bytes(content)
    Path(f"{file}-journal").write_bytes(journal)
    with pytest.raises(sql.BadDatabase, match="broken off"):
        sql.schema_of(str(file))


BEHIND = [
    "ATTACH '{folder}/made.db' AS made",
    "ATTACH '{folder}/trap.sqlite' AS trap",
    "VACUUM INTO '{folder}/copy.db'",
    "PRAGMA journal_mode = WAL",
    "CREATE TABLE other (x)",
    "INSERT INTO singer (name) VALUES ('x')",
    "SELECT load_extension('{folder}/evil.so')",
    FOR_EVER,
]


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("between", ["; ", ";\n-- ;\n", ";;/* */"])
def test_a_statement_behind_a_create_table_is_refused_and_not_run(tmp_path, behind, between):
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    trap(tmp_path / "trap.sqlite", victim)
    file = with_text(
        tmp_path / "shop.sqlite",
        "CREATE TABLE singer (id INTEGER PRIMARY KEY, name, country, age)" + between + behind.format(folder=tmp_path),
    )
    before, root = snapshot(tmp_path), set(os.listdir("/"))
    began = time.monotonic()
    with pytest.raises(sql.BadDatabase, match=r"has another statement behind it.*do not use it"):
        sql.schema_of(str(file))
    assert time.monotonic() - began < 5
    assert snapshot(tmp_path) == before
    assert set(os.listdir("/")) == root


@pytest.mark.parametrize("behind", BEHIND)
def test_a_schema_that_comes_with_a_question_runs_nothing_but_its_tables(tmp_path, behind):
    """A row as from a stranger's `lm_eval/heldout.jsonl`."""
    victim = tmp_path / "victim.txt"
    victim.write_text("mine")
    trap(tmp_path / "trap.sqlite", victim)
    schema = "CREATE TABLE t (a);\n" + behind.format(folder=tmp_path) + ";"
    before = snapshot(tmp_path)
    found = sql.runs("SELECT a FROM t", Database(schema))
    assert found.stands is behind.startswith("CREATE TABLE")
    assert found.stands or "is no CREATE TABLE statement" in found.why
    assert not sql.compare("SELECT a FROM t", "SELECT a FROM t LIMIT 1", Database(schema)).stands
    assert snapshot(tmp_path) == before


def test_a_table_that_is_made_of_an_endless_query_takes_no_more_than_its_time(tmp_path):
    (tmp_path / "shop.sql").write_text(f"CREATE TABLE t AS {FOR_EVER};")
    began = time.process_time()
    with pytest.raises(sql.BadDatabase, match="reading its tables takes more time or memory"):
        sql.schema_of(str(tmp_path / "shop.sql"))
    assert time.process_time() - began < 10
    (tmp_path / "fine.sql").write_text("CREATE TABLE t (a TEXT);\nCREATE TABLE u AS SELECT a, upper(a) AS b FROM t;")
    assert sql.schema_of(str(tmp_path / "fine.sql")) == "CREATE TABLE t (a TEXT);\n\nCREATE TABLE u(a TEXT,b);"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("CREATE  VIRTUAL TABLE singer USING fts5(name)", "is no CREATE TABLE statement"),
        ("CREATE TEMP TABLE singer (name)", "CREATE TEMP TABLE"),
        ("CREATE TABLE singer (name, CHECK (load_extension('x')))", "calls the function load_extension"),
        ("CREATE TABLE singer AS SELECT * FROM pragma_database_list", ""),
        ("CREATE TABLE main.singer (name); --", "has another statement behind it|cannot read it"),
        ("CREATE TABLE singer (", ""),
        ("", ""),
    ],
)
def test_a_text_that_sqlite_would_not_have_written_is_refused_with_a_message(tmp_path, text, why):
    file = with_text(tmp_path / "shop.sqlite", text)
    before = snapshot(tmp_path)
    with pytest.raises(sql.BadDatabase) as raised:
        sql.schema_of(str(file))
    assert re.search(why, str(raised.value))
    assert "please report" not in str(raised.value)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("value", [b"\xff\xfe", 7, "CREATE TABLE singer (a)\0; ATTACH 'x' AS y", "CREATE TABLE singer (\ud7ff\U0010ffff)"])
def test_a_text_that_is_none_is_a_message_too(tmp_path, value):
    file = with_text(tmp_path / "shop.sqlite", value)
    try:
        found = sql.schema_of(str(file))
    except sql.BadDatabase as error:
        assert "please report" not in str(error)
    else:
        assert "ATTACH" not in found


def test_a_name_that_is_no_text_is_a_message_too(tmp_path):
    file = tmp_path / "shop.sqlite"
    make_shop(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA writable_schema = 1")
        connection.execute("UPDATE sqlite_master SET name = x'ff' WHERE name = 'singer'")
        connection.commit()
    with pytest.raises(sql.BadDatabase, match=r"SQLite cannot read it|damaged"):
        sql.schema_of(str(file))


def test_virtual_tables_and_what_they_keep_are_passed_over_and_other_tables_are_read(tmp_path):
    file = tmp_path / "shop.sqlite"
    make_shop(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE VIRTUAL TABLE songs USING fts5(title)")
        connection.execute("CREATE TABLE songs_sung (title)")
        connection.commit()
    schema = sql.schema_of(str(file))
    assert schema.endswith("CREATE TABLE songs_sung (title);") and "VIRTUAL" not in schema and "songs_data" not in schema
    database = Database(schema, str(file))
    assert sql.runs("SELECT name FROM singer", database).stands
    assert "a query may only read" in sql.runs("SELECT title FROM songs", database).why


def test_a_database_of_virtual_tables_alone_says_so(tmp_path):
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE VIRTUAL TABLE songs USING fts5(title)")
        connection.commit()
    with pytest.raises(sql.BadDatabase, match="all its tables are virtual"):
        sql.schema_of(str(tmp_path / "x.db"))


def test_a_view_cannot_read_what_a_query_cannot(tmp_path):
    file = tmp_path / "shop.sqlite"
    make_shop(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE VIEW tables AS SELECT name FROM sqlite_master")
        connection.execute("CREATE VIEW files AS WITH pragma_database_list AS (SELECT 1) SELECT file FROM main.pragma_database_list")
        connection.execute(f"CREATE VIEW ever AS {FOR_EVER}")
        connection.commit()
    database = Database(sql.schema_of(str(file)), str(file))
    short = sql.Limits(seconds=0.2)
    assert "reads sqlite_master" in sql.runs("SELECT name FROM tables", database).why
    assert not sql.runs("SELECT * FROM files", database).stands
    assert "longer than 0.2 s" in sql.runs("SELECT * FROM ever", database, short).why
    assert "longer than 0.2 s" in sql.runs("SELECT * FROM ever", Database(database.schema), short).why


@pytest.mark.parametrize(
    "query",
    [
        "SELECT title FROM songs",
        "SELECT title FROM songs WHERE songs MATCH 'x'",
        "SELECT value FROM singer, json_each(singer.name)",
        "SELECT j.value FROM singer AS s JOIN json_each(s.name) AS j",
        "SELECT name FROM singer WHERE name IN (SELECT value FROM json_each('[1]'))",
        "SELECT * FROM json_tree('[1]')",
        "SELECT * FROM boxes",
    ],
)
def test_a_virtual_table_and_a_function_that_gives_rows_are_named_for_what_they_are(tmp_path, query):
    file = tmp_path / "shop.sqlite"
    make_shop(file)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE VIRTUAL TABLE songs USING fts5(title)")
        connection.execute("CREATE VIRTUAL TABLE boxes USING rtree(id, low, high)")
        connection.commit()
    database = Database(sql.schema_of(str(file)), str(file))
    why = sql.runs(query, database).why
    assert "reads a virtual table, or takes what a function such as json_each gives for a table" in why and "UPDATE" not in why
    assert sql.runs("SELECT name FROM singer", database).stands, "the next query is not held to it"


@pytest.mark.parametrize("number", ["1_000", "1_0.5", "12_345_678"])
def test_a_number_with_an_underscore_is_explained(number):
    with pytest.raises(queries.NotAQuery, match=r"has `_` in it, which SQLite takes since 3\.46 alone"):
        queries.normal_form(f"SELECT name FROM singer WHERE age <= {number}")


@pytest.mark.parametrize("query", ["SELECT a_1 FROM t", "SELECT '1_000' FROM t", "SELECT x1_000 FROM t"])
def test_an_underscore_elsewhere_is_none_of_a_number(query):
    assert queries.normal_form(query) == query
