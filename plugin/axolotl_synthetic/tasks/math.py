"""Math word problems: a worked solution that ends in one value.

How plain numbers are read stands in `numbers.py`; what else may be equal is math-verify's to say, through `verifier.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from axolotl_synthetic.records import Message, Question, Seed
from axolotl_synthetic.tasks.numbers import read_number, written
from axolotl_synthetic.tasks.replies import read_question, read_yes_no
from axolotl_synthetic.tasks.templates import chat, chat_by_pattern
from axolotl_synthetic.tasks.verifier import same_expression

# A final answer stands at a reply's end; a runaway reply is not read further back than this many characters.
LONGEST_READ = 20_000
LONGEST_ANSWER = 200
LONGEST_PROSE = 5  # words, for an answer that is no number: `Monday`, `the red car`
# GSM8K notes its calculator's calls in double angle brackets (github.com/openai/grade-school-math).
_CALCULATOR = re.compile(r"<<[^<>\n]*>>")
_HASHES = re.compile(r"(?<!#)####(?!#)[ \t*]*(?:(?:the )?(?:final )?answer\b(?: is)?[ \t*:]*)?\s*([^\n]*)", re.IGNORECASE)
_SPOKEN = re.compile(r"\banswer\b[^\n.:=]{0,60}?(?:\b(?:is|be)\b|:|=)[\s:*]*([^\n]*)", re.IGNORECASE)
# `60, 61` are two values, and `60, as each …` is one.
_SENTENCE_END = re.compile(r"[.!?](?=\s|$)|,\s(?!\s*[-$]?\d)|;(?!\s*[-$]?\d)|\s(?:because|since|as|so|which)\b", re.IGNORECASE)
_WRAPPED = ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("$", "$"), ("`", "`"), ('"', '"'), ("“", "”"))
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox|textit)\s*\{([^{}]*)\}")
_NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?%?")
_FUNCTIONS = frozenset(("sin", "cos", "tan", "log", "exp", "sqrt"))


class Math:
    name = "math"
    required: tuple[str, ...] = ("question",)
    optional: tuple[str, ...] = ("answer",)
    has_final_answer = True

    def problem(self, seed: Seed) -> str | None:
        if seed.answer is None:
            return None
        gold, solution = self.gold_answer(seed), self.solution(seed)
        if gold is None or solution is None:
            return "answer marks no final answer; put it behind #### on the last line or in \\boxed{}"
        found = self.final_answer(solution, seed.question)
        if found is None or not self.equivalent(gold, found, seed.question):
            return f"answer's own final answer {gold!r} reads as {found!r}; put one value behind #### on the last line"
        return None

    def prompt(self, question: Question) -> str:
        return question.text

    def solution(self, seed: Seed) -> str | None:
        return _solution(seed)

    def answer_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        turns: list[Message] = []
        for example in examples:
            solution = self.solution(example)
            # A bare value would teach the teacher to skip the reasoning.
            if solution is not None and not solution.startswith("####"):
                turns += [{"role": "user", "content": example.question.text}, {"role": "assistant", "content": solution}]
        return chat(self.name, "answer", turns, question=question.text)

    def rephrase_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        return chat(self.name, "rephrase", question=question.text)

    def new_question_messages(self, question: Question, examples: Sequence[Seed]) -> tuple[Message, ...]:
        patterns = [*(example.question.text for example in examples[:3]), question.text]
        return chat_by_pattern(self.name, "new_question", patterns)

    def self_check_messages(self, question: Question) -> tuple[Message, ...]:
        return chat(self.name, "self_check", question=question.text)

    def read_rephrase(self, reply: str, question: Question) -> Question | None:
        text = read_question(reply)
        return None if text is None else replace(question, text=text)

    def read_new_question(self, reply: str, question: Question) -> Question | None:
        text = read_question(reply)
        return None if text is None else Question(text)

    def read_self_check(self, reply: str) -> bool | None:
        return read_yes_no(reply)

    def final_answer(self, text: str, question: Question) -> str | None:
        """The last value behind `####`, else in `\\boxed{}`, else behind "answer is"; a plain number as digits alone."""
        return _final_answer(text)

    def loose_answer(self, text: str, question: Question) -> str | None:
        """The marked one, else the last number, as lm-eval's flexible reading of GSM8K does it."""
        marked = self.final_answer(text, question)
        if marked is not None:
            return marked
        numbers = _NUMBER.findall(text[-LONGEST_READ:])
        return _value(numbers[-1]) if numbers else None

    def gold_answer(self, seed: Seed) -> str | None:
        return _gold_answer(seed)

    def equivalent(self, one: str, other: str, question: Question) -> bool:
        """Equal in value: `1/2` is `0.5`, and `50%` is both 50 and 0.5, as in math-verify. `one` is the gold answer."""
        return _equivalent(one, other)


