"""Open instructions: a question, perhaps a text that it is about, and no answer that can be told right from wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.base import PATTERNS, TaskBase
from axolotl_synthetic.tasks.templates import behind_turns


class Instruction(TaskBase):
    name = "instruction"
    optional: tuple[str, ...] = ("context", "answer", "system")
    has_final_answer = False
    prompts: ClassVar[str] = "instruction"

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the messages for the teacher, after the seed's system message; examples are limited to seeds with the same one."""
        same = [example for example in examples if example.question.turns == question.turns]
        return behind_turns(question, super().answer_messages(question, same))

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages. If the seed has a text, they ask for another instruction on it, after existing ones."""
        if not question.context:
            return super().new_question_messages(question, examples)
        same = [example.question.text for example in examples if example.question.context == question.context]
        return self.chat_by_pattern("new_question", question, [*same[:PATTERNS], question.text])

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        # The new question is about the seed's text and has its system message.
        made = super().read_new_question(reply, question)
        return None if made is None else replace(question, text=made.text)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one.split() == other.split()


TASK = Instruction()
