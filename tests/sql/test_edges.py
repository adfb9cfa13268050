"""Values, schemas and queries at the limits of SQLite, Python and sqlglot: each is judged, or costs one candidate."""

import sqlite3
import time
from contextlib import closing

import pytest

from axolotl_synthetic import sql
from axolotl_synthetic.sql import Database, Limits
from axolotl_synthetic.sql.queries import NOW, at_one_time, parsed
from axolotl_synthetic.tasks import load_task

from shop import EMPTY, asked, make_shop

EVENTS = Database("CREATE TABLE t (id INTEGER PRIMARY KEY, label TEXT, n INTEGER, r REAL, x NUMERIC, d DATE, at DATETIME);")

# A column, and a literal to compare with it.
EDGES = [
    *(
        ("d", f"'{day}'")
        for day in ("9999-12-31", "9999-01-01", "0001-01-01", "0001-01-02", "1969-12-31", "2024-02-29", "9999-12-31 23:59:59")
    ),
    *(("at", f"'{day}'") for day in ("9999-12-31", "9999-12-31 23:59:59", "0001-01-01 00:00:00")),
    *(("label", f"'{text}'") for text in ("9999-12-31", "99999999999999999999", "1e20", "-9223372036854775808", "٣", "９９９９")),
    *(
        (column, number)
        for column in ("n", "x", "r")
        for number in ("1e20", "-1e20", "99999999999999999999", "9223372036854775807", "-9223372036854775808", "0x7fffffffffffffff")
    ),
    *(
        ("n", number)
        for number in ("9223372036854775806", "9223372036854775808", "4611686018427387904", "9007199254740993", "1e300", "1e308")
    ),
]


# Comparisons equal to `<=` in a column of that type: some values have none below, no integer is just 1e20, no real 2^63 - 1.
SAME = {
    ("d", "'0001-01-01'"): {"="},
    ("at", "'0001-01-01 00:00:00'"): {"="},
    **{(column, "-9223372036854775808"): {"="} for column in "nx"},
    **{("r", number): {"<"} for number in ("9223372036854775807", "0x7fffffffffffffff")},
    **{("n", number): {"<"} for number in ("1e20", "99999999999999999999", "9223372036854775808", "1e300", "1e308")},
    ("n", "-1e20"): {"<", "="},
}


@pytest.mark.parametrize(("column", "literal"), EDGES)
def test_a_literal_at_the_edge_is_judged(column, literal):
    gold = f"SELECT label FROM t WHERE {column} <= {literal}"
    assert sql.compiles(gold, EVENTS).stands
    assert sql.runs(gold, EVENTS).stands
    assert sql.compare(gold, f"SELECT e.label FROM t AS e WHERE NOT e.{column} > {literal} AND e.{column} IS NOT NULL", EVENTS).stands
    for wrong in (f"{column} {sign} {literal}" for sign in {">", "=", "<"} - SAME.get((column, literal), set())):
        verdict = sql.compare(gold, f"SELECT label FROM t WHERE {wrong}", EVENTS)
        assert (verdict.stands, verdict.broken) == (False, False), wrong


@pytest.mark.parametrize(
    "literal", ["1e999", "-1e999", "9" * 400, "9" * 5_000, "0x" + "f" * 16, "0x" + "f" * 40, "x'00ff'", "1e-400", "'" + "9" * 3_000 + "'"]
)
def test_a_literal_beyond_the_edge_costs_no_more_than_its_query(literal):
    task = load_task("text_to_sql")
    query = task.final_answer(f"```sql\nSELECT label FROM t WHERE n <= {literal}\n```", asked("Which?"))
    gold = "SELECT label FROM t WHERE n <= 3"
    if query is not None:
        assert not sql.compare(gold, query, EVENTS).broken
        assert not sql.runs(query, EVENTS).broken
    assert sql.compare(gold, "SELECT label FROM t WHERE NOT n > 3", EVENTS).stands


def test_a_gold_query_that_overflows_on_some_rows_is_judged_on_the_others():
    gold = "SELECT sum(n) FROM t WHERE n >= 9223372036854775806"
    assert sql.compare(gold, "SELECT sum(e.n) FROM t AS e WHERE e.n > 9223372036854775805", EVENTS).stands
    assert not sql.compare(gold, "SELECT count(n) FROM t WHERE n >= 9223372036854775806", EVENTS).stands


