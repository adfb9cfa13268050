"""What tasks have in common: a task of your own begins with this class, and so do the built-in ones.

Everything has a default, so that a subclass says only what is special to its questions. `plugin/docs/tasks.md` shows one of twenty lines.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.replies import read_question, read_yes_no
from axolotl_synthetic.tasks.templates import chat, chat_by_pattern

# Questions besides the seed's own that the augmenter sees as patterns of a new one.
PATTERNS = 3
_ANSWER = re.compile(r"^[\s*_#>]*(?:final )?answer\s*[:：][\s*_]*(\S.*?)[\s*_.]*$", re.IGNORECASE | re.MULTILINE)
# A longer last line is a sentence and no answer to compare.
LONGEST_ANSWER = 200


class TaskBase:
    """Questions whose answers end with a line `Answer: …`, compared without regard to case, spaces and a full stop.

    A subclass of yours sets `name`, `about` and `instructions`, and overrides what its questions need otherwise.
    """

    name: str = ""
    """As messages name the task."""
    required: tuple[str, ...] = ("question",)
    """Names of `seeds.fields` that every row must have; of question, context, answer, choices, labels and database; or
    text and label; or messages and system."""
    optional: tuple[str, ...] = ("context", "answer")
    """Names of `seeds.fields` that a row may have."""
    has_final_answer = True
    """Whether answers can be told right from wrong. Without it only checks of form, length, likeness and a judge apply."""
    checks: ClassVar[tuple[str, ...]] = ()
    """Checks besides the usual ones that run where `verify` is null."""
    one_answer: ClassVar[bool] = False
    """Whether a question has one answer that can be put in one way, such as a label: then a second answer to it teaches nothing."""
    asks: ClassVar[bool] = True
    """Whether a question asks for something, so that a reworded one must, too; a text to classify or a turn of a chat need not."""
    prompts: ClassVar[str] = "general"
    """The folder of prompts, of those beside this file."""
    about: ClassVar[str] = "problem"
    """What one question is called in the prompts, such as `support ticket`."""
    instructions: ClassVar[str] = "Think step by step."
    """How an answer is to be, for the teacher."""

    own_prompts: Path | None = None
    """A folder of the user's with files that take the place of those: the config's `prompts`."""

    language: str | None = None
    """The language that questions and answers are asked for in, None for the seeds': the config's `language`. See `spoken.py`."""

    def chat(self, name: str, question: Question, turns: Sequence[Message] = ()) -> tuple[Message, ...]:
        """Return the chat of a prompt's file, filled in, with further turns before its last one."""
        return chat(self.prompts, name, turns, self.own_prompts, **self.values(question))

    def chat_by_pattern(self, name: str, question: Question, patterns: Sequence[str]) -> tuple[Message, ...]:
        """Return the chat of a prompt's file, filled in, whose last turn was answered with each pattern before."""
        return chat_by_pattern(self.prompts, name, patterns, self.own_prompts, **self.values(question))

    def values(self, question: Question) -> Mapping[str, Hashable]:
        """Return what the prompts may name, by its name in them."""
        return {
            "question": question.text,
            "context": question.context or "",
            "prompt": self.prompt(question),
            "about": self.about,
            "instructions": self.instructions,
            "has_final_answer": self.has_final_answer,
        }

    def problem(self, seed: Seed) -> str | None:
        """Return why a seed cannot be used, in words that name the field; None when it can."""
        if not self.has_final_answer or seed.answer is None or self.gold_answer(seed) is not None:
            return None
        return "answer marks no final answer; put it on a last line of its own, behind `Answer:`"

    def prompt(self, question: Question) -> str:
        """Return the question as the student reads it, in training and in grading."""
        return f"{question.text}\n\n{question.context}" if question.context else question.text

    def solution(self, seed: Seed) -> str | None:
        """Return the seed's answer as the student should write it, None when it has none."""
        if not self.has_final_answer or seed.answer is None:
            return seed.answer
        gold = self.gold_answer(seed)
        if gold is None or self.final_answer(seed.answer, seed.question) is not None:
            return seed.answer
        return f"Answer: {gold}"

    def is_bare(self, solution: str) -> bool:
        """Say whether a solution is a final answer alone: as a worked example it would teach the teacher to skip the reasoning."""
        return solution.startswith("Answer:")

    def worked(self, examples: Sequence[Seed]) -> list[Message]:
        """Return the turns of worked examples."""
        turns: list[Message] = []
        for example in examples:
            solution = self.solution(example)
            if solution is not None and not self.is_bare(solution):
                turns += [{"role": "user", "content": self.prompt(example.question)}, {"role": "assistant", "content": solution}]
        return turns

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return what the teacher is asked. `examples` are seeds with answers."""
        return self.chat("answer", question, self.worked(examples))

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return what the augmenter is asked for Question Rephrase."""
        return self.chat("rephrase", question)

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return what the augmenter is asked for New Question: one more after those of other seeds and this one."""
        patterns = [*(self.prompt(example.question) for example in examples[:PATTERNS]), self.prompt(question)]
        return self.chat_by_pattern("new_question", question, patterns)

    def self_check_messages(self, question: Question) -> tuple[Message, ...]:
        """Return what the augmenter is asked about a question that it wrote."""
        return self.chat("self_check", question)

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        """Return the reworded question in a reply, None when there is none to read."""
        text = read_question(reply)
        return None if text is None else replace(question, text=text)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        """Return the new question in a reply, None when there is none to read."""
        text = read_question(reply)
        return None if text is None else Question(text, decimal=question.decimal)

    def read_answer(self, reply: str, question: Question) -> str:
        """Return the answer in a teacher's reply as the student is to write it."""
        return reply.strip()

    def read_self_check(self, reply: str) -> bool | None:
        """Return whether the augmenter stands by its question; None when the reply does not say."""
        return read_yes_no(reply)

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return what stands behind the last `Answer:` that begins a line, None where none does."""
        found = [match for match in _ANSWER.findall(text) if len(match) <= LONGEST_ANSWER]
        return found[-1] if self.has_final_answer and found else None

    def loose_answer(self, text: str, question: Question) -> str | None:
        """Return what a lenient reader takes for the final answer. For grading alone, where an untrained model does not know the marks."""
        return self.final_answer(text, question)

    def gold_answer(self, seed: Seed) -> str | None:
        """Return the final answer of a seed, whose `answer` may be one line without a mark."""
        if not self.has_final_answer or seed.answer is None:
            return None
        marked = self.final_answer(seed.answer, seed.question)
        line = seed.answer.strip()
        return marked or (line if line and "\n" not in line and len(line) <= LONGEST_ANSWER else None)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        """Say whether two final answers are the same. Where one of them is the gold answer, it is `one`."""
        return _plain(one) == _plain(other)


def _plain(answer: str) -> str:
    return " ".join(answer.casefold().split()).rstrip(".")
