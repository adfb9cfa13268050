"""Check that the query runs, and returns what the seed's query returns, for questions about a database.

Where the strategy keeps the seed's answer, the measure is execution accuracy: on the database's own rows and on several generated
fillings of its schema, which tell apart two queries that agree by chance. A new question has no query to compare with, so its own query
must run, on tables that exist. `sql/` defines how queries run safely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.sql import LIMITS, Database, Limits, compare, runs

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


class Options(Block):
    """What one query may use; the seed's own query has the same limits separately."""

    seconds: float = Field(default=LIMITS.seconds, gt=0, le=3_600)
    """Processor time in seconds, over all databases that the query runs on."""
    rows: int = Field(default=LIMITS.rows, ge=1)
    """The most rows of a result."""
    result_bytes: int = Field(default=LIMITS.result_bytes, ge=1)
    """The largest result in bytes."""


def serves(task: Task) -> bool:
    return "database" in (*task.required, *task.optional)


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """Return the check's judge."""
    chosen = options or Options()
    limits = Limits(chosen.seconds, chosen.rows, chosen.result_bytes)

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if seed.question.database is None:
            return not_applicable("the question is asked of no database")
        if candidate.final_answer is None or candidate.question is None:
            return failed("there is no query to run")
        # Use the seed's database: a new question keeps it, and a question that a reviewer edited may have lost it.
        database = Database(seed.question.context or "", seed.question.database_file)
        gold = task.gold_answer(seed)
        if gold is None or not keeps_answer[candidate.strategy]:
            verdict = runs(candidate.final_answer, database, limits)
        else:
            verdict = compare(gold, candidate.final_answer, database, limits)
        return passed(verdict.why) if verdict.stands else replace(failed(verdict.why), broken=verdict.broken)

    return judge
