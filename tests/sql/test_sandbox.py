"""Hostile queries: none passes, none hangs, none leaves a trace; and the process that runs them is ready for the next."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from axolotl_synthetic import sql
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.sql import Limits, sandbox
from axolotl_synthetic.sql.reader import Clock, QueryFailed, Reader

from shop import EMPTY, SCHEMA, make_shop

# A short time limit, so that hanging queries cost the tests little.
SHORT = Limits(seconds=0.2, rows=10_000, result_bytes=1_000_000)
COUNT_FOR_EVER = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)"

# `{folder}` contains the database; new files in it are detected afterwards.
STATEMENTS = [
    "ATTACH DATABASE '{folder}/stolen.db' AS stolen",
    "DETACH DATABASE main",
    "PRAGMA query_only = 0",
    "PRAGMA writable_schema = 1",
    "PRAGMA journal_mode = WAL",
    "VACUUM",
    "VACUUM INTO '{folder}/copy.db'",
    "CREATE TABLE evil (x)",
    "CREATE TEMP TABLE evil AS SELECT * FROM singer",
    "CREATE VIEW evil AS SELECT 1",
    "CREATE TRIGGER evil AFTER INSERT ON singer BEGIN DELETE FROM singer; END",
    "CREATE VIRTUAL TABLE evil USING fts5(x)",
    "DROP TABLE singer",
    "DELETE FROM singer",
    "UPDATE singer SET name = 'x'",
    "INSERT INTO singer (name) VALUES ('x')",
    "INSERT INTO singer (name) VALUES ('x') RETURNING name",
    "REPLACE INTO singer (id, name) VALUES (1, 'x')",
    "ALTER TABLE singer RENAME TO gone",
    "REINDEX",
    "ANALYZE",
    "BEGIN EXCLUSIVE",
    "SAVEPOINT evil",
    "EXPLAIN SELECT 1",
    "VALUES (1)",
    ".shell touch {folder}/shell",
    "SELECT 1; DROP TABLE singer",
    "SELECT 1; ATTACH '{folder}/stolen.db' AS stolen; SELECT 2",
    "WITH x AS (SELECT 1) DELETE FROM singer",
    "WITH x AS (SELECT 1) INSERT INTO singer (name) SELECT 'x' FROM x",
    "-- only a comment",
    "",
]
CALLS = [
    "SELECT load_extension('{folder}/evil.so')",
    "SELECT readfile('{folder}/shop.sqlite')",
    "SELECT writefile('{folder}/out', 'x')",
    "SELECT edit('x', 'touch {folder}/edited')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT fts3_tokenizer('evil', x'4141414141414141')",
    "SELECT sqlite_compileoption_get(1)",
    "SELECT sqlite_source_id()",
    "SELECT last_insert_rowid()",
    "SELECT name FROM singer ORDER BY random()",
    "SELECT name FROM singer WHERE 'a' REGEXP 'a'",
]
TABLES = [
    "SELECT * FROM sqlite_master",
    "SELECT * FROM sqlite_schema",
    "SELECT * FROM sqlite_temp_master",
    "WITH sqlite_master AS (SELECT 1) SELECT * FROM main.sqlite_master",
    "WITH RECURSIVE pragma_database_list AS (SELECT 1) SELECT * FROM main.pragma_database_list",
    "SELECT file FROM pragma_database_list",
    "SELECT * FROM pragma_table_info('singer')",
    "SELECT * FROM pragma_query_only(0)",
    "SELECT * FROM dbstat",
    "SELECT * FROM sqlite_stmt",
    "SELECT * FROM fts3tokenize('simple', 'a b')",
    "SELECT value FROM json_each('[1, 2]')",
    "SELECT * FROM no_such_table",
]
BOMBS = [
    COUNT_FOR_EVER + " SELECT count(*) FROM c",
    COUNT_FOR_EVER + " SELECT x FROM c",
    COUNT_FOR_EVER + " SELECT a.x FROM c AS a, c AS b ORDER BY 1",
    "WITH RECURSIVE c(x) AS (SELECT 'a' UNION ALL SELECT x || x FROM c) SELECT length(x) FROM c",
    "WITH RECURSIVE c(x, n) AS (SELECT zeroblob(4000000), 1 UNION ALL SELECT zeroblob(4000000), n + 1 FROM c)"
    " SELECT * FROM c ORDER BY n DESC",
    "SELECT count(*) FROM " + ", ".join(f"singer AS s{n}" for n in range(20)),
    "WITH a AS (SELECT 1 AS x UNION ALL SELECT 1), b AS (SELECT a.x FROM a, a AS a2, a AS a3, a AS a4), c AS (SELECT b.x FROM b, b AS b2,"
    " b AS b3, b AS b4) SELECT count(*) FROM c, c AS c2, c AS c3",
    "SELECT a.name FROM singer AS a, singer AS b, singer AS c, singer AS d, singer AS e, singer AS f, singer AS g, singer AS h",
    "SELECT randomblob(1000000000)",
    "SELECT zeroblob(1000000000)",
    "SELECT hex(zeroblob(1000000000))",
    # A single step of SQLite that takes seconds: SQLite's own clock is not checked meanwhile, so the kernel ends it.
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT quote(zeroblob(600000000))",
    "SELECT replace(hex(zeroblob(2000000)), '0', 'aaaaaaaa')",
    "SELECT group_concat(hex(zeroblob(1000000))) FROM singer AS a, singer AS b",
    "SELECT json_extract('" + "[" * 900 + "]" * 900 + "', '$[0]'), " + "(" * 600 + "1" + ")" * 600,
    "SELECT " + "(" * 4_000 + "1" + ")" * 4_000,
    "SELECT " + "+".join("1" * 2_500),
    " UNION ALL ".join(["SELECT 1"] * 400),
    "SELECT '" + "x" * 1_000_000 + "'",
    "SELECT 1\0; DROP TABLE singer",
    "SELECT name FROM singer WHERE id = ?",
    "SELECT name FROM singer WHERE name = '\ud800'",
    "SELECT name FROM singer LIMIT 99999999999999999999999999",
]
HOSTILE = STATEMENTS + CALLS + TABLES + BOMBS


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    return make_shop(tmp_path_factory.mktemp("database") / "shop.sqlite")


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*")}


def test_there_are_sixty_of_them():
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("query", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_query_does_not_stand_does_not_hang_and_leaves_nothing_behind(shop, query):
    folder = Path(shop.file).parent
    before, root = files(folder), set(os.listdir("/"))
    query = query.replace("{folder}", str(folder))
    began = time.monotonic()
    verdicts = [sql.runs(query, EMPTY, SHORT), sql.compare("SELECT name FROM singer", query, shop, SHORT)]
    # Twice its processor time and the kernel's grace period, on a machine that may be busy.
    assert time.monotonic() - began < 40
    assert [verdict.stands for verdict in verdicts] == [False] * 2
    assert all(verdict.why for verdict in verdicts)
    assert files(folder) == before
    assert set(os.listdir("/")) == root
    # The next query still works.
    assert sql.compare("SELECT count(*) FROM singer", "SELECT count(id) FROM singer", shop).stands


@pytest.mark.parametrize("query", STATEMENTS[:24] + CALLS + TABLES)
def test_the_connection_alone_refuses_what_the_parser_would_have_stopped(shop, query):
    folder = Path(shop.file).parent
    before = files(folder)
    with Reader(frozenset(("singer", "stadium", "concert")), frozenset(), Clock(1), rows=10, result_bytes=1_000) as reader:
        try:
            result = reader.of_file(shop.file, query.replace("{folder}", str(folder)))
        except QueryFailed:
            result = None
    # The parser must refuse EXPLAIN and no-ops like VACUUM; here only reads and writes count.
    assert result is None or query == "EXPLAIN SELECT 1"
    assert files(folder) == before


def test_a_file_is_opened_so_that_nothing_can_be_written_even_without_the_authorizer(shop):
    with Reader(frozenset(("singer",)), frozenset(), Clock(1), rows=10, result_bytes=1_000) as reader:
        reader._ours = True  # as if the authorizer allowed everything
        for query in ("DELETE FROM singer", "CREATE TABLE evil (x)"):
            with pytest.raises(QueryFailed, match="readonly"):
                reader.of_file(shop.file, query)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT load_extension('x')", "it calls the function load_extension; a query may only read"),
        ("SELECT * FROM sqlite_master", "it reads sqlite_master, which is no table of the database; a query may only read"),
        ("SELECT nam FROM singer", "SQLite says: no such column: nam"),
        ("SELECT name FROM singers", "SQLite says: no such table: singers"),
        ("SELECT name FROM singer WHERE", "sqlglot cannot read it as SQLite's"),
        ("SELECT 1; SELECT 2", "2 statements, where one SELECT is asked for"),
        ("DROP TABLE singer", "a statement of the kind DROP, where a SELECT is asked for"),
        (COUNT_FOR_EVER + " SELECT count(*) FROM c", "it takes longer than 0.2 s"),
        (COUNT_FOR_EVER + " SELECT x FROM c", "its result has more than 10,000 rows"),
        (COUNT_FOR_EVER + " SELECT hex(zeroblob(1000)) FROM c LIMIT 9000", "its result has more than 1,000,000 bytes"),
        ("SELECT hex(zeroblob(1000000000))", "SQLite says: string or blob too big"),
        ("SELECT printf('%.*c', 1000000000, 'x')", "it takes more time or memory than a query may have"),
    ],
)
def test_the_reason_says_what_was_refused(shop, query, why):
    assert why in sql.runs(query, shop, SHORT).why


@pytest.mark.parametrize(
    "query",
    [
        "SELECT name FROM singer",
        "WITH older AS (SELECT * FROM singer WHERE age > 30) SELECT count(*) FROM older",
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT x FROM n",
        "SELECT s.name, row_number() OVER (ORDER BY age) FROM singer AS s",
        "SELECT strftime('%Y', '2014-05-06'), upper(name) || 'x', CAST(age AS REAL), iif(age > 3, 1, 0) FROM singer",
        "SELECT json_extract('[1, 2]', '$[1]')",
        'SELECT name FROM singer WHERE country = "France"',
        "SELECT name FROM singer WHERE name GLOB 'A*' OR name LIKE 'b%' UNION SELECT name FROM stadium ORDER BY 1 LIMIT 3",
    ],
)
def test_what_only_reads_runs(shop, query):
    assert sql.runs(query, shop) == sql.Verdict(True, sql.runs(query, shop).why)
    assert sql.runs(query, EMPTY).stands


def test_a_limit_holds_for_all_places_of_a_query_together():
    # Millions of rows to count on each of ten fillings: 0.4 s in total on a fast machine, but below the limit on each filling.
    slow = "SELECT count(*) FROM " + ", ".join(f"singer AS s{n}" for n in range(6))
    assert sql.compare(slow, slow, EMPTY).stands
    assert "takes longer than 0.15 s" in sql.compare(slow, slow.replace("count(*)", "count(1)"), EMPTY, Limits(seconds=0.15)).why


def test_the_seeds_query_is_named_when_it_is_the_one_that_does_not_run(shop):
    with pytest.raises(sql.GoldFailed, match="no such column: nope"):
        sql.compare("SELECT nope FROM singer", "SELECT name FROM singer", shop)
    # It kills the worker.
    bomb = "SELECT printf('%.*c', 1000000000, 'x')"
    with pytest.raises(sql.GoldFailed, match="more time or memory"):
        sql.compare(bomb, "SELECT name FROM singer", shop, SHORT)


def test_a_database_in_the_middle_of_a_change_is_not_read_as_if_it_were_whole(tmp_path):
    make_shop(tmp_path / "shop.sqlite")
    open_elsewhere = sqlite3.connect(tmp_path / "shop.sqlite")
    open_elsewhere.execute("PRAGMA journal_mode = WAL")
    open_elsewhere.execute("INSERT INTO singer (name) VALUES ('Eva')")
    open_elsewhere.commit()
    with pytest.raises(sql.BadDatabase, match=r"shop\.sqlite-wal beside it holds changes"):
        sql.schema_of(str(tmp_path / "shop.sqlite"))
    open_elsewhere.close()


# The process


def test_it_works_in_a_thread_and_in_a_fork():
    found: list[str | None] = []
    thread = threading.Thread(target=lambda: found.append(sql.normal_form("select 11")))
    thread.start()
    thread.join()
    assert found == ["SELECT 11"]
    pid = os.fork()
    if pid == 0:
        os._exit(0 if sql.normal_form("select 12") == "SELECT 12" else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert sql.normal_form("select 13") == "SELECT 13"


def test_a_worker_that_died_is_started_again():
    assert sql.normal_form("select 21") == "SELECT 21"
    sandbox._worker.running.kill()
    sandbox._worker.running.wait()
    assert sql.normal_form("select 22") == "SELECT 22"


def test_a_worker_that_neither_works_nor_answers_is_ended_by_the_clock(monkeypatch):
    assert sql.normal_form("select 31") == "SELECT 31"
    stopped = sandbox._worker.running
    stopped.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(sandbox, "PATIENCE", 0.1)
    assert not sql.runs("SELECT 32", EMPTY).stands
    monkeypatch.undo()
    assert stopped.poll() is not None
    assert sql.runs("SELECT 32", EMPTY).stands


def test_it_dies_with_whoever_started_it():
    program = """