def _final_answer(text: str) -> str | None:
    prose = None
    for raw in _marked(text[-LONGEST_READ:]):
        value = _value(raw)
        if value is not None and not _is_prose(value):
            return value
        prose = prose or value
    return prose


# A seed is asked about for every one of its samples, and the worked examples for every call.
@lru_cache(maxsize=16_384)
def _gold_answer(seed: Seed) -> str | None:
    if seed.answer is None:
        return None
    marked = _final_answer(seed.answer)
    # Without a mark the whole answer is the value, if it can be one.
    return marked if marked is not None else _value(seed.answer)


@lru_cache(maxsize=1_024)
def _solution(seed: Seed) -> str | None:
    gold = _gold_answer(seed)
    if seed.answer is None or gold is None:
        return None
    text = _CALCULATOR.sub("", seed.answer)
    marks = list(_HASHES.finditer(text))
    if marks:
        work = text[: marks[-1].start()].strip()
    elif next(_marked(text), None) is not None:
        work = text.strip()
    else:
        work = ""
    return f"{work}\n#### {gold}".lstrip()


@lru_cache(maxsize=65_536)
def _equivalent(one: str, other: str) -> bool:
    if max(len(one), len(other)) > LONGEST_ANSWER:
        return one == other
    one, other = _clean(one), _clean(other)
    if one.casefold() == other.casefold():
        return one != ""
    first, second = read_number(one), read_number(other)
    if first is not None and second is not None:
        gaps = [abs(x - y) for x in _readings(*first) for y in _readings(*second)]
        # math-verify rounds to six decimals; what is that close is for it to decide.
        return min(gaps) == 0 or (min(gaps) < 1e-5 and same_expression(_latex(one), _latex(other)))
    if _is_prose(one) or _is_prose(other):
        return False
    # math-verify drops indices, and with them the base that a number is written in.
    if ("_" in one) != ("_" in other):
        return False
    return same_expression(_latex(one), _latex(other))


def _readings(value: Fraction, percent: bool) -> tuple[Fraction, ...]:
    return (value, value / 100) if percent else (value,)


def _latex(text: str) -> str:
    number = read_number(text)
    return (written(number[0]) + "%" * number[1] if number else text).replace("%", r"\%").replace("**", "^")


def _marked(text: str) -> Iterator[str]:
    """What stands behind each mark: the mark that the teacher was told to use first, the last of each kind first."""
    yield from (match[1] for match in reversed(list(_HASHES.finditer(text))))
    yield from _boxed(text)
    for match in reversed(list(_SPOKEN.finditer(text))):
        yield _SENTENCE_END.split(match[1], maxsplit=1)[0]


def _boxed(text: str) -> Iterator[str]:
    """The contents of the last `\\boxed{}` whose braces close."""
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
def _value(raw: str) -> str | None:
    """One value in its normal form, None where there is none to read."""
    if len(raw.strip()) > LONGEST_ANSWER:
        return None
    text = _clean(raw)
    if (number := read_number(text)) is None and "=" in text and not re.search(r"[,;<>≤≥≠!]|\b(?:and|or)\b", text):
        text = _clean(text.rpartition("=")[2])
        number = read_number(text)
    if number is not None:
        return written(number[0]) + "%" * number[1]
    if not any(letter.isalnum() for letter in text) or "\n" in text:
        return None
    return None if _is_prose(text) and len(text.split()) > LONGEST_PROSE else text


def _clean(raw: str) -> str:
    """Without Markdown, LaTeX delimiters and a full stop; what is left is the value and its unit."""
    text = _TEXT.sub(r" \1 ", raw).strip()
    for mark, plain in (("{,}", ","), (r"\,", ""), (r"\!", ""), (r"\ ", " "), ("^{\\circ}", "°"), ("^\\circ", "°"), (r"\%", "%")):
        text = text.replace(mark, plain)
    for _ in range(4):
        before = text
        text = text.strip().rstrip(".,;:").strip(" *")
        for opening, closing in _WRAPPED:
            inner = text[len(opening) : -len(closing)]
            if len(text) > len(opening) + len(closing) and text.startswith(opening) and text.endswith(closing) and opening not in inner:
                text = inner
                break
        if text.startswith(r"\boxed{") and text.endswith("}"):
            text = text[len(r"\boxed{") : -1]
        if text == before:
            break
    return re.sub(r"\s+", " ", text.replace(r"\$", "$")) if "\n" not in text else text


def _is_prose(text: str) -> bool:
    """Whether words stand in it that are no part of a formula. math-verify would take `no` and `on` for equal products."""
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\\[A-Za-z]+", " ", text))
    return (text.isalpha() and len(text) > 1) or any(len(word) > 2 and word not in _FUNCTIONS for word in words)


TASK = Math()
