"""Is the answer there, whole, in the task's form and in the seed's language? Whether it is right is for `final_answer`.

Each part is made to miss rather than to refuse what is right: a refusal must open the answer (`refusals.py`), a language must be
certain (`languages.py`), and contradicting final answers must stand in the last lines.
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

# No limit of tokens in use lets a model write more; what does is a server that ran away.
LONGEST = 200_000
# Where a final answer is marked. What stands in the last lines is what a reader takes for the answer; a spoken one counts only behind
# the last of the other marks, since work that leads up to an answer speaks of answers, too.
_MARK = re.compile(r"####|\\boxed\s*\{|^\W*(?:final )?answer\s*:", re.IGNORECASE)
_SPOKEN = re.compile(r"\banswer\b[^\n]{0,40}?(?:\bis\b|:)", re.IGNORECASE)
_PIECES = re.compile(r"(?=####|\\boxed\s*\{)")
_WORD = re.compile(r"[^\W\d_]{2,}")
# A number with its unit and words, as the math task writes one: `100 cm`, `$7.5 per hour`, `72 cards`.
_AMOUNT = re.compile(r"-?[$€£¥₹]?\d[\d.,/]*\D{0,60}")
LAST_LINES = 3
LONGEST_LINE = 2_000
# Control characters, and those that turn the order of writing round so that a text reads otherwise than it is.
_HIDDEN = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f\u202d\u202e]")
# An answer of which so many words are the seed's own is in its language; that is so for nine of ten, and spares asking for it.
SAME_WORDS = 0.5
SHOWING = 600  # characters, from which a language shows


class Options(Block):
    """What is looked for besides an answer that is whole and has the task's form."""

    refusals: bool = True
    """Whether an answer that is a refusal is rejected."""
    language: bool = True
    """Whether an answer, and a question of the candidate's own, must be in the seed's language."""


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """The check."""
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
    """Every final answer that the last lines mark, one at a time."""
    lines = [line for line in answer[-LAST_LINES * LONGEST_LINE :].splitlines() if line.strip()][-LAST_LINES:]
    marked = False
    for piece in (piece for line in lines for piece in _PIECES.split(line)):
        if _MARK.search(piece) or (marked and _SPOKEN.search(piece)):
            marked = True
            # `#### Step 1` is a heading.
            found = task.final_answer(piece, question)
            if found is not None and (_AMOUNT.fullmatch(found) or not _WORD.search(found)):
                yield found


def _other_language(candidate: Candidate, seed: Seed, task: Task, keeps_answer: Mapping[str, bool]) -> str | None:
    question, answer = candidate.question, candidate.answer
    assert question is not None and answer is not None
    # A seed's own pair stays in the seed's language, whatever its samples are asked for in.
    if candidate.id != own_id(seed) and (wanted := language_for(task)) is not None:
        own = None if question.text == seed.question.text else question.text
        return _not_in(wanted, own, answer if getattr(task, "prose", True) else None)
    if question.text != seed.question.text and (other := _unlike(question.text, seed.question.text)) is not None:
        return f"the question is in another language than the seed's ({other})"
    # A query or a program is in no language; and only the seed's own answer says whether `Translate into German` was meant for it.
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
    """Say what is surely not in the language that was asked for; a language that is not known by its name is not looked for."""
    if (code := code_of(wanted)) is None:
        return None
    for what, text in (("question", question), ("answer", answer)):
        if text is not None and (found := surely_not(text[:SHOWING], code)) is not None:
            return f"the {what} is in another language than was asked for ({found}, not {code})"
    return None


def _other_languages(seed: Seed) -> bool:
    """Whether the seed's answer is surely in another language than its question."""
    return seed.answer is not None and _unlike(seed.answer, seed.question.text) is not None


def _unlike(text: str, like: str) -> str | None:
    """The two languages, where they are certain and not the same: `fr, not en`."""
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