import time
from axolotl_synthetic.sql import normal_form, sandbox
normal_form("select 1")
print(sandbox._worker.running.pid, flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment)
    worker = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    worker.wait(10)


def test_it_is_given_no_key_and_may_write_no_byte(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    sandbox._worker.stop()
    assert sql.normal_form("select 41") == "SELECT 41"
    worker = psutil.Process(sandbox._worker.running.pid)
    assert "OPENAI_API_KEY" not in worker.environ()
    assert worker.rlimit(psutil.RLIMIT_FSIZE) == (0, 0)
    assert worker.rlimit(psutil.RLIMIT_AS)[1] <= 2 * 2**30


def test_a_worker_that_does_not_start_is_no_wrong_query(monkeypatch):
    sandbox._worker.stop()
    monkeypatch.setattr(sandbox, "MODULE", "axolotl_synthetic.sql.no_such_module")
    with pytest.raises(ServiceError, match="does not start; see what"):
        sql.runs("SELECT 51", EMPTY)
    monkeypatch.undo()
    assert sql.runs("SELECT 51", EMPTY).stands


def test_a_mistake_of_ours_is_no_wrong_query():
    with pytest.raises(sql.WorkerBroke, match="please report this"):
        sql._ask("no_such_request", sql.LIMITS)
    assert sql.runs("SELECT 61", EMPTY).stands


def test_a_schema_that_sqlite_does_not_take_is_said_to_be_one():
    assert "SQLite does not take it" in sql.runs("SELECT 1", sql.Database("CREATE TABLE x (")).why
    assert sql.runs("SELECT 1", sql.Database(SCHEMA)).stands
