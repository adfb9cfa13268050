"""Open instructions: a question, perhaps a text that it is about, and no answer that can be told right from wrong."""

from __future__ import annotations

from typing import ClassVar

from axolotl_synthetic.records import Question
from axolotl_synthetic.tasks.base import TaskBase


class Instruction(TaskBase):
    name = "instruction"
    has_final_answer = False
    prompts: ClassVar[str] = "instruction"

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one.split() == other.split()


TASK = Instruction()