# JSON

PEOPLE = Database("CREATE TABLE person (id INTEGER PRIMARY KEY, data TEXT, tags JSON);")


@pytest.mark.parametrize(
    ("gold", "same", "other"),
    [
        (
            "SELECT id FROM person WHERE json_extract(data, '$.age') > 30",
            "SELECT id FROM person WHERE data ->> '$.age' > 30",
            ["data ->> '$.age' >= 30", "data ->> '$.size' > 30", "data ->> '$.age' < 30"],
        ),
        (
            "SELECT id FROM person WHERE json_extract(data, '$.home.city') = 'Rome'",
            "SELECT id FROM person WHERE data -> 'home' ->> 'city' = 'Rome'",
            ["data ->> '$.home.city' <> 'Rome'", "data ->> '$.city' = 'Rome'"],
        ),
        (
            "SELECT id FROM person WHERE json_array_length(tags) >= 2",
            "SELECT p.id FROM person AS p WHERE json_array_length(p.tags) > 1",
            ["json_array_length(tags) > 2", "json_array_length(tags) = 2"],
        ),
        (
            "SELECT id FROM person WHERE json_extract(data, '$.scores[1]') = 5",
            "SELECT id FROM person WHERE data -> 'scores' ->> 1 = 5",
            ["json_extract(data, '$.scores[0]') = 5"],
        ),
    ],
)
def test_json_in_generated_rows_is_what_the_query_looks_for(gold, same, other):
    assert sql.compare(gold, same, PEOPLE).stands
    for condition in other:
        verdict = sql.compare(gold, f"SELECT id FROM person WHERE {condition}", PEOPLE)
        assert (verdict.stands, verdict.broken) == (False, False), condition


def test_a_gold_query_that_finds_no_json_in_generated_rows_is_judged_on_the_databases_own(tmp_path):
    file = tmp_path / "x.sqlite"
    schema = "CREATE TABLE t (id INTEGER, data TEXT);"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(schema)
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(1, 'x{"a": 1}'), (2, 'x{"a": 2}')])
        connection.commit()
    gold = "SELECT id FROM t WHERE json_extract(substr(data, 2), '$.a') = 1"
    assert sql.compare(gold, "SELECT id FROM t WHERE substr(data, 2) ->> 'a' = 1", Database(schema, str(file))).stands
    assert not sql.compare(gold, "SELECT id FROM t WHERE json_extract(substr(data, 2), '$.a') = 2", Database(schema, str(file))).stands
    # Without rows, nothing could distinguish a wrong query from it.
    with pytest.raises(sql.GoldFailed, match="malformed JSON"):
        sql.compare(gold, "SELECT id FROM t WHERE json_extract(substr(data, 2), '$.a') = 2", Database(schema))


# Schemas


@pytest.mark.parametrize("count", [501, 2_000])
def test_a_table_of_many_columns_is_used(tmp_path, count):
    names = [f"column_of_a_wide_table_{number:04}" for number in range(count)]
    schema = f"CREATE TABLE t ({', '.join(f'{name} INTEGER' for name in names)});"
    (tmp_path / "wide.sql").write_text(schema)
    with closing(sqlite3.connect(tmp_path / "wide.sqlite")) as connection:
        connection.execute(schema)
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * count)})", range(count))
        connection.commit()
    gold = f"SELECT {names[-1]} FROM t WHERE {names[0]} < 5"
    for database in (
        Database(sql.schema_of(str(tmp_path / "wide.sql"))),
        Database(sql.schema_of(str(tmp_path / "wide.sqlite")), str(tmp_path / "wide.sqlite")),
    ):
        assert sql.compiles(gold, database).stands
        assert sql.compare(gold, f"SELECT {names[-1]} FROM t WHERE NOT {names[0]} >= 5", database).stands
        assert not sql.compare(gold, f"SELECT {names[-2]} FROM t WHERE {names[0]} < 5", database).stands


def test_more_columns_than_sqlite_takes_are_a_message(tmp_path):
    (tmp_path / "wide.sql").write_text(f"CREATE TABLE t ({', '.join(f'c{number}' for number in range(2_001))});")
    with pytest.raises(sql.BadDatabase, match="SQLite does not take it: too many columns on t"):
        sql.schema_of(str(tmp_path / "wide.sql"))


