"""New Question: the augmenter writes a question on the seed's pattern and judges it by itself, the teacher answers it. Three calls.

A question that its own author does not stand by is not answered: the third call would be wasted. It goes on to the checks
without an answer, where `self_check` rejects it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from axolotl_synthetic.records import Candidate, Request
from axolotl_synthetic.strategies import Ask, Source
from axolotl_synthetic.strategies.answer_augmentation import answered

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


@dataclass(frozen=True)
class NewQuestion:
    """See `strategies.Strategy`."""

    calls: int = 3
    keeps_answer: bool = False

    async def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Candidate:
        messages = task.new_question_messages(source.seed.question, source.examples)
        reply = await ask(Request("new_question", "augmenter", messages, source.round))
        question = None if reply.cut_off else task.read_new_question(reply.text, source.seed.question)
        if question is None:
            return candidate.fail("the augmenter's reply holds no new question" + (" (cut off)" if reply.cut_off else ""))
        checked = await ask(Request("self_check", "augmenter", task.self_check_messages(question), source.round))
        candidate = replace(candidate, question=question, prompt=task.prompt(question), self_check=checked.text)
        if task.read_self_check(checked.text) is not True:
            return candidate
        return await answered(candidate, question, source, task, ask)


STRATEGY = NewQuestion()
