"""Answer Augmentation: the teacher answers the seed's unchanged question once more. One call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from axolotl_synthetic.records import Candidate, Question, Request
from axolotl_synthetic.spoken import answer_in
from axolotl_synthetic.strategies import Ask, Source

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


@dataclass(frozen=True)
class AnswerAugmentation:
    """Strategy Answer Augmentation; see `strategies.Strategy`."""

    calls: int = 1
    keeps_answer: bool = True

    async def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Candidate:
        return await answered(candidate, source.seed.question, source, task, ask, range(source.round + 1, source.rounds))


async def answered(
    candidate: Candidate, question: Question, source: Source, task: Task, ask: Ask, together: Sequence[int] = ()
) -> Candidate:
    """Return the candidate with this question and the teacher's answer; `together` lists samples of it that are surely needed too."""
    request = Request("answer", "teacher", answer_in(task.answer_messages(question, source.worked), task), source.round, together)
    reply = await ask(request)
    return replace(
        candidate,
        question=question,
        prompt=task.prompt(question),
        answer=_read(task, reply.text, question),
        answer_cut_off=reply.cut_off,
        answer_tokens=reply.answer_tokens,
        thinking=reply.thoughts if source.keep_thinking else None,
    )


def _read(task: Task, reply: str, question: Question) -> str:
    # A user's class that is not derived from `TaskBase` may have no `read_answer`.
    read = getattr(task, "read_answer", None)
    answer: str = reply.strip() if read is None else read(reply, question)
    return answer


STRATEGY = AnswerAugmentation()
