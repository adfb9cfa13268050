"""Whole runs of text to SQL: the prompts, verification by execution, and that a teacher's text does no harm and leaves no trace."""

from __future__ import annotations

import itertools
import json
import re
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from axolotl_synthetic.config import load_settings
from axolotl_synthetic.run import prepare

from fake_replies import purpose_of, request_key
from fake_server import FakeServer
from projects import Project, until
from shop import SCHEMA, make_shop, trap

AGES = (21, 24, 27, 33, 36, 39)
BOMB = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


def seed(age: int) -> dict[str, str]:
    return {"ask": f"Which singers are older than {age}?", "sql": f"select name from singer where age  >  {age}", "db": "shop"}


def teacher(body: dict[str, Any], key: int | None = None) -> str:
    """Answer ages below 30 correctly, 33 with `>=`, 36 with an attack, and 39 with a query that never ends."""
    key = request_key(body) if key is None else key
    last = str(body["messages"][-1]["content"])
    age = int((re.findall(r"older than (\d+)", last) or ["0"])[-1])
    match purpose_of(body):
        case "self_check":
            return "The tables hold it.\nYes"
        case "rephrase":
            return f"Name every singer whose age in years is older than {age}, of sheet {'abcdefgh'[key % 8]}."
        case "new_question":
            return f"How many stadiums hold more than {100 + key % 10_000} people?"
    if people := re.findall(r"more than (\d+) people", last):
        query = f"SELECT count(*) FROM {'stadium' if int(people[-1]) % 2 else 'arena'} WHERE capacity > {people[-1]}"
    elif age < 30:
        query = f"SELECT T1.name FROM singer AS T1 WHERE NOT T1.age <= {age} -- {key}"
    else:
        query = {33: "SELECT name FROM singer WHERE age >= 33", 36: "SELECT load_extension(name) FROM singer", 39: BOMB}[age]
    return f"It takes the table by its name, sheet {key % 10_000}.\n```sql\n{query}\n```"


def project_of(folder: Path, server: FakeServer, kind: str = "sqlite", **block: Any) -> Project:
    project = Project(folder, seeds=0)
    (folder / "seeds.jsonl").write_text("".join(json.dumps(seed(age)) + "\n" for age in AGES))
    (folder / "dbs").mkdir()
    if kind == "sqlite":
        make_shop(folder / "dbs" / "shop.sqlite")
    elif kind == "sql":
        (folder / "dbs" / "shop.sql").write_text(SCHEMA)
    fields = {"question": "ask", "answer": "sql", "database": "db"}
    defaults = {
        "task": "text_to_sql",
        "seeds": {"path": "seeds.jsonl", "fields": fields, "databases": f"dbs/{{database}}.{kind}"},
        "verify": ["self_check", "rephrase_fidelity", "format", {"execution": {"seconds": 0.2}}, "final_answer", "duplicate"],
    }
    project.configure(server, **{**defaults, **block})
    return project


def by_strategy(project: Project, strategy: str) -> list[dict[str, Any]]:
    """Return the judged candidates; the budget's end may have cut some off."""
    found = [row for row in project.samples if row["strategy"] == strategy and row["status"] != "failed"]
    assert found
    return found


def test_samples_of_every_strategy_are_verified_by_running_them(tmp_path):
    with FakeServer(teacher, vary_repeats=True) as server:
        shares = {"answer_augmentation": 0.34, "question_rephrase": 0.33, "new_question": 0.33}
        project = project_of(tmp_path / "project", server, strategy=shares, budget={"samples": 1_000, "queries": 72})
        shop = (project.folder / "dbs" / "shop.sqlite").read_bytes()
        done = project.run()
        assert done.code == 0, done.err
        rows = project.samples
        assert {row["strategy"] for row in rows} == set(shares)
        for row in by_strategy(project, "answer_augmentation") + by_strategy(project, "question_rephrase"):
            age = int(re.findall(r"older than (\d+)", row["question"])[0])
            assert (row["status"], row["reason"]) == (("accepted", None) if age < 30 else ("rejected", "execution"))
            assert row["question"].endswith(seed(age)["ask"]) is (row["strategy"] == "answer_augmentation")
        for row in by_strategy(project, "new_question"):
            people = int(re.findall(r"(\d+) people", row["question"])[0])
            # `arena` is not a table of the seed's database.
            assert (row["status"], row["reason"]) == (("accepted", None) if people % 2 else ("rejected", "execution"))
        said = {check["detail"] for row in rows for check in row["checks"] if check["name"] == "execution" and check["passed"] is False}
        assert any("calls the function load_extension" in one for one in said)
        assert any("longer than 0.2 s" in one for one in said)
        assert any("no such table: arena" in one for one in said)
        # Teacher, augmenter and student all read the schema.
        asked = [str(message["content"]) for call in server.calls for message in call.body["messages"]]
        assert sum("CREATE TABLE stadium" in one for one in asked) > len(server.calls) / 2
        training = [json.loads(line)["messages"] for line in project.training_bytes.decode().splitlines()]
        assert all("CREATE TABLE singer" in user["content"] and "```sql\n" in answer["content"] for user, answer in training)
        # Running queries wrote nothing, nothing is left, and a rerun pays nothing and gives the same bytes.
        assert {path.name for path in project.folder.iterdir()} == {"seeds.jsonl", "config.yml", "dbs", "out"}
        assert (project.folder / "dbs" / "shop.sqlite").read_bytes() == shop
        assert [path.name for path in (project.folder / "dbs").iterdir()] == ["shop.sqlite"]
        assert project.ends()
        before, calls = project.training_bytes, server.count
        project.forget_all_but_the_ledger()
        assert project.run().code == 0
        assert (project.training_bytes, server.count) == (before, calls)


