"""Schemas from files and texts: tables, columns and keys, and the errors of a file without any."""

import sqlite3

import pytest

from axolotl_synthetic import sql
from axolotl_synthetic.sql.schema import ForeignKey, read_schema

from shop import SCHEMA, make_shop


def test_a_database_and_a_script_of_it_give_the_same_schema(tmp_path):
    make_shop(tmp_path / "shop.sqlite")
    (tmp_path / "shop.sql").write_text(SCHEMA)
    assert sql.schema_of(str(tmp_path / "shop.sqlite")) == sql.schema_of(str(tmp_path / "shop.sql")) == SCHEMA.replace(")\n\n", ");\n\n")


def test_a_dumps_other_statements_are_passed_over_and_comments_are_no_statements(tmp_path):
    (tmp_path / "dump.sql").write_text(
        "PRAGMA foreign_keys = OFF;\nBEGIN TRANSACTION;\n-- the table; really\nDROP TABLE IF EXISTS t;\n"
        "CREATE TABLE t (a TEXT DEFAULT ';');\n/* an index */ CREATE INDEX i ON t (a);\nCREATE VIEW v AS SELECT a FROM t;\nCOMMIT;\n-- end"
    )
    assert sql.schema_of(str(tmp_path / "dump.sql")) == "CREATE TABLE t (a TEXT DEFAULT ';');\n\nCREATE VIEW v AS SELECT a FROM t;"


def test_semicolons_alone_are_no_statements(tmp_path):
    (tmp_path / "x.sql").write_text(";;\nCREATE TABLE t (a);; -- end\n;")
    assert sql.schema_of(str(tmp_path / "x.sql")) == "CREATE TABLE t (a);"


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        (
            "rows.sql",
            "CREATE TABLE t (a);\nINSERT INTO t VALUES (1);",
            "'INSERT INTO t VALUES (1);' is no CREATE TABLE statement; for tables with",
        ),
        ("mysql.sql", "CREATE TABLE t (a INT) ENGINE=InnoDB;", "SQLite does not take it"),
        ("attach.sql", "ATTACH 'x' AS y;", "is no CREATE TABLE statement"),
        ("empty.sql", "-- nothing\n", "it has no tables"),
        ("latin.sql", b"CREATE TABLE \xfc (a);", "it is not UTF-8 (byte 14)"),
        ("text.sqlite", "question,answer\n", "it is no SQLite database"),
        ("short.db", "", "it is no SQLite database"),
        ("torn.sqlite", b"SQLite format 3\0" + b"\xff" * 4_000, "SQLite cannot read it"),
    ],
)
def test_a_file_without_tables_says_why(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(sql.BadDatabase) as raised:
        sql.schema_of(str(tmp_path / name))
    assert why in str(raised.value)


def test_reading_a_database_leaves_it_and_its_folder_as_they_were(tmp_path):
    make_shop(tmp_path / "shop.sqlite")
    before = (tmp_path / "shop.sqlite").read_bytes()
    sql.schema_of(str(tmp_path / "shop.sqlite"))
    assert [path.name for path in tmp_path.iterdir()] == ["shop.sqlite"]
    assert (tmp_path / "shop.sqlite").read_bytes() == before


def test_keys_are_read_as_sqlite_understands_them():
    schema = read_schema(
        'CREATE TABLE "a b" (x INTEGER, Y TEXT NOT NULL, z REAL UNIQUE, PRIMARY KEY (x, y));'
        'CREATE TABLE c (id INTEGER PRIMARY KEY, x, y, up REFERENCES c (ID), FOREIGN KEY (x, y) REFERENCES "a b");'
    )
    first, second = schema.tables
    assert first.uniques == (("x", "Y"), ("z",))
    assert [(column.name, column.kind, column.not_null, column.unique) for column in first.columns] == [
        ("x", "integer", True, False),
        ("Y", "text", True, False),
        ("z", "real", False, True),
    ]
    assert set(second.foreign_keys) == {ForeignKey(("up",), "c", ("id",)), ForeignKey(("x", "y"), "a b", ("x", "Y"))}


def test_a_foreign_key_to_what_is_not_there_is_none():
    schema = read_schema("CREATE TABLE t (a REFERENCES gone (id), b REFERENCES u (nope)); CREATE TABLE u (id);")
    assert schema.tables[0].foreign_keys == ()


def test_a_table_that_sqlite_keeps_for_itself_is_not_the_users(tmp_path):
    connection = sqlite3.connect(tmp_path / "x.db")
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)")
    connection.commit()
    connection.close()
    assert "sqlite_sequence" not in sql.schema_of(str(tmp_path / "x.db"))
