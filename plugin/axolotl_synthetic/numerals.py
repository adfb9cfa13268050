"""Notation of numbers: digits of all scripts, decimal commas and points, English number words.

The seeds use it to find their convention, the tasks to compare answers, and the checks to find a question's numbers. `tasks/numbers.py`
defines what a number means with its unit.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Decimal = Literal["comma", "point"]
_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
UNITS = {word: value for value, word in enumerate(_ONES.split())} | {word: 10 * n for n, word in enumerate(_TENS.split(), start=2)}
SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000, "dozen": 12}
# Numerals with only one meaning under a decimal comma: not the list `1,2,3`, the pair `(1,2)`, or `0.125`, which has no groups.
_WITH_COMMA = re.compile(r"(?<![\d.,])(?:[1-9]\d{0,2}(?:\.\d{3})+(?:,\d+)?|\d+,\d+)(?!\d|[.,]\d)")
_SEPARATED = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)+(?!\d)")
_CONVENTIONS: dict[Decimal, re.Pattern[str]] = {
    "comma": re.compile(r"[1-9]\d{0,2}(?:\.\d{3})+,\d+|[1-9]\d{0,2}(?:\.\d{3}){2,}|0,\d+|\d+,\d{1,2}"),
    "point": re.compile(r"[1-9]\d{0,2}(?:,\d{3})+\.\d+|[1-9]\d{0,2}(?:,\d{3}){2,}|0\.\d+|\d+\.\d{1,2}"),
}
# `3.600` alone is 3600 or 3.6: it supports other evidence but decides nothing.
_UNDECIDED: dict[Decimal, re.Pattern[str]] = {"comma": re.compile(r"[1-9]\d{0,2}\.\d{3}"), "point": re.compile(r"[1-9]\d{0,2},\d{3}")}
# `(1,2)` is a pair, and `1,2 and 3` are three numbers.
_NO_DECIMAL = re.compile(r"\s(?:and|or)\b|[)\]}]")
_SPACES = re.compile(r"[\u00a0\u2007\u2009\u202f]")
_GROUPED = re.compile(r"(?<![\d.,'’])[1-9]\d{0,2}(?:([ '’])\d{3})(?:\1\d{3})*(?![\d'’]|\s*/|\s\d)")
_SIGNS = {"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "－": "-", "٪": "%", "⁄": "/", "∕": "/"}


@dataclass(frozen=True, slots=True)
class Convention:
    """Convention for `,` and `.` that texts follow (None: undecided), with a note for the user where needed."""

    decimal: Decimal | None
    note: str | None = None


def with_point(text: str) -> str:
    """Rewrite numerals with a decimal comma as ones with a decimal point and without groups: `3.600` to `3600`, `16,5` to `16.5`."""
    return _WITH_COMMA.sub(_pointed, text)


def _pointed(match: re.Match[str]) -> str:
    around = match.string[match.start() - 1 : match.start()], match.string[match.end() : match.end() + 1]
    if "." not in match[0] and around[0] in ("(", "[", "{") and around[1] in (")", "]", "}"):
        return match[0]
    return match[0].replace(".", "").replace(",", ".")


def find_convention(texts: Iterable[str]) -> Convention:
    """Decide whether numbers in these texts have a decimal comma or a decimal point.

    Args:
        texts: the seeds' questions and answers.
    """
    found: Counter[Decimal] = Counter()
    weak: Counter[Decimal] = Counter()
    example: dict[str, str] = {}
    for text in texts:
        for match in _SEPARATED.finditer(text):
            for decimal, pattern in _CONVENTIONS.items():
                if pattern.fullmatch(match[0]) and not (decimal == "comma" and _NO_DECIMAL.match(text, match.end())):
                    found[decimal] += 1
                    example.setdefault(decimal, match[0])
                elif _UNDECIDED[decimal].fullmatch(match[0]):
                    weak[decimal] += 1
                    example.setdefault(f"undecided {decimal}", match[0])
    comma, point = found["comma"] + weak["comma"], found["point"] + weak["point"]
    remedy = "set seeds.decimal to `comma` or `point` to decide it"
    if found["comma"] and comma > point:
        counted = f"{comma:,} numbers are written with a decimal comma, such as {example['comma']}, and {point:,} with a point"
        return Convention("comma", f"{counted}: `,` and `.` are read so in all seeds and replies; {remedy}")
    if found["comma"] and comma * 4 > point:
        counted = f"{point:,} numbers are written with a decimal point and {comma:,} with a comma, such as {example['comma']}"
        return Convention("point", f"{counted}: all are read with a point; {remedy}")
    if weak["comma"] and not found["point"] and not weak["point"]:
        number = example["undecided comma"]
        means = f"{number} is read as {number.rstrip('0').rstrip('.')}"
        return Convention(None, f"{means}; set `seeds.decimal: comma` if it means {number.replace('.', '')}, or `point`")
    return Convention("point" if point else None)


@lru_cache(maxsize=4_096)
def plain(text: str, decimal: Decimal | None = None) -> str:
    """Rewrite a text's numerals in ASCII digits with a decimal point, such as `１２`, `٣٫٥`, `½`, `1 000` and `1’000`; dashes as `-`."""
    if not text.isascii():
        text = "".join(_plain_letter(letter, decimal) for letter in text)
    if " " in text or "'" in text or "’" in text:
        text = _GROUPED.sub(lambda match: re.sub(r"[ '’]", "", match[0]), text)
    return with_point(text) if decimal == "comma" else text


def _plain_letter(letter: str, decimal: Decimal | None) -> str:
    if letter.isascii():
        return letter
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    if letter in _SIGNS:
        return _SIGNS[letter]
    if letter in "٫٬":  # Arabic decimal and thousands separators
        return "," if (letter == "٫") == (decimal == "comma") else "."
    if _SPACES.match(letter):
        return " "
    if unicodedata.category(letter) == "No" and "⁄" in (fraction := unicodedata.normalize("NFKC", letter)):
        return f" {fraction.replace('⁄', '/')}"
    return unicodedata.normalize("NFKC", letter) if "！" <= letter <= "～" or letter == "％" else letter
