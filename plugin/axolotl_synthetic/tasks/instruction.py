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
        """Return what the teacher is asked, behind the seed's system message where it has one, and after examples with the same."""
        same = [example for example in examples if example.question.turns == question.turns]
        return behind_turns(question, super().answer_messages(question, same))

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return what the augmenter is asked: where the seed has a text, one more instruction for it, after others for the same text."""
        if not question.context:
            return super().new_question_messages(question, examples)
        same = [example.question.text for example in examples if example.question.context == question.context]
        return self.chat_by_pattern("new_question", question, [*same[:PATTERNS], question.text])

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        # It stays with the seed's text and its system message.
        made = super().read_new_question(reply, question)
        return None if made is None else replace(question, text=made.text)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one.split() == other.split()


TASK = Instruction()
