"""Folders that replace the Hub's data sets, with a few rows of our own.

`datasets.load_dataset` and lm-eval find them in the working directory, without a network, under the Hub's names.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

Rows = Sequence[Mapping[str, Any]]


def settle(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Work in `folder`, offline, with a separate cache: datasets takes a folder of the same name for the same data."""
    import datasets

    patch.chdir(folder)
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("HF_DATASETS_CACHE", str(folder / "cache"))  # for child processes
    patch.setattr(datasets.config, "HF_DATASETS_CACHE", folder / "cache")


def write_dataset(folder: Path, name: str, configuration: str, **splits: Rows) -> None:
    """Write one configuration of a data set below `folder`, in Hub form: its card gives the paths of the splits' rows."""
    place = folder / name
    place.mkdir(parents=True)
    listed = []
    for split, rows in splits.items():
        (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        listed.append(f"  - split: {split}\n    path: {split}.jsonl\n")
    card = f"---\nconfigs:\n- config_name: {configuration}\n  data_files:\n{''.join(listed)}---\n"
    (place / "README.md").write_text(card, encoding="utf-8")


def gsm8k(jars: int, cards: int) -> dict[str, str]:
    return {
        "question": f"Ada has {jars} jars with {cards} cards each. How many cards are there?",
        "answer": f"There are {jars}*{cards}=<<{jars}*{cards}={jars * cards}>>{jars * cards} cards.\n#### {jars * cards}",
    }


def arc(number: int, choices: Sequence[str], key: str, labels: str = "ABCD") -> dict[str, Any]:
    return {
        "id": f"ours_{number}",
        "question": f"Which word number {number}?",
        "choices": {"text": list(choices), "label": list(labels[: len(choices)])},
        "answerKey": key,
    }


def write_gsm8k(folder: Path, test: Rows = ()) -> None:
    """Write 12 rows to train on, and those for grading."""
    train = [gsm8k(jars, cards) for jars in (2, 3, 4) for cards in (5, 6, 7, 8)]
    write_dataset(folder, "openai/gsm8k", "main", train=train, test=test or [gsm8k(9, 9)])


def write_arc(folder: Path, test: Rows = ()) -> None:
    """Write 8 rows to train on, one of them with numbers for labels as in some of ARC's, and those for grading."""
    train = [
        arc(number, [f"{number} apple", f"{number} pear", f"{number} plum", f"{number} fig"], "ABCD"[number % 4]) for number in range(7)
    ]
    train.append(arc(7, ["7 apple", "7 pear", "7 plum"], "3", labels="123"))
    write_dataset(folder, "allenai/ai2_arc", "ARC-Challenge", train=train, validation=train[:1], test=test or train[:1])


def write_spider(folder: Path) -> None:
    """Write 6 questions about one database, and the database where Spider's archive has it."""
    asked = [("How many pupils are there?", "SELECT count(*) FROM pupil"), ("Who are the pupils?", "SELECT name FROM pupil")]
    asked += [(f"Who is older than {age}?", f"SELECT name FROM pupil WHERE age > {age}") for age in (7, 8, 9, 10)]
    rows = [
        {"db_id": "school", "query": query, "question": question, "query_toks": query.split(), "question_toks": question.split()}
        for question, query in asked
    ]
    write_dataset(folder, "xlangai/spider", "spider", train=rows, validation=rows[:1])
    place = folder / "spider_data" / "database" / "school" / "school.sqlite"
    place.parent.mkdir(parents=True)
    database = sqlite3.connect(place)
    database.execute("CREATE TABLE pupil (id INTEGER PRIMARY KEY, name TEXT, age INTEGER)")
    database.executemany("INSERT INTO pupil (name, age) VALUES (?, ?)", [("Ada", 7), ("Bo", 9), ("Cy", 11)])
    database.commit()
    database.close()


def write_dolly(folder: Path) -> None:
    rows = [
        {
            "instruction": f"Name {number} fruits.",
            "context": "Apples are fruits." * (number % 2),
            "response": "Apples.",
            "category": "open_qa",
        }
        for number in range(2, 8)
    ]
    write_dataset(folder, "databricks/databricks-dolly-15k", "default", train=rows)
