"""Open instructions: a question, perhaps a text that it is about, and no answer that can be told right from wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.replies import read_question, read_yes_no
from axolotl_synthetic.tasks.templates import chat, chat_by_pattern


class Instruction:
    name = "instruction"
    required: tuple[str, ...] = ("question",)
    optional: tuple[str, ...] = ("context", "answer")
    has_final_answer = False

    def problem(self, seed: Seed) -> str | None:
        return None

    def prompt(self, question: Question) -> str:
        return f"{question.text}\n\n{question.context}" if question.context else question.text

    def solution(self, seed: Seed) -> str | None:
        return seed.answer

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        # Worked examples would teach the teacher the seeds' length and manner, which nobody asked for here.
        return chat(self.name, "answer", prompt=self.prompt(question))

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        return chat(self.name, "rephrase", question=question.text)

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        # The new instruction stands alone, so the patterns are shown with their contexts.
        patterns = [*(self.prompt(example.question) for example in examples[:3]), self.prompt(question)]
        return chat_by_pattern(self.name, "new_question", patterns)

    def self_check_messages(self, question: Question) -> tuple[Message, ...]:
        return chat(self.name, "self_check", prompt=self.prompt(question))

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        text = read_question(reply)
        return None if text is None else replace(question, text=text)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        text = read_question(reply)
        return None if text is None else Question(text)

    def read_self_check(self, reply: str) -> bool | None:
        return read_yes_no(reply)

    def final_answer(self, text: str, question: Question) -> str | None:
        return None

    def loose_answer(self, text: str, question: Question) -> str | None:
        return self.final_answer(text, question)

    def gold_answer(self, seed: Seed) -> str | None:
        return None

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return one.split() == other.split()


TASK = Instruction()
