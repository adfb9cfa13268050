"""Classification: a text, answered with one label of a closed set, or with several where the seeds have several.

The question carries the set and the label that its text was written for (`seeds/labelled.py`). `labels.py` reads labels.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from axolotl_synthetic.labels import mentioned, named, written
from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.base import PATTERNS, TaskBase
from axolotl_synthetic.tasks.replies import read_question
from axolotl_synthetic.tasks.templates import chat

_MARK = re.compile(
    r"^\W*(?:the )?(?:final |right |correct )?(?:answer|labels?|category|categories|class)(?:\W{0,3}[:：]|\s+(?:is|are)\b\s*[:：]?)\s*",
    re.IGNORECASE,
)
_TITLE = re.compile(r"\A[*_#\s]*(?:new |reworded )?(?:text|message|ticket|reword(?:ed)?)[*_]*\s*:[*_]*\s*", re.IGNORECASE)
SHOWN = 60


class Classification(TaskBase):
    name = "classification"
    required: tuple[str, ...] = ("text",)
    optional: tuple[str, ...] = ("label",)
    prompts: ClassVar[str] = "classification"
    about = "text"
    prose = False  # a label belongs to no language
    asks = False
    one_answer = True

    def problem(self, seed: Seed) -> str | None:
        labels = seed.question.labels
        # Labels that are collected from the seeds are unknown until all rows are read.
        if not labels or seed.answer is None or self.gold_answer(seed) is not None:
            return None
        shown = seed.answer if len(seed.answer) <= SHOWN else seed.answer[: SHOWN - 1] + "…"
        return f"label: {shown!r} is none of {', '.join(labels)}; correct it, or add it to `labels`"

    def prompt(self, question: Question) -> str:
        (turn,) = chat(self.prompts, "question", (), self.own_prompts, **self._values(question))
        return turn["content"]

    def values(self, question: Question) -> Mapping[str, Hashable]:
        return {**super().values(question), **self._values(question)}

    def _values(self, question: Question) -> dict[str, Hashable]:
        # A label that contains a comma would look like two.
        in_lines = any("," in label for label in question.labels)
        labels = "\n".join(f"- {label}" for label in question.labels) if in_lines else written(question.labels)
        return {
            "question": question.text,
            "labels": f"\n{labels}" if in_lines else labels,
            "label": question.meant,
            "several": question.several,
        }

    def solution(self, seed: Seed) -> str | None:
        return self.gold_answer(seed)

    def is_bare(self, solution: str) -> bool:
        return False  # a label alone is a full answer

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        """Return the augmenter's messages: they ask for a text for the seed's label, after example texts for theirs."""
        turns: list[Message] = []
        for pattern in (*(example.question for example in examples[:PATTERNS]), question):
            turns += [self.chat("new_question", pattern)[-1], {"role": "assistant", "content": pattern.text}]
        return self.chat("new_question", question, turns)

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        text = read_question(_TITLE.sub("", reply.strip(), count=1))
        return None if text is None else replace(question, text=text)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        # The new text is written for the seed's label.
        return self.read_rephrase(reply, question)

    def read_answer(self, reply: str, question: Question) -> str:
        """Return only the labels, as the student is to write them, if the reply names any; else the reply."""
        return self.final_answer(reply, question) or reply.strip()

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return the labels that make up the whole reply, or that its last line marks."""
        lines = text.strip().splitlines()
        marked = [lines[-1]] if len(lines) > 1 and _MARK.match(lines[-1]) else []
        for part in (text.strip(), *marked):
            found = named(_MARK.sub("", part, count=1), question.labels)
            if found is not None:
                return self._fitting(found, question)
        return None

    def loose_answer(self, text: str, question: Question) -> str | None:
        """Return the marked labels, else those that the reply mentions."""
        return self.final_answer(text, question) or self._fitting(mentioned(text, question.labels), question)

    def gold_answer(self, seed: Seed) -> str | None:
        if seed.answer is None:
            return None
        found = named(seed.answer, seed.question.labels)
        return None if found is None else written(found)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        return named(one, question.labels) == named(other, question.labels) is not None

    def kinds(self, seed: Seed) -> tuple[str, ...]:
        """Return the labels under which `balance: uniform` counts a seed."""
        return () if seed.answer is None else named(seed.answer, seed.question.labels) or ()

    @staticmethod
    def _fitting(found: Sequence[str], question: Question) -> str | None:
        return written(found) if len(found) == 1 or (found and question.several) else None


TASK = Classification()
