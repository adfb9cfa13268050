"""Functions of `tasks/spider_execution.yaml`, called by lm-eval: Spider's questions as the student reads them, and execution accuracy.

Queries are found in replies as in verification (`tasks/text_to_sql.py`) and run in the same sandbox (`sql/`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.seeds.databases import MissingDatabase, NoDatabase, with_database
from axolotl_synthetic.seeds.rows import BadRow, read_rows
from axolotl_synthetic.sql import Database, GoldFailed, compare
from axolotl_synthetic.tasks import load_task

SPIDER_TASK = "spider_execution"
# The Hub has Spider's questions but not its databases.
HUB_DATASET = "xlangai/spider"
HUB_SPLIT = "validation"
_log = logging.getLogger(__name__)


def dataset(*, databases: str | None = None, questions: str | None = None, **_: Any) -> Mapping[str, Any]:
    """Return Spider's questions in lm-eval's form: a dataset for each split.

    Args:
        databases: their path, such as `database/{database}/{database}.sqlite`; None: SPIDER_DATABASES.
        questions: a file of objects with `question`, `query` and `db_id`; None: SPIDER_QUESTIONS, else the Hub's.

    Raises:
        ConfigError: if a question's database is missing, or a row is not one of Spider's.
    """
    from datasets import Dataset

    where = databases or os.environ.get("SPIDER_DATABASES")
    if not where:
        raise ConfigError(
            "spider_execution: where are Spider's databases? Add --metadata"
            ' \'{"databases": "spider/database/{database}/{database}.sqlite"}\' or set SPIDER_DATABASES'
        )
    asked = questions or os.environ.get("SPIDER_QUESTIONS") or HUB_DATASET
    return {"test": Dataset.from_list(list(_questions(asked, where)))}


def _questions(asked: str, databases: str) -> Iterator[dict[str, Any]]:
    task = load_task("text_to_sql")
    for row in read_rows(asked, None, HUB_SPLIT):
        if isinstance(row, BadRow):
            raise ConfigError(f"spider_execution: {row.place}: {row.what}")
        missing = [name for name in ("question", "query", "db_id") if not isinstance(row.values.get(name), str)]
        if missing:
            raise ConfigError(f"spider_execution: {row.place} has no {', '.join(missing)}; give Spider's own file, such as dev.json")
        try:
            question = with_database(Question(row.values["question"], database=row.values["db_id"]), databases)
        except (MissingDatabase, NoDatabase) as error:
            raise ConfigError(f"spider_execution: {row.place}: {error}") from error
        seed = Seed(row.place, question, row.values["query"])
        if (problem := task.problem(seed)) is not None:
            # No reply could be right.
            _log.warning("spider_execution: %s is left out: %s", row.place, problem)
            continue
        yield {
            "prompt": task.prompt(question),
            "gold": task.gold_answer(seed),
            "question": question.text,
            "context": question.context,
            "database": question.database,
            "database_file": question.database_file,
        }


def prompt(row: Mapping[str, Any]) -> str:
    text: str = row["prompt"]
    return text


def gold(row: Mapping[str, Any]) -> str:
    text: str = row["gold"]
    return text


def grade(row: Mapping[str, Any], replies: Sequence[str]) -> dict[str, float]:
    """Grade whether the reply's query gives the gold query's result.

    Returns:
        `execution_accuracy`, on the database's rows, and `test_suite_accuracy`, on generated rows as well. A reply without a query
        is wrong.
    """
    question = Question(row["question"], context=row["context"], database=row["database"], database_file=row["database_file"])
    query = load_task("text_to_sql").loose_answer(replies[0], question)
    database = Database(row["context"], row["database_file"])

    def right(*, generated: bool) -> float:
        try:
            return float(query is not None and compare(row["gold"], query, database, generated=generated).stands)
        except GoldFailed as error:
            _log.warning("spider_execution: nobody can be right about %r: %s", row["question"], error)
            return 0.0

    return {"execution_accuracy": right(generated=False), "test_suite_accuracy": right(generated=True)}
