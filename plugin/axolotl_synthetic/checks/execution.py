"""Does the query run, and give what the seed's query gives? For questions that are asked of a database.

Execution accuracy where the strategy keeps the seed's answer: on the database's own rows and on several generated fillings of its
schema, so that two queries that agree by chance are told apart. A new question has no query to compare with: its own has to run, on
tables that are there. How all of that is done safely stands in `sql/`.
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
    """What one query may use; the seed's own has as much for itself."""

    seconds: float = Field(default=LIMITS.seconds, gt=0, le=3_600)
    """Processor time, on everything that it is run on together."""
    rows: int = Field(default=LIMITS.rows, ge=1)
    """Of a result."""
    result_bytes: int = Field(default=LIMITS.result_bytes, ge=1)
    """Of a result."""


def serves(task: Task) -> bool:
    return "database" in (*task.required, *task.optional)


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """The check."""
    chosen = options or Options()
    limits = Limits(chosen.seconds, chosen.rows, chosen.result_bytes)

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if seed.question.database is None:
            return not_applicable("the question is asked of no database")
        if candidate.final_answer is None or candidate.question is None:
            return failed("there is no query to run")
        # The seed's: a new question stays with it, and one that a person put together again may have lost it.
        database = Database(seed.question.context or "", seed.question.database_file)
        gold = task.gold_answer(seed)
        if gold is None or not keeps_answer[candidate.strategy]:
            verdict = runs(candidate.final_answer, database, limits)
        else:
            verdict = compare(gold, candidate.final_answer, database, limits)
        return passed(verdict.why) if verdict.stands else replace(failed(verdict.why), broken=verdict.broken)

    return judge
