"""Base class of every task, built-in or yours.

Every member has a default, so a subclass defines only what is special to its questions. `plugin/docs/tasks.md` shows one of twenty lines.
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

# Number of other seeds' questions that the augmenter sees as patterns for a new one.
PATTERNS = 3
_ANSWER = re.compile(r"^[\s*_#>]*(?:final )?answer\s*[:：][\s*_]*(\S.*?)[\s*_.]*$", re.IGNORECASE | re.MULTILINE)
# A longer last line is a sentence, not an answer to compare. In characters.
LONGEST_ANSWER = 200


class TaskBase:
    """Task whose answers end with a line `Answer: …`, compared without regard to case, spaces and a full stop.

    A subclass sets `name`, `about` and `instructions`, and overrides what else its questions need.
    """

    name: str = ""
    """Name of the task in messages."""
    required: tuple[str, ...] = ("question",)
    """Names of `seeds.fields` that every row must have.

    They come from one of three sets: question, context, answer, choices, labels and database; or text and label; or messages and system.
    """
    optional: tuple[str, ...] = ("context", "answer")
    """Names of `seeds.fields` that a row may have."""
    has_final_answer = True
    """True if answers can be told right from wrong. If False, only checks of form, length, similarity and a judge apply."""
    checks: ClassVar[tuple[str, ...]] = ()
    """Extra checks that run where `verify` is null."""
    one_answer: ClassVar[bool] = False
    """True if a question has one answer in one wording, such as a label: then a second answer to it teaches nothing."""
    asks: ClassVar[bool] = True
    """True if a question, also a reworded one, must ask for something. A text to classify or a turn of a chat need not."""
    prompts: ClassVar[str] = "general"
    """Name of the prompts' folder in `prompts/` beside this file."""
    about: ClassVar[str] = "problem"
    """Name for one question in the prompts, such as `support ticket`."""
    instructions: ClassVar[str] = "Think step by step."
    """Instructions to the teacher on how to answer."""

    own_prompts: Path | None = None
    """Folder of the user's files that replace those prompts: the config's `prompts`."""

    language: str | None = None
    """Language to ask for questions and answers in, None for the seeds': the config's `language`. See `spoken.py`."""

    def chat(self, name: str, question: Question, turns: Sequence[Message] = ()) -> tuple[Message, ...]:
        """Return the chat of a prompt's file, filled in, with further turns before its last one."""
        return chat(self.prompts, name, turns, self.own_prompts, **self.values(question))

    def chat_by_pattern(self, name: str, question: Question, patterns: Sequence[str]) -> tuple[Message, ...]:
        """Return the chat of a prompt's file, filled in, in which each pattern has already answered the last turn."""
        return chat_by_pattern(self.prompts, name, patterns, self.own_prompts, **self.values(question))

    def values(self, question: Question) -> Mapping[str, Hashable]:
        """Return the values for the prompts' templates, by name."""
        return {
            "question": question.text,
            "context": question.context or "",
            "prompt": self.prompt(question),
            "about": self.about,
            "instructions": self.instructions,
            "has_final_answer": self.has_final_answer,
        }

    def problem(self, seed: Seed) -> str | None:
        """Return why a seed cannot be used, naming the field; None when it can."""
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
        """Say whether a solution is only a final answer: as a worked example it would teach the teacher to skip the reasoning."""
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
        """Return the messages for the teacher. `examples` are seeds with answers."""
        return self.chat("answer", question, self.worked(examples))

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages for Question Rephrase."""
        return self.chat("rephrase", question)

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages for New Question, which show the questions of other seeds and then this one as patterns."""
        patterns = [*(self.prompt(example.question) for example in examples[:PATTERNS]), self.prompt(question)]
        return self.chat_by_pattern("new_question", question, patterns)

    def self_check_messages(self, question: Question) -> tuple[Message, ...]:
        """Return the messages that ask the augmenter to check a question that it wrote."""
        return self.chat("self_check", question)

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        """Return the reworded question in a reply, None when it has none."""
        text = read_question(reply)
        return None if text is None else replace(question, text=text)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        """Return the new question in a reply, None when it has none."""
        text = read_question(reply)
        return None if text is None else Question(text, decimal=question.decimal)

    def read_answer(self, reply: str, question: Question) -> str:
        """Return the answer in a teacher's reply as the student is to write it."""
        return reply.strip()

    def read_self_check(self, reply: str) -> bool | None:
        """Say whether the augmenter accepts its own question; None when the reply does not say."""
        return read_yes_no(reply)

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return the text after the last `Answer:` that begins a line, None where there is none."""
        found = [match for match in _ANSWER.findall(text) if len(match) <= LONGEST_ANSWER]
        return found[-1] if self.has_final_answer and found else None

    def loose_answer(self, text: str, question: Question) -> str | None:
        """Return the final answer as a lenient reader finds it. For grading only, where an untrained model does not know the marks."""
        return self.final_answer(text, question)

    def gold_answer(self, seed: Seed) -> str | None:
        """Return the final answer of a seed, whose `answer` may be one line without a mark."""
        if not self.has_final_answer or seed.answer is None:
            return None
        marked = self.final_answer(seed.answer, seed.question)
        line = seed.answer.strip()
        return marked or (line if line and "\n" not in line and len(line) <= LONGEST_ANSWER else None)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        """Say whether two final answers are equal. If one of them is the gold answer, it is `one`."""
        return _plain(one) == _plain(other)


def _plain(answer: str) -> str:
    return " ".join(answer.casefold().split()).rstrip(".")
