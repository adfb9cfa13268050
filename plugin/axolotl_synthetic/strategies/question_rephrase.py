"""Question Rephrase: the augmenter rewords the seed's question (same meaning, same final answer), the teacher answers it. Two calls.

Accounts of the paper differ on whether the teacher answers anew or the seed's answer is kept. Here the teacher answers, unless
`reuse_seed_answers` is set. That saves the second call, but loses the variety of answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from axolotl_synthetic.records import Candidate, Request
from axolotl_synthetic.spoken import question_in
from axolotl_synthetic.strategies import Ask, Source
from axolotl_synthetic.strategies.answer_augmentation import answered

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


@dataclass(frozen=True)
class QuestionRephrase:
    """Strategy Question Rephrase; see `strategies.Strategy`."""

    calls: int = 2
    keeps_answer: bool = True

    async def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Candidate:
        messages = question_in(task.rephrase_messages(source.seed.question, source.examples), task)
        reply = await ask(Request("rephrase", "augmenter", messages, source.round))
        question = None if reply.cut_off else task.read_rephrase(reply.text, source.seed.question)
        if question is None:
            return candidate.fail("the augmenter's reply holds no reworded question" + (" (cut off)" if reply.cut_off else ""))
        if source.reuse_answer and (solution := task.solution(source.seed)) is not None:
            return replace(candidate, question=question, prompt=task.prompt(question), answer=solution)
        return await answered(candidate, question, source, task, ask)


STRATEGY = QuestionRephrase()
