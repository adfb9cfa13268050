"""Check that the answer exists, is whole, and has the task's form and the seed's language. `final_answer` checks whether it is right.

Each part prefers to miss a fault over rejecting a right answer: a refusal must open the answer (`refusals.py`), a language must be
certain (`languages.py`), and contradicting final answers must be in the last lines.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.checks.gold import own_id
from axolotl_synthetic.checks.languages import LETTERS, language_of, surely_not
from axolotl_synthetic.checks.refusals import refusal_in
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import Candidate, Question, Seed, Verdict, failed, passed
from axolotl_synthetic.spoken import code_of, language_for

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

# No usual token limit lets a model write more; a longer reply comes from a server that did not stop.
LONGEST = 200_000
# Marks of a final answer. A reader takes what the last lines mark for the answer. A spoken mark counts only after another mark,
# because the work before an answer also speaks of answers.
_MARK = re.compile(r"####|\\boxed\s*\{|^\W*(?:final )?answer\s*:", re.IGNORECASE)
_SPOKEN = re.compile(r"\banswer\b[^\n]{0,40}?(?:\bis\b|:)", re.IGNORECASE)
_PIECES = re.compile(r"(?=####|\\boxed\s*\{)")
_WORD = re.compile(r"[^\W\d_]{2,}")
# A number with its unit and words, as the math task writes one: `100 cm`, `$7.5 per hour`, `72 cards`.
_AMOUNT = re.compile(r"-?[$€£¥₹]?\d[\d.,/]*\D{0,60}")
LAST_LINES = 3
LONGEST_LINE = 2_000
# Control characters, and those that reverse the order of writing so that a text reads differently than it is stored.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u202d\u202e]")
# A text that shares this part of its words with the seed's is in its language. This holds for nine of ten and saves a lookup.
SAME_WORDS = 0.5
SHOWING = 600  # characters that are enough to recognise a language


class Options(Block):
    """What is checked besides an answer that is whole and has the task's form."""

    refusals: bool = True
    """Whether an answer that is a refusal is rejected."""
    language: bool = True
    """Whether an answer, and a question of the candidate's own, must be in the seed's language."""


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """Return the check's judge."""
    chosen = options or Options()

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        answer, question = candidate.answer, candidate.question
        if not answer or not answer.strip() or question is None:
            return failed("there is no answer")
        if candidate.answer_cut_off:
            return failed("the answer was cut off at max_new_tokens; raise teacher.generation.max_new_tokens if this is frequent")
        if len(answer) > LONGEST:
            return failed(f"the answer has {len(answer):,} characters, more than {LONGEST:,}")
        if (hidden := _HIDDEN.search(answer)) is not None:
            return failed(f"the answer holds a character that does not show (U+{ord(hidden[0]):04X})")
        if chosen.refusals and (refusal := refusal_in(answer)) is not None:
            return failed(f"the answer is a refusal: {refusal!r}")
        if task.has_final_answer and (against := _against_final_answer(candidate.final_answer, answer, question, seed, task)) is not None:
            return failed(against)
        if chosen.language and (other := _other_language(candidate, seed, task, keeps_answer)) is not None:
            return failed(other)
        return passed()

    return judge


def _against_final_answer(final_answer: str | None, answer: str, question: Question, seed: Seed, task: Task) -> str | None:
    if final_answer is None:
        return f"the answer marks no final answer of the form that {task.name} has"
    for letter in final_answer:
        if unicodedata.category(letter) == "Cf":
            return f"the final answer holds a character that does not show (U+{ord(letter):04X})"
        if not letter.isascii() and letter.isdecimal() and letter not in (seed.answer or seed.question.text):
            return f"the final answer {final_answer!r} is written in digits that the seed does not use"
    for other in _marked_at_the_end(answer, question, task):
        if not task.equivalent(other, final_answer, question):
            return f"the answer marks {other} as well as {final_answer}"
    return None


def _marked_at_the_end(answer: str, question: Question, task: Task) -> Iterator[str]:
    """Yield every final answer that the last lines mark."""
    lines = [line for line in answer[-LAST_LINES * LONGEST_LINE :].splitlines() if line.strip()][-LAST_LINES:]
    marked = False
    for piece in (piece for line in lines for piece in _PIECES.split(line)):
        if _MARK.search(piece) or (marked and _SPOKEN.search(piece)):
            marked = True
            # `#### Step 1` is a heading, not an answer.
            found = task.final_answer(piece, question)
            if found is not None and (_AMOUNT.fullmatch(found) or not _WORD.search(found)):
                yield found


def _other_language(candidate: Candidate, seed: Seed, task: Task, keeps_answer: Mapping[str, bool]) -> str | None:
    question, answer = candidate.question, candidate.answer
    assert question is not None and answer is not None
    # A seed's own pair stays in the seed's language, whatever language its samples are asked for in.
    if candidate.id != own_id(seed) and (wanted := language_for(task)) is not None:
        own = None if question.text == seed.question.text else question.text
        return _not_in(wanted, own, answer if getattr(task, "prose", True) else None)
    if question.text != seed.question.text and (other := _unlike(question.text, seed.question.text)) is not None:
        return f"the question is in another language than the seed's ({other})"
    # A query or a program has no language. And only the seed's own answer shows whether `Translate into German` was meant for it.
    if not getattr(task, "prose", True):
        return None
    if task.has_final_answer and not _other_languages(seed):
        like = seed.question.text
    elif seed.answer is not None and keeps_answer.get(candidate.strategy, False):
        like = seed.answer
    else:
        return None
    other = _unlike(answer, like)
    return None if other is None else f"the answer is in another language than the seed's ({other})"


def _not_in(wanted: str, question: str | None, answer: str | None) -> str | None:
    """Say which text is certainly not in the requested language; None if all may be, or the language's code is unknown."""
    if (code := code_of(wanted)) is None:
        return None
    for what, text in (("question", question), ("answer", answer)):
        if text is not None and (found := surely_not(text[:SHOWING], code)) is not None:
            return f"the {what} is in another language than was asked for ({found}, not {code})"
    return None


def _other_languages(seed: Seed) -> bool:
    """Return whether the seed's answer is certainly in another language than its question."""
    return seed.answer is not None and _unlike(seed.answer, seed.question.text) is not None


def _unlike(text: str, like: str) -> str | None:
    """Return the two languages if they certainly differ, as `fr, not en`."""
    mine = LETTERS.findall(text[:SHOWING].casefold())
    if sum(map(_words(like).__contains__, mine)) >= SAME_WORDS * len(mine):
        return None
    language = language_of(like)
    if language is None or (found := surely_not(text, language)) is None:
        return None
    return f"{found}, not {language}"


@lru_cache(maxsize=16_384)
def _words(text: str) -> frozenset[str]:
    return frozenset(LETTERS.findall(text.casefold()))
