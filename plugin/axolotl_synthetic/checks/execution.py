"""Does the query run, and give what the seed's query gives? For questions that are asked of a database.

Execution accuracy where the strategy keeps the seed's answer: on the database's own rows and on several generated fillings of its
schema, so that two queries that agree by chance are told apart. A new question has no query to compare with: its own has to run, on
tables that are there. How all of that is done safely stands in `sql/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.sql import LIMITS, Database, Limits, compare, runs

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

# An hour for one query: whoever wants more has made a mistake of units.
LONGEST_SECONDS = 3_600.0


def make(
    task: Task,
    keeps_answer: Mapping[str, bool],
    *,
    seconds: float = LIMITS.seconds,
    rows: int = LIMITS.rows,
    result_bytes: int = LIMITS.result_bytes,
) -> Judge:
    """The check.

    Args:
        task, keeps_answer: see `load_checks`.
        seconds: processor time for a query, on everything that it is run on together.
        rows, result_bytes: the most that a result may have.

    Raises:
        ConfigError: if a limit is no number above 0.
    """
    for name, value in (("seconds", seconds), ("rows", rows), ("result_bytes", result_bytes)):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not (whole or (name == "seconds" and isinstance(value, float))) or not value > 0:
            raise ConfigError(f"synthetic.verify.execution.{name}: {value!r} is no limit; write a number above 0")
    if not seconds <= LONGEST_SECONDS:
        raise ConfigError(f"synthetic.verify.execution.seconds: {seconds!r} is more than an hour for one query; write seconds")
    limits = Limits(float(seconds), rows, result_bytes)

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if seed.question.database is None:
            return not_applicable("the question is asked of no database")
        if candidate.final_answer is None or candidate.question is None:
            return failed("there is no query to run")
        database = Database(candidate.question.context or "", candidate.question.database_file)
        gold = task.gold_answer(seed)
        if gold is None or not keeps_answer[candidate.strategy]:
            verdict = runs(candidate.final_answer, database, limits)
        else:
            verdict = compare(gold, candidate.final_answer, database, limits)
        return passed(verdict.why) if verdict.stands else failed(verdict.why)

    return judge
