"""Check that the answer has the length and the form of the seeds' own answers.

The bounds are those of the seeds: the number of words of their shortest and longest answers, with some room, and no list, heading, table or
emoji unless one of theirs has it. Other checks judge the content.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import regex
from pydantic import Field

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, not_applicable, passed
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

# With fewer answers, the shortest and the longest say little about the next one.
FEWEST = 10
# Words by which an answer may always exceed the upper bound.
SLACK = 10
FORMS: Mapping[str, regex.Pattern[str]] = {
    "a heading": regex.compile(r"^#{1,6} \S", re.MULTILINE),
    "a list": regex.compile(r"^\s*(?:[-*•]|\d{1,2}[.)]) \S.*\n+\s*(?:[-*•]|\d{1,2}[.)]) \S", re.MULTILINE),
    "a table": regex.compile(r"^\s*\|.*\|\s*\n\s*\|[\s:|-]+\|", re.MULTILINE),
    "a block of code": regex.compile(r"^\s*```", re.MULTILINE),
    "bold text": regex.compile(r"\*\*\S[^*\n]*\*\*"),
    "an emoji": regex.compile(r"[\p{Emoji_Presentation}\p{Extended_Pictographic}--[©®™]]", regex.V1),
}


class Options(Block):
    """How far an answer may go beyond the seeds'."""

    factor: float = Field(default=2, ge=1, le=100)
    """The most words are this many times the longest answer's; the fewest are the shortest answer's divided by this."""
    forms: bool = True
    """Whether lists, headings, tables, code, bold text and emoji are refused where no seed's answer has any."""


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None, seeds: Sequence[Seed] = ()) -> Judge:
    """Return the check's judge."""
    chosen = options or Options()
    answers = [seed.answer for seed in seeds if seed.answer]
    counts = [len(answer.split()) for answer in answers] or [0]
    least, most = int(min(counts) / chosen.factor), int(max(counts) * chosen.factor) + SLACK
    unused = [name for name, form in FORMS.items() if chosen.forms and not any(map(form.search, answers))]

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if len(answers) < FEWEST:
            return not_applicable(f"off: {number_of(len(answers), 'seed has', 'seeds have')} an answer, and {FEWEST} are needed")
        if candidate.answer is None:
            return failed("there is no answer")
        words = len(candidate.answer.split())
        if not least <= words <= most:
            return failed(f"{number_of(words, 'word')}, where the seeds' answers have {min(counts)} to {max(counts)}")
        if (form := next((name for name in unused if FORMS[name].search(candidate.answer)), None)) is not None:
            return failed(f"it has {form}, and no seed's answer has one")
        return passed(number_of(words, "word"))

    return judge