def test_tables_without_rows_are_filled_with_generated_ones_and_held_out_questions_are_graded_by_execution(tmp_path):
    with FakeServer(teacher) as server:
        project = project_of(tmp_path / "project", server, "sql", budget={"samples": 3})
        config = (project.folder / "config.yml").read_text().replace("seeds:\n", "seeds:\n    holdout: 1\n", 1)
        (project.folder / "config.yml").write_text(config)
        done = project.run()
        assert done.code == 0, done.err
        assert project.manifest["seeds"]["held_out"] == 1
        details = [
            check["detail"] for row in project.samples for check in row["checks"] if check["name"] == "execution" and check["passed"]
        ]
        assert details
        assert all(re.fullmatch(r"it gives what the seed's query gives on \d+ generated fillings", detail) for detail in details)
        assert (project.out / "lm_eval" / "synthetic_heldout.yaml").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda folder: (folder / "dbs" / "shop.sqlite").unlink(),
            "synthetic.seeds.databases: seeds.jsonl:1: there is no database dbs/shop",
        ),
        (lambda folder: (folder / "dbs" / "shop.sqlite").write_text("x"), "the database dbs/shop.sqlite cannot be used: it is no SQLite"),
    ],
)
def test_a_database_that_is_missing_or_none_is_named_with_its_seed_before_the_first_call(tmp_path, change, said):
    with FakeServer(teacher) as server:
        project = project_of(tmp_path / "project", server)
        change(project.folder)
        done = project.run("plan")
        assert (done.code, server.count) == (2, 0)
        assert said in done.err and "Traceback" not in done.err


def everything(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return all files below a folder: their sizes, modification times and contents."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: (path.stat().st_size, path.stat().st_mtime_ns, path.read_bytes()) for name, path in found.items()}


@pytest.mark.parametrize("command", ["plan", "generate"])
@pytest.mark.parametrize(
    "behind", ["ATTACH '{folder}/made.db' AS x", "VACUUM INTO '{folder}/copy.db'", "ATTACH '{folder}/trap.db' AS x", BOMB]
)
def test_what_somebody_wrote_into_a_database_is_not_run_and_costs_the_user_no_file(tmp_path, command, behind):
    with FakeServer(teacher) as server:
        project = project_of(tmp_path / "project", server)
        (tmp_path / "thesis.txt").write_text("mine")
        trap(tmp_path / "trap.db", tmp_path / "thesis.txt")
        text = "CREATE TABLE singer (id INTEGER PRIMARY KEY, name, country, age); " + behind.format(folder=tmp_path)
        with closing(sqlite3.connect(project.folder / "dbs" / "shop.sqlite")) as database:
            database.execute("PRAGMA writable_schema = 1")
            database.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'singer'", (text,))
            database.commit()
        before = everything(tmp_path)
        done = project.run(command)
        assert (done.code, server.count) == (2, 0)
        assert "the database dbs/shop.sqlite cannot be used: 'CREATE TABLE singer" in done.err
        assert "has another statement behind it" in done.err and "Traceback" not in done.err
        now = everything(tmp_path)
        assert {name: there for name, there in now.items() if not name.startswith("project/out")} == before


def test_a_journal_beside_a_database_costs_the_user_no_file(tmp_path):
    with FakeServer(teacher) as server:
        project = project_of(tmp_path / "project", server, "none", seeds={
            "path": "seeds.jsonl",
            "fields": {"question": "ask", "answer": "sql", "database": "db"},
            "databases": "dbs/{database}.sqlite",
        })  # fmt: skip
        (tmp_path / "thesis.txt").write_text("mine")
        trap(project.folder / "dbs" / "shop.sqlite", tmp_path / "thesis.txt")
        before = everything(tmp_path)
        done = project.run("plan")
        assert (done.code, server.count) == (2, 0)
        assert "the database dbs/shop.sqlite cannot be used: shop.sqlite-journal beside it belongs to a change" in done.err
        assert everything(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x" * 300, None, "seeds.jsonl:1: there can be no database 'dbs/xxx"),
        (
            "shop",
            b"CREATE TABLE singer (name, age);\0",
            "the database dbs/shop.sql cannot be used: it holds a NUL character (character 33)",
        ),
        ("shop", b"CREATE VIRTUAL TABLE singer USING fts5(name, age);", "is no CREATE TABLE statement"),
    ],
)
def test_a_database_that_cannot_be_is_a_message_before_the_first_call(tmp_path, name, content, said):
    with FakeServer(teacher) as server:
        project = project_of(tmp_path / "project", server, "sql")
        (project.folder / "seeds.jsonl").write_text("".join(json.dumps({**seed(age), "db": name}) + "\n" for age in AGES))
        if content is not None:
            (project.folder / "dbs" / "shop.sql").write_bytes(content)
        done = project.run("plan")
        assert (done.code, server.count) == (2, 0)
        assert said in done.err and "Traceback" not in done.err


