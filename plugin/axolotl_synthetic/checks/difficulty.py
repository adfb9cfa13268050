"""Check that the student fails at a new question that the teacher answers consistently (arXiv 2606.25996); keep a share of the easy ones.

The student is asked with the teacher's prompt, including its worked examples, so that it knows the form of an answer. Its reply is read
as grading reads it. `self_consistency`, which this check brings along, decides whether the teacher's answers agree; where they do not,
the student is not asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from axolotl_synthetic.checks import Ask, Judge, self_consistency
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import NEW_QUESTION, Candidate, Purpose, Request, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.spoken import answer_in

if TYPE_CHECKING:
    from axolotl_synthetic.strategies import Source
    from axolotl_synthetic.tasks import Task

PURPOSE: Purpose = "difficulty"
AFTER = self_consistency.NAME


class Options(Block):
    """How many of the questions that the student already answers are kept. Needs `student:`."""

    keep_easy: float = Field(default=0.2, ge=0, le=1)
    """The share of those questions that is kept."""


def problem(options: Options, task: Task) -> str | None:
    """Return the problem of a task without final answers: nothing shows whether the student fails."""
    if task.has_final_answer:
        return None
    return f": {task.name} has no final answers by which a student could be seen to fail; leave it out"


def calls(options: Options, strategy: str, round: int) -> int:
    """Return the number of calls: one for a new question."""
    return int(strategy == NEW_QUESTION)


async def inquire(candidate: Candidate, source: Source, task: Task, ask: Ask, options: Options) -> Candidate:
    """Return the candidate with the student's reply to a new question."""
    if candidate.strategy != NEW_QUESTION:
        return candidate
    assert candidate.question is not None
    messages = answer_in(task.answer_messages(candidate.question, source.worked), task)
    reply = await ask(Request(PURPOSE, "student", messages))
    return replace(candidate, attempt="" if reply.cut_off else reply.text)


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """Return the check's judge."""
    chosen = options or Options()

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.strategy != NEW_QUESTION:
            return not_applicable("the question is no new one")
        if candidate.attempt is None or candidate.question is None or candidate.final_answer is None:
            return not_applicable("the student was not asked, for the teacher has no consistent answer")
        said = task.loose_answer(candidate.attempt, candidate.question)
        if said is None:
            return passed("the student gives no final answer")
        shown = self_consistency.shortened(said)
        if not task.equivalent(candidate.final_answer, said, candidate.question):
            return passed(f"the student says {shown}")
        if is_kept(candidate.id, chosen.keep_easy):
            return passed(f"the student says {shown} as well; one of the easy questions that are kept")
        return failed(f"the student says {shown} as well")

    return judge


def is_kept(id: str, share: float) -> bool:
    """Return whether an easy question is kept. Only the candidate's id decides, so that a rerun decides the same."""
    number = int.from_bytes(hashlib.blake2b(f"keep_easy {id}".encode(), digest_size=8).digest(), "big")
    return number < share * 2**64
