"""Open instructions: a question, perhaps a text that it is about, and no answer that can be told right from wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.base import TaskBase
from axolotl_synthetic.tasks.templates import chat


class Instruction(TaskBase):
    name = "instruction"
    has_final_answer = False
    prompts: ClassVar[str] = "instruction"

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        # Worked examples would teach the teacher the seeds' length and manner, which nobody asked for here.
        return chat(self.prompts, "answer", (), **self.values(question))

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one.split() == other.split()


TASK = Instruction()
