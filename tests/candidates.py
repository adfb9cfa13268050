"""A seed and its candidates, for tests of single checks."""

from __future__ import annotations

from typing import Any

from axolotl_synthetic.records import Candidate, Question, Seed
from axolotl_synthetic.tasks import load_task

MATH = load_task("math")
CHOICES = load_task("multiple_choice")
INSTRUCTION = load_task("instruction")
KEEPS = {"answer_augmentation": True, "question_rephrase": True, "new_question": False}
SEED = Seed("s", Question("6 jars with 10 cards each. How many cards?"), "6 * 10 = 60\n#### 60")
LONG_SEED = Seed(
    "long",
    Question("Mira sells mugs to 48 guests in spring, and half as many mugs in summer. How many mugs does she sell in all?"),
    "Mira sells 48/2 = 24 mugs in summer.\nMira sells 48+24 = 72 mugs altogether in spring and summer.\n#### 72",
)
STEM = Seed("c", Question("Which cup keeps tea warm the longest?", ("steel flask", "thin glass", "paper cup"), ("A", "B", "C")), "A")
TALK = Seed(
    "t", Question("Name three fruits that are red."), "Apples, cherries and strawberries are red fruits that most people know well."
)


def candidate(
    answer: str | None = SEED.answer, strategy: str = "answer_augmentation", seed: Seed = SEED, task: Any = MATH, **more: Any
) -> Candidate:
    """Return a candidate with this answer, whose final answer is read as in verification; a question may be a text."""
    question = more.pop("question", seed.question)
    if isinstance(question, str):
        question = Question(question, seed.question.choices, seed.question.labels)
    final = task.final_answer(answer, question) if answer else None
    name = more.pop("id", "id")
    return Candidate(0, name, strategy, seed.id, question=question, prompt=task.prompt(question), answer=answer, final_answer=final, **more)


def reworded(text: str, seed: Seed = SEED) -> Candidate:
    return candidate(seed=seed, strategy="question_rephrase", question=text)