def test_values_at_the_edge_of_dates_and_integers_are_judged_in_seeds_and_in_answers(tmp_path):
    edges = ("age 9223372036854775807", "age 0x7fffffffffffffff", "name '9999-12-31'", "country '0001-01-01'")

    def reply(body: dict[str, Any], key: int | None = None) -> str:
        """Answer every other call correctly; otherwise include the boundary value."""
        key = request_key(body) if key is None else key
        [[column, edge]] = re.findall(r"below (\w+) (\S+)\?", str(body["messages"][-1]["content"]))
        condition = f"NOT {column} >= {edge}" if key % 2 else f"{column} <= {edge}"
        return f"Sheet {key % 10_000}.\n```sql\nSELECT name FROM singer WHERE {condition}\n```"

    with FakeServer(reply, vary_repeats=True) as server:
        project = project_of(tmp_path / "project", server, budget={"samples": 1_000, "queries": 48}, strategy="answer_augmentation")
        rows = [
            {"ask": f"Who is below {edge}?", "sql": f"SELECT name FROM singer WHERE {edge.replace(' ', ' < ')}", "db": "shop"}
            for edge in edges
        ]
        (project.folder / "seeds.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        done = project.run()
        assert done.code == 0, done.err
        judged = by_strategy(project, "answer_augmentation")
        assert not [row for row in project.samples if row["status"] == "failed"]
        for edge in edges:
            said = {("NOT" in row["answer"], row["status"] == "accepted") for row in judged if edge.split()[1] in row["answer"]}
            assert said == {(True, True), (False, False)}, edge


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_no_process_is_left_by_a_run_that_is_ended_in_the_middle_of_a_query(tmp_path, number):
    calls = itertools.count()

    def reply(body: dict[str, Any], key: int | None = None) -> str:
        """Reply first with a query that never ends, then with harmless ones."""
        return f"```sql\n{f'SELECT name FROM singer LIMIT {call}' if (call := next(calls)) else BOMB}\n```"

    with FakeServer(reply, latency=0.2) as server:
        verify = ["format", {"execution": {"seconds": 2 if number == signal.SIGINT else 60}}]
        seeds = {"path": "seeds.jsonl", "fields": {"question": "ask", "database": "db"}, "databases": "dbs/{database}.sqlite"}
        project = project_of(tmp_path / "project", server, verify=verify, seeds=seeds, budget={"samples": 5_000})
        running = project.start()
        at_work: list[psutil.Process] = []
        assert until(lambda: at_work.extend(busy(project)) or at_work)
        running.signal(number)
        done = running.wait()
        assert done.code == (130 if number == signal.SIGINT else -signal.SIGKILL), done.err
        assert project.ends(), project.processes()
        # The worker's environment lacks the mark by which the project finds its processes.
        assert psutil.wait_procs(at_work, 10)[1] == []


def busy(project: Project) -> list[psutil.Process]:
    """Return the workers in which a query has been running for some time."""
    found = []
    for pid, _ in project.processes():
        with suppress(psutil.Error):
            found += [child for child in psutil.Process(pid).children() if "sql.worker" in " ".join(child.cmdline())]
    return [one for one in found if one.cpu_times().user > 1]


def test_rows_that_changed_make_a_finished_run_be_made_anew(tmp_path, monkeypatch):
    with FakeServer(teacher) as server:
        project = project_of(tmp_path / "project", server)
    monkeypatch.chdir(project.folder)
    settings = load_settings(yaml.safe_load((project.folder / "config.yml").read_text())["synthetic"])
    before = prepare(settings).fingerprint
    assert prepare(settings).fingerprint == before
    with closing(sqlite3.connect("dbs/shop.sqlite")) as database, database:
        database.execute("INSERT INTO singer VALUES (9, 'Eve', 'Chile', 50)")
    assert prepare(settings).fingerprint != before