def test_a_chain_of_two_thousand_foreign_keys_is_followed(tmp_path):
    tables = ["CREATE TABLE t0 (id INTEGER PRIMARY KEY);"]
    tables += [f"CREATE TABLE t{at} (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t{at - 1} (id));" for at in range(2_000, 0, -1)]
    (tmp_path / "chain.sql").write_text("\n".join(tables))
    database = Database(sql.schema_of(str(tmp_path / "chain.sql")))
    gold = "SELECT count(*) FROM t7 JOIN t6 ON t7.up = t6.id"
    assert sql.compiles(gold, database).stands
    assert sql.compare(gold, "SELECT count(*) FROM t7 JOIN t6 ON t6.id = t7.up", database).stands
    assert not sql.compare(gold, "SELECT count(*) FROM t7 JOIN t6 ON t7.id = t6.id", database).stands


def test_a_script_with_a_byte_order_mark_is_read_and_one_with_a_nul_is_a_message(tmp_path):
    (tmp_path / "bom.sql").write_bytes(b"\xef\xbb\xbfCREATE TABLE t (a TEXT);")
    assert sql.schema_of(str(tmp_path / "bom.sql")) == "CREATE TABLE t (a TEXT);"
    for content in (b"CREATE TABLE t (a);\0", b"CREATE TABLE t (a\0b);", "CREATE TABLE t (a);".encode("utf-16-le")):
        (tmp_path / "nul.sql").write_bytes(content)
        sql.schema_of.cache_clear()
        with pytest.raises(sql.BadDatabase, match=r"it holds a NUL character \(character \d+\)"):
            sql.schema_of(str(tmp_path / "nul.sql"))


VIEWED = """CREATE TABLE part (id INTEGER PRIMARY KEY, whole INTEGER, price INTEGER);
CREATE VIEW tree AS WITH RECURSIVE below(id, top) AS (SELECT id, id FROM part WHERE whole IS NULL
  UNION ALL SELECT part.id, below.top FROM part JOIN below ON part.whole = below.id) SELECT id, top FROM below;
CREATE VIEW days AS WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT 2 FROM n LIMIT 3) SELECT count(*) AS days FROM n;"""


def test_a_view_may_make_tables_of_its_own_by_with(tmp_path):
    file = tmp_path / "parts.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(VIEWED)
        connection.executemany("INSERT INTO part VALUES (?, ?, ?)", [(1, None, 5), (2, 1, 6), (3, None, 7)])
        connection.commit()
    for database in (Database(VIEWED), Database(sql.schema_of(str(file)), str(file))):
        for query in ("SELECT id, top FROM tree", "SELECT count(*) FROM tree", "SELECT * FROM days", "SELECT count(*) FROM days"):
            assert sql.compiles(query, database) == sql.Verdict(True, "SQLite takes it")
            assert sql.runs(query, database).stands, sql.runs(query, database).why
    assert not sql.compare("SELECT id FROM tree", "SELECT top FROM tree", Database(VIEWED, str(file))).stands


def test_a_check_that_cannot_be_computed_leaves_rows_out_and_breaks_nothing():
    schema = "CREATE TABLE t (a TEXT CHECK (json_extract(a, '$.b') IS NULL), c INTEGER CHECK (abs(c) >= 0), d AS (json_extract(a, '$.b')));"
    verdict = sql.runs("SELECT count(*) FROM t", Database(schema))
    assert (verdict.stands, verdict.broken) == (True, False), verdict.why


def test_a_view_may_take_json_apart(tmp_path):
    schema = "CREATE TABLE t (a TEXT);\n\nCREATE VIEW v AS SELECT json_extract(a, '$.b') AS b FROM t;"
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection:
        connection.executescript(schema)
        connection.execute("INSERT INTO t VALUES (?)", ('{"b": 3}',))
        connection.commit()
    assert sql.runs("SELECT b FROM v", Database(schema, str(tmp_path / "x.db"))) == sql.Verdict(
        True, "it runs on the database's rows and gives 1 row"
    )


# Work around a query counts against its time too

WIDE = Database("\n".join(f"CREATE TABLE t{table} ({', '.join(f'c{number} TEXT' for number in range(20))});" for table in range(60)))


