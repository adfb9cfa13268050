"""New Question: the augmenter writes a question on the seed's pattern and judges it by itself, the teacher answers it. Three calls.

With `turns` it makes a whole new conversation: the teacher answers, the augmenter says in the user's place what follows, and so on; two
calls a turn, and the judgement of the last one.

A question that its own author does not stand by is not answered: the third call would be wasted. It goes on to the checks
without an answer, where `self_check` rejects it.
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
    """See `strategies.Strategy`."""

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
    """What a task has besides the members of `Task` where whole conversations can be asked for."""

    def opening(self, question: Question) -> Question: ...

    def going_on(self, question: Question, answer: str) -> Question: ...

    def next_message_messages(self, question: Question) -> tuple[Message, ...]: ...


def _conversing(task: Task) -> _Conversing:
    return cast("_Conversing", task)


async def _asked(messages: tuple[Message, ...], place: Question, source: Source, task: Task, ask: Ask) -> Question | str:
    """Return what the augmenter says at a place, or why nothing can be read."""
    reply = await ask(Request("new_question", "augmenter", question_in(messages, task), source.round))
    question = None if reply.cut_off else task.read_new_question(reply.text, place)
    return question or "the augmenter's reply holds no new question" + (" (cut off)" if reply.cut_off else "")


STRATEGY = NewQuestion()
