"""Text to SQL: a question about a database, and a final answer that is one SQLite query.

The schema comes with the question as its `context`, which `seeds/databases.py` fills in, so building prompts reads no file. `sql/` runs
queries safely and compares their rows; `queries.py` finds them in replies.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import ClassVar

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.sql import Database, GoldFailed, compare, compiles, normal_form
from axolotl_synthetic.tasks.base import PATTERNS, TaskBase
from axolotl_synthetic.tasks.queries import fenced, marked_queries, unmarked_queries
from axolotl_synthetic.tasks.templates import chat


class TextToSQL(TaskBase):
    name = "text_to_sql"
    required: tuple[str, ...] = ("question", "database")
    optional: tuple[str, ...] = ("answer",)
    prompts: ClassVar[str] = "text_to_sql"
    prose = False  # a query belongs to no language, and shares long runs of words with others on its database

    def problem(self, seed: Seed) -> str | None:
        if not seed.question.context:
            return "database: its schema is not known; set seeds.databases"
        if seed.answer is None:
            return None
        gold = self.gold_answer(seed)
        if gold is None:
            return "answer is not one SELECT of SQLite's; write the query alone, or last and in a ```sql block"
        verdict = compiles(gold, database_of(seed.question))
        return None if verdict.stands else f"answer cannot be asked of {seed.question.database}: {verdict.why}; correct the query"

    def prompt(self, question: Question) -> str:
        (turn,) = chat(self.prompts, "question", (), self.own_prompts, schema=question.context, question=question.text)
        return turn["content"]

    def solution(self, seed: Seed) -> str | None:
        gold = self.gold_answer(seed)
        if seed.answer is None or gold is None:
            return None
        return seed.answer if seed.answer.endswith("```") else fenced(gold)

    def is_bare(self, solution: str) -> bool:
        return solution.startswith("```")

    def values(self, question: Question) -> Mapping[str, Hashable]:
        return {**super().values(question), "schema": question.context}

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        same = [example.question.text for example in examples if example.question.context == question.context]
        return self.chat_by_pattern("new_question", question, [*same[:PATTERNS], question.text])

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        # The new question is about the seed's database.
        return self.read_rephrase(reply, question)

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return the query of the last ```sql block, else the last that begins a line, in its normal form."""
        return _first_query(marked_queries(text))

    def loose_answer(self, text: str, question: Question) -> str | None:
        """Return the marked query, else the last one anywhere in the text."""
        return self.final_answer(text, question) or _first_query(unmarked_queries(text))

    def gold_answer(self, seed: Seed) -> str | None:
        if seed.answer is None:
            return None
        return normal_form(seed.answer) or self.final_answer(seed.answer, seed.question)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        """Say whether two queries return the same rows, on the database's own data and on generated data (execution accuracy).

        `one` is the gold query. If it does not run, only an identical query is equal to it.
        """
        if one == other:
            return True
        try:
            return compare(one, other, database_of(question)).stands
        except GoldFailed:
            return False


def _first_query(texts: Iterable[str]) -> str | None:
    return next((query for text in texts if (query := normal_form(text)) is not None), None)


def database_of(question: Question) -> Database:
    """Return the database that answers to a question are run on."""
    return Database(question.context or "", question.database_file)


TASK = TextToSQL()
