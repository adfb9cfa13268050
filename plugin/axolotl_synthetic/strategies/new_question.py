"""New Question: the augmenter writes a question on the seed's pattern and judges it; the teacher answers it. Three calls.

With `turns` it makes a whole conversation: the teacher answers, then the augmenter writes the user's next turn, and so on. That takes two
calls per turn and one for the judgement of the last question.

A question that the augmenter itself rejects is not answered, because the third call would be wasted. The candidate goes to the checks
without an answer, and `self_check` rejects it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from axolotl_synthetic.records import Candidate, Message, Question, Request
from axolotl_synthetic.spoken import answer_in, question_in
from axolotl_synthetic.strategies import Ask, Source
from axolotl_synthetic.strategies.answer_augmentation import answered

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


@dataclass(frozen=True)
class NewQuestion:
    """Strategy New Question; see `strategies.Strategy`."""

    calls: int = 3
    keeps_answer: bool = False
    turns: int | None = None

    async def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Candidate:
        begun = source.seed.question if self.turns is None else _conversing(task).opening(source.seed.question)
        question = await _asked(task.new_question_messages(begun, source.examples), begun, source, task, ask)
        for _ in range(1, self.turns or 1):
            if isinstance(question, str):
                break
            reply = await ask(Request("answer", "teacher", answer_in(task.answer_messages(question, source.worked), task), source.round))
            if reply.cut_off or not reply.text.strip():
                return candidate.fail("an answer within the new conversation " + ("was cut off" if reply.cut_off else "is empty"))
            place = _conversing(task).going_on(question, reply.text.strip())
            question = await _asked(_conversing(task).next_message_messages(place), place, source, task, ask)
        if isinstance(question, str):
            return candidate.fail(question)
        checked = await ask(Request("self_check", "augmenter", task.self_check_messages(question), source.round))
        candidate = replace(candidate, question=question, prompt=task.prompt(question), self_check=checked.text)
        if task.read_self_check(checked.text) is not True:
            return candidate
        return await answered(candidate, question, source, task, ask)


class _Conversing(Protocol):
    """Members that a task needs for whole conversations, besides those of `Task`."""

    def opening(self, question: Question) -> Question: ...

    def going_on(self, question: Question, answer: str) -> Question: ...

    def next_message_messages(self, question: Question) -> tuple[Message, ...]: ...


def _conversing(task: Task) -> _Conversing:
    return cast("_Conversing", task)


async def _asked(messages: tuple[Message, ...], place: Question, source: Source, task: Task, ask: Ask) -> Question | str:
    """Return the question in the augmenter's reply, or why none can be read."""
    reply = await ask(Request("new_question", "augmenter", question_in(messages, task), source.round))
    question = None if reply.cut_off else task.read_new_question(reply.text, place)
    return question or "the augmenter's reply holds no new question" + (" (cut off)" if reply.cut_off else "")


STRATEGY = NewQuestion()
