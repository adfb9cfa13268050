"""Math word problems: a worked solution that ends in one final answer.

This file finds the final answer that a reply marks. `values.py` defines the kinds of answers, and `equality.py` when two are equal. The
normal form serves comparison only: training data always holds the text as the seed or the teacher wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from axolotl_synthetic.numerals import Decimal, plain
from axolotl_synthetic.records import Question, Seed
from axolotl_synthetic.tasks.amounts import written_amount
from axolotl_synthetic.tasks.base import TaskBase
from axolotl_synthetic.tasks.equality import same_value
from axolotl_synthetic.tasks.notation import cleaned, is_prose
from axolotl_synthetic.tasks.replies import ANSWER_IN_OTHER_LANGUAGES
from axolotl_synthetic.tasks.values import Value, read_value

# A final answer is at a reply's end; of a runaway reply only this many last characters are read.
LONGEST_READ = 20_000
LONGEST_ANSWER = 200
LONGEST_NORMAL_FORM = 60  # 1e300 would be longer and is not written out
LONGEST_PROSE = 5  # words, for an answer that is not a number: `Monday`, `the red car`
# GSM8K puts its calculator's calls in double angle brackets (github.com/openai/grade-school-math).
_CALCULATOR = re.compile(r"<<[-+*/().,=%$\d\s]*=[-+*/().,=%$\d\s]*>>")
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t*]*(?:(?:the )?(?:final )?answer\b(?: is)?[ \t*:]*)?\s*([^\n]*)", re.IGNORECASE)
_SAID_AGAIN = re.compile(rf"\s*(?:{ANSWER_IN_OTHER_LANGUAGES})[\s:：*]*", re.IGNORECASE)
_COPULA = re.compile(r"\s*(?:です|だ|である|입니다|이다)?[\s*。.]*\Z")
_SPOKEN = re.compile(
    rf"(?:\banswer\b[^\n.:=]{{0,60}}?(?:\b(?:is|be)\b|[:：=])|{ANSWER_IN_OTHER_LANGUAGES})[\s:：*]*([^\n]*)", re.IGNORECASE
)
# A comma ends the answer in `60, as each …` but not in `60, 61` or `x = 1, y = 2`, which are two values. In `5:30 p.m. because …` only the
# second point ends it.
_SENTENCE_END = re.compile(
    r"(?<!\b[ap])[.!?](?=\s|$)|(?<=[ap]\.m)\.\s(?=[A-Z])|,\s(?!\s*(?:and\s|or\s)?(?:[-$]?\d|[A-Za-z]\s*=))|;(?!\s*[-$]?\d)"
    r"|\s(?:because|since|as|so|which|weil|denn|parce que|porque|perché|omdat|потому)\b|。|，(?!\s*\d)|因为|因為",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")
# Infinite, too large and missing numbers, as readers of JSON and of tables write them.
_NO_NUMBER = re.compile(
    r"[+-]?(?:inf|infinity|nan)|[+-]?\d+(?:\.\d+)?e[+-]?\d{4,}|[+-]?\d+(?:\.\d+)?e[+-]?(?:3[1-9]\d|[4-9]\d\d)", re.IGNORECASE
)


class Math(TaskBase):
    name = "math"
    optional: tuple[str, ...] = ("answer",)
    prompts: ClassVar[str] = "math"
    reads_numbers = True
    """True if the seeds' convention for `,` and `.` decides what an answer means."""

    def problem(self, seed: Seed) -> str | None:
        if seed.answer is None:
            return None
        if _NO_NUMBER.fullmatch(seed.answer.rpartition("####")[2].strip()):
            return f"answer {seed.answer[-40:]!r} is not a number that can be compared; correct it, or say what it is, such as \\infty"
        gold, solution = self.gold_answer(seed), self.solution(seed)
        if gold is None or solution is None:
            return "answer marks no final answer; put it behind #### on the last line or in \\boxed{}"
        found = self.final_answer(solution, seed.question)
        if found is None or not self.equivalent(gold, found, seed.question):
            return f"answer's own final answer {gold!r} reads as {found!r}; put one value behind #### on the last line"
        return None

    def solution(self, seed: Seed) -> str | None:
        return None if seed.answer is None else _solution(seed.answer, seed.question.decimal)

    def is_bare(self, solution: str) -> bool:
        return solution.startswith("####")

    def final_answer(self, text: str, question: Question) -> str | None:
        """Return the last value after `####`, else in `\\boxed{}`, else after "answer is"; a number is in digits with its words."""
        return _final_answer(text, question.decimal)

    def loose_answer(self, text: str, question: Question) -> str | None:
        """Return the marked answer, else the last number, like lm-eval's flexible extraction for GSM8K."""
        marked = self.final_answer(text, question)
        if marked is not None:
            return marked
        tail, decimal = text[-LONGEST_READ:], question.decimal
        numbers = _NUMBER.findall(plain(tail, decimal) if decimal == "comma" else tail)
        if not numbers:
            return None
        return _value(_in_convention(numbers[-1]) if decimal == "comma" else numbers[-1], decimal)

    def gold_answer(self, seed: Seed) -> str | None:
        return None if seed.answer is None else _gold_answer(seed.answer, seed.question.decimal)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        """Compare two answers: `1/2` is `0.5`, and `50%` is both 50 and 0.5, as in math-verify. `one` is the gold answer."""
        return _equivalent(one, other, question.decimal)