def test_columns_that_a_query_brings_together_are_linked_within_the_time():
    # Each name is a column of all 60 tables: the two sides are the same 1,200 columns.
    tables = ", ".join(f"t{table}" for table in range(60))
    columns = " || ".join(f"c{number}" for number in range(20))
    query = f"SELECT count(*) FROM {tables} WHERE {columns} = {columns} || ''"
    began = time.process_time(), time.monotonic()
    verdict = sql.compare("SELECT count(*) FROM t1", query, WIDE, Limits(seconds=0.5))
    assert not verdict.stands
    assert time.monotonic() - began[1] < 20  # at most 2 s of processor time, on a machine that may be busy


def test_twenty_joins_without_a_condition_are_read_at_once_and_run():
    query = "SELECT count(*) FROM singer AS s0 " + " ".join(f"JOIN singer AS s{number}" for number in range(1, 21))
    began = time.process_time()
    parsed(query)
    assert time.process_time() - began < 0.5
    assert sql.normal_form(query) == query
    limited = query + " WHERE " + " AND ".join(f"s{number}.id = s{number - 1}.id" for number in range(1, 21))
    assert sql.compare("SELECT count(*) FROM singer", limited, EMPTY).stands


def test_what_is_read_and_made_beside_a_query_counts_against_its_time():
    # SQLite takes about two seconds to create them; the query takes none.
    many = Database("\n".join(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, name TEXT);" for number in range(10_000)))
    began = time.monotonic()
    assert sql.runs("SELECT 1 FROM t1", many, Limits(seconds=0.01)) == sql.Verdict(False, sql.TOO_MUCH)
    assert time.monotonic() - began < 20
    assert sql.runs("SELECT 1", EMPTY).stands


# The clock


@pytest.mark.parametrize(
    ("text", "stopped"),
    [
        ("SELECT date('now')", f"SELECT date('{NOW}')"),
        ("SELECT strftime('%Y', 'NOW') - strftime('%Y', born) FROM t", f"SELECT strftime('%Y', '{NOW}') - strftime('%Y', born) FROM t"),
        ("SELECT date(\"now\", '-1 day'), julianday()", f"SELECT date('{NOW}', '-1 day'), julianday('{NOW}')"),
        ("SELECT strftime('%s')", f"SELECT strftime('%s', '{NOW}')"),
        ("SELECT current_date, CURRENT_TIMESTAMP", f"SELECT '{NOW[:10]}', '{NOW}'"),
        (
            "SELECT x.current_date, 1 AS current_date FROM x WHERE a = 'now'",
            "SELECT x.current_date, 1 AS current_date FROM x WHERE a = 'now'",
        ),
        ("SELECT name FROM singer -- now", "SELECT name FROM singer -- now"),
    ],
)
def test_the_clock_of_a_query_stands_still(text, stopped):
    assert at_one_time(text) == stopped


def test_a_verdict_does_not_change_with_the_clock(tmp_path):
    file = make_shop(tmp_path / "shop.sqlite").file
    gold, same = "SELECT name, strftime('%f', 'now') FROM singer", "SELECT s.name, strftime('%f', 'now') FROM singer AS s"
    sql.runs(gold, EMPTY)
    time.sleep(0.01)
    assert sql.compare(gold, same, Database(EMPTY.schema, file)).stands
    events = "SELECT label FROM t WHERE d < date('now')"
    assert not sql.compare(events, "SELECT label FROM t WHERE d > date('now')", EVENTS).stands
    assert not sql.compare(events, "SELECT label FROM t WHERE d <= date('now')", EVENTS).stands


# A bug in our code


def test_a_broken_worker_costs_the_candidate_and_is_said_to_be_ours(monkeypatch, tmp_path):
    monkeypatch.setattr(sql, "ask", lambda request, *, seconds: {"broken": "'OverflowError: too large'"})
    sql.schema_of.cache_clear()
    for verdict in (sql.runs("SELECT 71", EMPTY), sql.compiles("SELECT 71", EMPTY)):
        assert (verdict.stands, verdict.broken) == (False, True)
        assert "please report this" in verdict.why
    with pytest.raises(sql.GoldFailed, match="please report this"):
        sql.compare("SELECT 71", "SELECT 72", EMPTY)
    assert sql.normal_form("SELECT 'never asked before'") is None
    with pytest.raises(sql.BadDatabase, match="please report this"):
        sql.schema_of(make_shop(tmp_path / "shop.sqlite").file)
    assert load_task("text_to_sql").equivalent("SELECT 73", "SELECT 74", asked("Which?")) is False
