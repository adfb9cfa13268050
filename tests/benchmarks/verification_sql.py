"""Verification of text to SQL on Spider's own queries, run by hand.

Each query must agree with its rewrites, changed ones must be refused; also its speed.

    python tests/benchmarks/verification_sql.py --spider FOLDER [--sample 100] [--looks 160] [--accepted accepted.jsonl]

FOLDER has `questions.jsonl` (`db_id`, `question`, `query`) and `tables.json`, Spider's schemas. No database has rows, so every verdict is
on generated ones. A changed query that passes is run on many more fillings, half of them made here by another, simpler generator. If one
distinguishes it from the gold query, it was missed; otherwise it counts as equivalent. `--accepted` writes both kinds to a file.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from sql_mutants import Columns, mutants, rewrites, tree_of
from sqlglot import exp

from axolotl_synthetic.checks import load_checks
from axolotl_synthetic.records import ANSWER_AUGMENTATION, Candidate, Question, Seed
from axolotl_synthetic.sql import Database, GoldFailed, compare, runs, sandbox
from axolotl_synthetic.sql.agreement import normalised
from axolotl_synthetic.sql.comparison import Comparison
from axolotl_synthetic.sql.filling import Rows
from axolotl_synthetic.sql.hints import Hints, hints_of
from axolotl_synthetic.sql.images import image_of, rearranged
from axolotl_synthetic.sql.profiles import Profile, counts_met
from axolotl_synthetic.sql.queries import order_matters, parsed
from axolotl_synthetic.sql.reader import Clock, QueryFailed, Reader, Result
from axolotl_synthetic.sql.schema import Schema, Table, quoted, read_schema
from axolotl_synthetic.sql.suites import Suite
from axolotl_synthetic.tasks import load_task

GOAL_REFUSED, GOAL_RATE = 0.95, 300.0
TYPES = {"number": "NUMERIC", "text": "TEXT", "time": "DATETIME", "boolean": "BOOLEAN", "others": "TEXT"}
failures: list[str] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spider", type=Path, required=True)
    parser.add_argument("--sample", type=int, help="so many of the gold queries are changed, drawn; default: all")
    parser.add_argument("--looks", type=int, default=160, help="fillings that an accepted change is put to")
    parser.add_argument("--accepted", type=Path)
    parser.add_argument("--only", choices=("itself", "changed", "rate"))
    given = parser.parse_args()
    schemas = {one["db_id"]: create_tables(one) for one in json.loads((given.spider / "tables.json").read_text())}
    lines = (given.spider / "questions.jsonl").read_text().splitlines()
    questions = [(row["db_id"], row["question"], row["query"]) for row in map(json.loads, lines)]
    golds = list(dict.fromkeys((db, query) for db, _, query in questions))
    if given.only in (None, "itself"):
        itself(questions, golds, schemas)
    if given.only in (None, "changed"):
        some = random.Random(5).sample(golds, given.sample) if given.sample else golds
        changed(some, schemas, given.looks, given.accepted)
    if given.only in (None, "rate"):
        rate(questions, schemas)
    for failure in failures:
        print(f"NOT REACHED: {failure}")
    return 1 if failures else 0


def itself(questions: Sequence[tuple[str, str, str]], golds: Sequence[tuple[str, str]], schemas: dict[str, str]) -> None:
    stand = sum(stands(query, query, schemas[db]) for db, _, query in questions)
    print(f"{len(questions)} questions, {len(golds)} different queries, {len(schemas)} databases")
    reach("gold queries that agree with themselves", stand / len(questions), 1)
    tried: Counter[str] = Counter()
    against: list[str] = []
    for db, query in golds:
        for kind, text in rewrites(query, random.Random(query)).items():
            tried[kind] += 1
            if not stands(query, text, schemas[db]):
                against.append(f"{kind}: {query} -> {text}: {compare(query, text, Database(schemas[db])).why}")
    print("  rewritten: " + ", ".join(f"{kind} {count}" for kind, count in tried.items()))
    print("".join(f"  {one}\n" for one in against), end="")
    reach("rewritten queries that agree", 1 - len(against) / tried.total(), 1)


def changed(golds: Sequence[tuple[str, str]], schemas: dict[str, str], looks: int, accepted: Path | None) -> None:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    rows: list[dict[str, Any]] = []
    rng = random.Random(1)
    began = time.perf_counter()
    for db, gold in golds:
        schema = read_schema(schemas[db])
        columns: Columns = {table.name.lower(): [column.name for column in table.columns] for table in schema.tables}
        for text, kind in mutants(gold, columns, rng).items():
            if stands(gold, text, schemas[db]):
                rows.append({"database": db, "kind": kind, "gold": gold, "changed": text})
            elif runs(text, Database(schemas[db])).stands:
                counts[kind]["refused"] += 1
            else:
                counts[kind]["does not run"] += 1
    seconds = time.perf_counter() - began
    for row in rows:
        row["told apart"] = told_apart(read_schema(schemas[row["database"]]), row["gold"], row["changed"], looks)
        counts[row["kind"]]["equivalent" if row["told apart"] is None else "missed"] += 1
    if accepted is not None:
        accepted.write_text("".join(json.dumps(row) + "\n" for row in rows))
    total: Counter[str] = sum(counts.values(), Counter())
    print(f"{total.total():,} queries with one change, judged in {seconds:.0f} s; {len(rows)} accepted, each put to {looks} more fillings")
    for kind, found in [*sorted(counts.items()), ("all", total)]:
        told = found["refused"] + found["missed"]
        share = found["refused"] / told if told else 1.0
        print(
            f"  {kind:18} refused {found['refused']:5,} missed {found['missed']:3} ({share:.2%}); {found['equivalent']} equivalent", end=""
        )
        print(f"; {found['does not run']} more do not run")
    reach("changed queries, not equivalent, refused", total["refused"] / (total["refused"] + total["missed"]), GOAL_REFUSED)


def rate(questions: Sequence[tuple[str, str, str]], schemas: dict[str, str]) -> None:
    """Measure whole verdicts, from the answer's text to `execution` and `final_answer`, on reworded right and wrong answers in turn.

    Each question has 8 answers; no two texts are the same.
    """
    task = load_task("text_to_sql")
    checks = load_checks(["execution", "final_answer"], task, {ANSWER_AUGMENTATION: True})
    jobs = []
    for at, (db, question, query) in enumerate(questions):
        seed = Seed(str(at), Question(question, context=schemas[db], database=db), query)
        schema = read_schema(schemas[db])
        columns: Columns = {table.name.lower(): [column.name for column in table.columns] for table in schema.tables}
        rng = random.Random(at)
        wrong = list(mutants(query, columns, rng))
        right = list(rewrites(query, rng).values())
        for number in range(8):
            text = (rng.choice(wrong) if number % 2 and wrong else rng.choice(right)) + " -- " + "I" * number
            jobs.append((seed, f"The tables hold it.\n```sql\n{text}\n```"))
    passed = 0
    task.final_answer("```sql\nSELECT 1\n```", jobs[0][0].question)  # starts the worker
    worker = psutil.Process(sandbox._worker.running.pid)  # type: ignore[union-attr]
    used = time.process_time() + worker.cpu_times().user + worker.cpu_times().system
    began = time.perf_counter()
    for seed, answer in jobs:
        final = task.final_answer(answer, seed.question)
        candidate = Candidate(0, "x", ANSWER_AUGMENTATION, seed.id, question=seed.question, answer=answer, final_answer=final)
        passed += all(check(candidate, seed).passed for check in checks)
    seconds = time.perf_counter() - began
    used = time.process_time() + worker.cpu_times().user + worker.cpu_times().system - used
    print(f"{len(jobs):,} answers to {len(questions)} questions: {passed:,} passed, {seconds:.1f} s, of processors {used:.1f} s")
    reach("verdicts a second", len(jobs) / seconds, GOAL_RATE)


def stands(gold: str, query: str, schema: str) -> bool:
    try:
        return compare(gold, query, Database(schema)).stands
    except GoldFailed as error:
        print(f"  the gold query does not run: {gold}: {error}")
        return False


def create_tables(one: dict[str, Any]) -> str:
    """Return CREATE TABLE statements from Spider's description of a schema.

    Spider lists one column of a primary key. If that column alone is a foreign key, the key has more columns: the table's other foreign
    keys,
    or else its second column.
    """
    names, columns = one["table_names_original"], one["column_names_original"]
    foreign = dict(one["foreign_keys"])
    keys = {*one["primary_keys"], *foreign, *foreign.values()}
    statements = []
    for table, name in enumerate(names):
        if name == "sqlite_sequence":
            continue
        own = [at for at, (of, _) in enumerate(columns) if of == table]
        primary = [at for at in own if at in one["primary_keys"]]
        if primary and primary[0] in foreign:
            primary += [at for at in own if at in foreign and at not in primary] or [at for at in own if at not in primary][:1]
        if name == "flights":
            primary = own[:2]  # an airline and a number
        lines = [f"  {quoted(columns[at][1])} {_type(one['column_types'][at], at in keys)}" for at in own]
        if primary:
            lines.append(f"  PRIMARY KEY ({', '.join(quoted(columns[at][1]) for at in primary)})")
        for at in own:
            if at in foreign:
                parent = columns[foreign[at]]
                lines.append(f"  FOREIGN KEY ({quoted(columns[at][1])}) REFERENCES {quoted(names[parent[0]])} ({quoted(parent[1])})")
        statements.append(f"CREATE TABLE {quoted(name)} (\n" + ",\n".join(lines) + "\n);")
    return "\n\n".join(statements)


def _type(spiders: str, key: bool) -> str:
    return "INTEGER" if key and spiders == "number" else TYPES[spiders]


# A search for what distinguishes two queries, more thorough than a verdict's.


def told_apart(schema: Schema, gold: str, other: str, looks: int) -> str | None:
    """Return the filling on which the two queries differ, and how; None if there is none."""
    tree = parsed(gold)
    hints = [hints_of(one, schema.columns) for one in (tree, parsed(other))]
    ordered = order_matters(tree)
    suite = Suite(schema, hints[0] | hints[1])
    literals = [literal for text in (gold, other) for literal in _literals(text)]
    for look in range(looks):
        rng = random.Random(look)
        if look % 2:
            image = image_of(schema, crude(schema, literals, rng))
        else:
            profile = _any_profile(look, rng, counted=bool(counts_met(hints[0] | hints[1])))
            image = suite.image(profile)
        given = [_given(schema, hint, image, text) for hint, text in zip(hints, (gold, other), strict=True)]
        if None in given:
            continue
        comparison = Comparison(ordered=ordered)
        of_gold = lambda image=image: [one for each in rearranged(schema, image) if (one := _given(schema, hints[0], each, gold))]  # noqa: E731
        if not comparison.takes(given[0], given[1], of_gold):  # type: ignore[arg-type]
            return f"look {look}: {comparison.against}"
    return None


def _given(schema: Schema, hints: Hints, image: bytes, query: str) -> Result | None:
    with Reader(schema.names, hints.made, Clock(20), rows=10**6, result_bytes=2**30) as reader:
        try:
            return normalised(reader.of_image(image, query))
        except QueryFailed:
            return None


def _any_profile(look: int, rng: random.Random, *, counted: bool) -> Profile:
    spreads = ["distinct", "stairs", "stairs", "few", *(["counted"] if counted else [])]
    return Profile(
        f"look {look}", rng.randint(2, 40), rng.randint(3, 90), rng.choice(spreads), rng.choice(spreads),  # type: ignore[arg-type]
        rng.choice(("distinct", "distinct", "stairs", "few")), rng.choice((0, 0, 0, 0.1, 0.4)), rng.choice((0.2, 0.45, 0.7, 0.9)),
        rng.choice((0.1, 0.2, 0.4)), rng.random() < 0.5,
    )  # fmt: skip


def _literals(query: str) -> Iterator[str | int | float]:
    for node in tree_of(query).walk():
        if isinstance(node, exp.Literal) and not node.is_string:
            yield float(node.name) if "." in node.name else int(node.name)
        elif isinstance(node, exp.Literal) or (isinstance(node, exp.Identifier) and node.quoted):
            yield node.name.replace("%", "")


def crude(schema: Schema, literals: Sequence[str | int | float], rng: random.Random) -> Rows:
    """Return rows of arbitrary values.

    Foreign keys name existing rows, unique columns have no duplicates, and every literal of the two queries may occur in every column of
    its
    type.
    """
    share, nulls, domain = rng.choice((0.2, 0.5, 0.8)), rng.choice((0, 0, 0.2)), rng.choice((2, 5, 30))
    texts = [one for one in literals if isinstance(one, str)]
    numbers = [one for one in literals if not isinstance(one, str)] + [float(one) for one in texts if one.isdecimal()]
    made: dict[str, list[tuple[Any, ...]]] = {}
    at_work: set[str] = set()

    def value(kind: str) -> Any:
        if kind in ("text", "date", "datetime", "any"):
            if texts and rng.random() < share:
                return rng.choice(("{}", "{}", "{}", "{}x", "x{}", "q {} q")).format(rng.choice(texts))
            if numbers and rng.random() < share / 3:
                return str(rng.choice(numbers) + rng.choice((-1, 0, 1)))
            return rng.choice("abcdefghijklmnopqrstuvwxyzABCD") if domain > 9 else rng.choice("abAcd"[:domain])
        if kind == "boolean":
            return rng.choice((0, 1, "T", "F"))
        if numbers and rng.random() < share:
            return rng.choice(numbers) + rng.choice((-1, 0, 0, 1, 0.5 if kind != "integer" else 0))
        return rng.randint(1, domain)

    def rows_of(table: Table) -> None:
        if table.name in made or table.name in at_work:
            return
        at_work.add(table.name)
        links: dict[str, list[Any]] = {}
        for key in table.foreign_keys:
            parent = next(one for one in schema.tables if one.name == key.table)
            rows_of(parent)
            where = [column.name for column in parent.columns].index(key.parents[0])
            links[key.columns[0]] = [row[where] for row in made.get(parent.name, ()) if row[where] is not None]
        rows = []
        for number in range(rng.randint(1, 40)):
            row = []
            for column in table.columns:
                if column.name in links:
                    there = links[column.name]
                    row.append(rng.choice(there) if there and (column.not_null or rng.random() >= nulls) else None)
                elif column.unique and rng.random() < 0.8:
                    row.append(number + 1 if column.kind in ("integer", "number", "real") else f"k{number}")
                else:
                    row.append(None if not column.not_null and rng.random() < nulls else value(column.kind))
            rows.append(tuple(row))
        # SQLite leaves out rows that break a key; do the same for rows that refer to them.
        made[table.name] = _taken(schema, table, rows)

    for table in schema.tables:
        rows_of(table)
    return made


def _taken(schema: Schema, table: Table, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    rows = [row for row in rows if not any(cell is None and column.not_null for cell, column in zip(row, table.columns, strict=True))]
    connection = sqlite3.connect(":memory:")
    connection.execute(table.sql)
    connection.executemany(f"INSERT OR IGNORE INTO {quoted(table.name)} VALUES ({', '.join('?' * len(table.columns))})", rows)
    found = connection.execute(f"SELECT {', '.join(quoted(column.name) for column in table.columns)} FROM {quoted(table.name)}").fetchall()
    connection.close()
    return found


def reach(what: str, value: float, goal: float) -> None:
    shown, wanted = (f"{value:.2%}", f"{goal:.0%}") if goal <= 1 else (f"{value:,.0f}", f"{goal:,.0f}")
    print(f"  {what}: {shown} (goal {wanted})")
    if value < goal:
        failures.append(what)


if __name__ == "__main__":
    sys.exit(main())
