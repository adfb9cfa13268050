"""Functions of an exported task, called by lm-eval: they read its rows and grade replies as the run verified its samples.

Only the `metrics.py` that `export.py` writes beside the rows imports this file, inside lm-eval's process.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.labels import named
from axolotl_synthetic.records import Question
from axolotl_synthetic.tasks import Task, load_task
from axolotl_synthetic.thoughts import divide

FILE = "heldout.jsonl"


def read_rows(folder: Path, databases: str | None = None) -> Mapping[str, Any]:
    """Return the rows beside a task in lm-eval's form: a dataset for each split.

    Args:
        folder: the task's.
        databases: path of a row's database, as in `seeds.databases`; None: the row's own path, relative to the folder.
    """
    from datasets import Dataset

    # Only `\n` ends a line of JSON: `splitlines` would also split at a U+2028 or U+0085 within a question.
    with open(folder / FILE, "rb") as lines:
        rows = [json.loads(line) for line in lines]
    for row in rows:
        if (file := row.get("database_file")) is not None:
            file = databases.replace("{database}", row["database"]) if databases else str(folder / file)
            row["database_file"] = str(Path(file).expanduser().resolve())
    # Made in memory: loading by path would use an outdated cache after the file has changed.
    return {"test": Dataset.from_list(rows)}


def prompt(row: Mapping[str, Any]) -> str:
    text: str = row["prompt"]
    return text


def answer(row: Mapping[str, Any]) -> str:
    text: str = row["answer"]
    return text


def grade(row: Mapping[str, Any], replies: Sequence[str]) -> dict[str, Any]:
    """Grade whether the reply's final answer is the seed's.

    Returns:
        `exact_match` uses a lenient reader, so that an untrained model is not marked down for a form that it was never shown.
        `strict_match` accepts only an answer in the task's form. A reply without an answer is wrong. For a text with labels, `acc`
        replaces `exact_match`, and `macro_f1` is the seed's labels and the reply's, for the function below. Thoughts before the answer
        are not read, and a reply with only thoughts is wrong.
    """
    task = _task(row["task"])
    question = question_of(row)

    def right(found: str | None) -> float:
        return float(found is not None and task.equivalent(row["answer"], found, question))

    divided = divide(replies[0])
    reply = divided.answer if divided.thoughts else replies[0]
    loose, strict = task.loose_answer(reply, question), task.final_answer(reply, question)
    if "several" in row:
        gold, given = (() if found is None else named(found, question.labels) or () for found in (row["answer"], loose))
        return {"acc": right(loose), "macro_f1": (gold, given), "strict_match": right(strict)}
    return {"exact_match": right(loose), "strict_match": right(strict)}


def macro_f1(pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> float:
    """Return the mean of the F1 of each label that any pair has.

    Args:
        pairs: the right labels of a text, and those given.
    """
    right, missed, wrong = Counter[str](), Counter[str](), Counter[str]()
    for gold, given in pairs:
        right.update(set(gold) & set(given))
        missed.update(set(gold) - set(given))
        wrong.update(set(given) - set(gold))
    labels = {*right, *missed, *wrong}
    scores = [2 * right[label] / (2 * right[label] + missed[label] + wrong[label]) for label in labels]
    return math.fsum(scores) / len(scores) if scores else 0.0


def question_of(row: Mapping[str, Any]) -> Question:
    return Question(
        text=row["question"],
        choices=tuple(row["choices"]),
        labels=tuple(row["labels"]),
        context=row["context"],
        database=row["database"],
        database_file=_there(row.get("database_file")),
        decimal=row.get("decimal"),
        several=bool(row.get("several")),
    )


def _there(file: str | None) -> str | None:
    """Return the path of a database.

    Raises:
        ConfigError: if it is missing: every query would be marked as wrong.
    """
    if file is not None and not Path(file).is_file():
        raise ConfigError(
            f"{file}: the database that a held-out question is about is not there; put it back, or where this folder was moved say where"
            """ it is: --metadata '{"databases": "dbs/{database}.sqlite"}'"""
        )
    return file


@cache
def _task(name: str) -> Task:
    return load_task(name)
