"""Read numbers in English, Chinese and Japanese words: `one hundred and five`, `two thirds`, `half`, `二十五`, `三万`.

`numbers.py` reads the text after the number.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from axolotl_synthetic.numerals import SCALES, UNITS

_ORDINALS = """third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth
    eighteenth nineteenth twentieth"""
FRACTIONS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4} | {
    f"{word}{plural}": value
    for word, value in (*zip(_ORDINALS.split(), range(3, 21), strict=True), ("hundredth", 100), ("thousandth", 1_000))
    for plural in ("", "s")
}
# `one` is also a pronoun, and `second` is also a unit, so neither is here.
NUMBER_WORDS = (frozenset(UNITS) | frozenset(SCALES) | frozenset(FRACTIONS)) - {"one"}
_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_HAN = re.compile(r"(?P<number>[〇零一二两兩三四五六七八九十百千万萬億亿]+)(?P<rest>.*)")
# Before any other character the number is part of a word: `三角形` is a triangle.
_HAN_COUNTED = "个個只支枝本颗顆粒枚张張位名条條件つ人块元円天年小分秒米厘毫公克升斤岁歳匹台辆冊"
_HAN_SCALES = {10: 1, 100: 1, 1_000: 1, 10_000: 0, 100_000_000: 0}


@dataclass(frozen=True, slots=True)
class Spelled:
    """A number in words, and the text after it.

    Attributes:
        takes_magnitude: True if a word of magnitude may follow, as in `half a million`.
    """

    value: Fraction
    rest: str = ""
    takes_magnitude: bool = False


def spelled(text: str) -> Spelled | None:
    """Read the number in words that a text begins with; None if it begins with none."""
    if not text or not text[0].isalpha():
        return _han(text)
    if not text[0].isascii():
        return _han(text)
    words = [(match[0].lower(), match.end()) for match in _WORD.finditer(text)]
    negative = words[0][0] in ("minus", "negative")
    sign, at = (-1 if negative else 1), int(negative)
    following = [word for word, _ in words[at + 1 : at + 2]]
    if words[at : at + 1] and words[at][0] in ("a", "an") and following and (following[0] in SCALES or following[0] in FRACTIONS):
        words[at] = ("one", words[at][1])
    elif words[at : at + 1] and words[at][0] == "half":
        counted = re.sub(r"^\s+(?:of\s+)?an?\b", "", text[words[at][1] :])
        return Spelled(Fraction(sign, 2), counted.strip(), takes_magnitude=True)
    value, at = _english(words, at)
    if value is None:
        return None
    end = words[at - 1][1]
    names = [word for word, _ in words[at:]]
    if names[:1] == ["and"] and (part := _part(words, at + 1)) is not None:
        value, end = value + part[0], part[1]
    elif names and names[0] in FRACTIONS:
        below = FRACTIONS[names[0]]
        if value >= below and not names[0].endswith("s"):  # `twenty-fifth` is no 20/5
            return None
        value, end = value / below, words[at][1]
    if re.search(r"[^A-Za-z\s-]", text[:end]) or (text[end:].strip() and not text[end].isspace()):
        return None
    return Spelled(sign * value, text[end:].strip())


def _part(words: list[tuple[str, int]], at: int) -> tuple[Fraction, int] | None:
    """Read a fraction at index `at`, such as `a half` or `three quarters`; return it and where it ends."""
    value, behind = (Fraction(1), at + 1) if words[at : at + 1] and words[at][0] in ("a", "an") else _english(words, at)
    if value is None or behind >= len(words) or words[behind][0] not in FRACTIONS:
        return None
    return value / FRACTIONS[words[behind][0]], words[behind][1]


def _english(words: list[tuple[str, int]], at: int) -> tuple[Fraction | None, int]:
    """Add up the words from index `at`; return their number, None if there is none, and the index after them."""
    total = current = 0
    last, start = "", at
    while at < len(words):
        word = words[at][0]
        if word == "and" and last in ("hundred", "thousand", "million", "billion") and at + 1 < len(words) and words[at + 1][0] in UNITS:
            at += 1
            continue
        if word in UNITS:
            if last in UNITS and not (UNITS[last] >= 20 and 0 < UNITS[word] < 10):
                return None, at
            current += UNITS[word]
        elif word in SCALES and last:
            current *= SCALES[word]
            if SCALES[word] >= 1_000:
                total, current = total + current, 0
        else:
            break
        last, at = word, at + 1
    return (None if at == start else Fraction(total + current)), at


def _han(text: str) -> Spelled | None:
    if "分之" in text:  # `三分之二`, and `百分之五` for 5%
        below, above = (_han(part) for part in text.split("分之", 1))
        if below is None or above is None or below.rest or not below.value:
            return None
        return Spelled(above.value, f"% {above.rest}".strip()) if below.value == 100 else Spelled(above.value / below.value, above.rest)
    match = _HAN.match(text)
    if match is None or (match["rest"] and match["rest"].lstrip()[:1] not in _HAN_COUNTED):
        return None
    total = section = digit = 0
    figures = 0
    for letter in match["number"]:
        value = 0 if letter in "〇零" else 2 if letter in "两兩" else int(unicodedata.numeric(letter))
        if value >= 10_000:
            total, section, digit, figures = (
                (total + section + digit) * value if total < value else total + (section + digit) * value,
                0,
                0,
                0,
            )
        elif value >= 10:
            section, digit, figures = section + (digit or 1) * value, 0, 0
        else:
            # `二〇二四` is a row of figures; a zero inside `二百零五` adds nothing.
            digit, figures = (digit * 10 + value, figures + 1) if figures else (value, 1)
    return Spelled(Fraction(total + section + digit), match["rest"].strip())