def _final_answer(text: str, decimal: Decimal | None) -> str | None:
    prose = None
    for raw in _marked(text[-LONGEST_READ:]):
        value = _value(raw, decimal)
        if value is not None and (not is_prose(value) or read_value(value, decimal).amount is not None):
            return value
        prose = prose or value
    return prose


# Cached, because a seed is read for each of its samples, and worked examples for each call. The key is not the seed itself: two seeds that
# differ only in `decimal` compare equal.
@lru_cache(maxsize=16_384)
def _gold_answer(answer: str, decimal: Decimal | None) -> str | None:
    marked = _final_answer(answer, decimal)
    # Without a mark, the whole answer may be the value.
    return marked if marked is not None else _value(answer, decimal)


@lru_cache(maxsize=1_024)
def _solution(answer: str, decimal: Decimal | None) -> str | None:
    """Return the seed's own text without GSM8K's calculator notes; prepend a mark if it has none."""
    if _gold_answer(answer, decimal) is None:
        return None
    text = _CALCULATOR.sub("", answer) if "<<" in answer else answer
    return text if _final_answer(text, decimal) is not None else f"#### {text}"


@lru_cache(maxsize=65_536)
def _equivalent(one: str, other: str, decimal: Decimal | None) -> bool:
    if max(len(one), len(other)) > LONGEST_ANSWER:
        return one == other
    one, other = cleaned(one), cleaned(other)
    if one == other:
        return one != ""
    # Case distinguishes units: `5 mW` is not `5 MW`.
    if one.casefold() == other.casefold() and not one[:1].isdigit():
        return True
    return same_value(read_value(one, decimal), read_value(other, decimal))


def _marked(text: str) -> Iterator[str]:
    """Yield the text after each mark: first the mark that the prompt asks for, and the last of each kind first."""
    yield from (_SAID_AGAIN.sub("", match[1], count=1) for match in reversed(list(_HASHES.finditer(text))))
    yield from _boxed(text)
    for match in reversed(list(_SPOKEN.finditer(text))):
        yield _COPULA.sub("", _SENTENCE_END.split(match[1], maxsplit=1)[0])


def _boxed(text: str) -> Iterator[str]:
    """Yield the contents of the last `\\boxed{}` whose braces close."""
    at = len(text)
    for _ in range(3):
        at = text.rfind(r"\boxed{", 0, at)
        if at < 0:
            return
        depth, start = 0, at + len(r"\boxed")
        for place in range(start, min(len(text), start + 2 * LONGEST_ANSWER)):
            depth += {"{": 1, "}": -1}.get(text[place], 0)
            if depth == 0:
                yield text[start + 1 : place]
                return


@lru_cache(maxsize=4_096)
def _value(raw: str, decimal: Decimal | None) -> str | None:
    """Return one final answer, a number in its normal form; None if there is none."""
    if len(raw.strip()) > LONGEST_ANSWER:
        return None
    text = cleaned(raw)
    if "\n" in text or not (text in ("{}", r"\{\}") or any(letter.isalnum() or letter in "∞∅" for letter in text)):
        return None
    value = read_value(text, decimal)
    # Digits of another script stay, so that the check `format` sees them.
    if value.amount is not None and (text.isascii() or not any(letter.isdecimal() and not letter.isascii() for letter in text)):
        normal = written_amount(value.amount)
        if len(normal) <= LONGEST_NORMAL_FORM:
            return _in_convention(normal) if decimal == "comma" else normal
    if "=" in text and read_value(value_alone := text.rpartition("=")[2].strip(), decimal) == value:  # `Total = 12 boxes and 3 cards`
        text = value_alone
    return text if _words(value) <= LONGEST_PROSE else None


def _words(value: Value) -> int:
    """Count the words of a prose answer, or 0 if it is not prose.

    If a list holds more than prose, as `x = 1 and y = 2` does, count only its longest part.
    """
    if value.kind in ("number", "time", "date", "pair", "bound"):
        return 0
    if value.kind == "equation" and value.mark:
        return _words(value.parts[1])
    parts = value.parts if value.kind == "group" else ()
    if parts and (all(re.search(r"\d", part.text) for part in parts) or not all(is_prose(part.text) and not part.mark for part in parts)):
        return max(map(_words, value.parts))
    return len(value.text.split()) if is_prose(value.text) else 0


def _in_convention(number: str) -> str:
    """Write a normal form for seeds whose `.` groups thousands, so that it reads as the same number."""
    return number.replace(".", ",")


TASK = Math()
