"""Multiple choice: a stem, labelled choices, and a final answer that is a choice's label.

`choices.py` finds choices in replies.
"""

from __future__ import annotations

import json
import string
from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import ClassVar

from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks.base import TaskBase
from axolotl_synthetic.tasks.choices import label_of, labels_marked, listed_choices, same_text
from axolotl_synthetic.tasks.replies import read_question


class MultipleChoice(TaskBase):
    name = "multiple_choice"
    required: tuple[str, ...] = ("question", "choices")
    optional: tuple[str, ...] = ("labels", "answer")
    prompts: ClassVar[str] = "multiple_choice"

    def problem(self, seed: Seed) -> str | None:
        question = seed.question
        if len(question.choices) < 2:
            return f"choices: {len(question.choices)} of them; give two or more"
        if len({label.casefold() for label in question.labels}) < len(question.labels):
            return f"labels: {', '.join(question.labels)} has one twice; give each choice its own"
        if repeated := same_text(question.choices):
            return f"choices: {repeated!r} stands there twice; drop or change one"
        if seed.answer is None:
            return None
        labels = ", ".join(question.labels)
        places = json.dumps([str(place) for place in range(len(question.choices))])
        remedy = f"add a column of places, such as {places}, and name it in seeds.fields.labels"
        if self.gold_answer(seed) is None:
            what = f"answer: {_short(seed.answer)!r} is neither one of the labels {labels} nor a choice's text"
            return f"{what}; correct it" + (f", or if it is a choice's place {remedy}" if seed.answer.isdecimal() else "")
        if _may_be_a_place(seed.answer, question):
            return f"answer: {seed.answer!r} is a choice's text and may be another one's place; write one of {labels}, or {remedy}"
        return None

    def prompt(self, question: Question) -> str:
        choices = zip(question.labels, question.choices, strict=True)
        return "\n".join([question.text, *(f"{label}. {choice}" for label, choice in choices)])

    def solution(self, seed: Seed) -> str | None:
        gold = self.gold_answer(seed)
        if seed.answer is None or gold is None:
            return None
        last = f"Answer: {gold}"
        if label_of(seed.answer, seed.question) is not None:
            return last
        return seed.answer if seed.answer.endswith(f"\n{last}") else f"{seed.answer}\n{last}"

    def values(self, question: Question) -> Mapping[str, Hashable]:
        # The prompt must ask for what `final_answer` accepts: a letter names none of the choices 1. to 4.
        letters = all(len(label) == 1 and label.isalpha() for label in question.labels)
        kind = "letter" if letters else "number" if all(map(str.isdecimal, question.labels)) else "label"
        return {**super().values(question), "kind": kind, "label": "its letter" if kind == "letter" else f"the {kind} in front of it"}

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        # Some models repeat or invent choices after the stem; keep the seed's own.
        stem, _ = _stem_and_choices(reply)
        return None if stem is None else replace(question, text=stem)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        stem, choices = _stem_and_choices(reply)
        if stem is None or len(choices) < 2 or same_text(choices):
            return None
        return Question(stem, choices, tuple(string.ascii_uppercase[: len(choices)]))

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return the label that the reply marks last, by the label itself or by the choice's text."""
        return next(labels_marked(text, question), None)

    def gold_answer(self, seed: Seed) -> str | None:
        if seed.answer is None:
            return None
        return label_of(seed.answer, seed.question) or self.final_answer(seed.answer, seed.question)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        first, second = label_of(one, question), label_of(other, question)
        return first is not None and first == second


def _stem_and_choices(reply: str) -> tuple[str | None, tuple[str, ...]]:
    text = read_question(reply)
    if text is None:
        return None, ()
    stem, choices = listed_choices(text)
    # Quotes around the stem are recognised only once the choices are removed.
    return read_question(stem), choices


def _may_be_a_place(answer: str, question: Question) -> bool:
    """Say whether an answer equals one choice's text but may mean another's position, counted from 0 or from 1."""
    text = answer.strip()
    if not text.isdecimal() or len(text) > 3 or text in question.labels:
        return False
    labels = {question.labels[place] for place in (int(text), int(text) - 1) if 0 <= place < len(question.labels)}
    return not labels <= {label_of(text, question)}


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"


TASK = MultipleChoice()
