"""Read final answers by kind: number, time, date, ratio, range, interval, set, equation, expression or text.

An answer is never reduced to the last number in it; one of no other kind is text. `numbers.py` reads numbers, and `equality.py` compares
answers.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from axolotl_synthetic.numerals import Decimal, plain
from axolotl_synthetic.tasks.amounts import Amount
from axolotl_synthetic.tasks.bounds import read_bound
from axolotl_synthetic.tasks.dates import read_date, read_time
from axolotl_synthetic.tasks.notation import is_prose
from axolotl_synthetic.tasks.numbers import read_number
from axolotl_synthetic.tasks.units import NONE, Unit, unit_of
from axolotl_synthetic.tasks.words import says_nothing

Kind = Literal["number", "time", "date", "pair", "group", "equation", "relation", "bound", "expression", "text"]
_SUPERSCRIPT = re.compile(r"⁻?[⁰¹²³⁴-⁹]+")
_SIGNS = (
    ("<=", "≤"), (">=", "≥"), ("!=", "≠"), (r"\leqslant", "≤"), (r"\geqslant", "≥"), (r"\leq", "≤"), (r"\geq", "≥"), (r"\neq", "≠"),
    (r"\pm", "±"), (r"\{", "{"), (r"\}", "}"), (r"\lbrace", "{"), (r"\rbrace", "}"),
    ("∠", r"\angle "), ("…", r"\ldots"), (r"\dots", r"\ldots"), (r"\cdots", r"\ldots"), ("...", r"\ldots"),
)  # fmt: skip
_SIGN_WORDS = tuple(
    (re.compile(rf"\\(?:{words})(?![A-Za-z])"), sign)
    for words, sign in (("left|right", ""), ("le", "≤"), ("lt", "<"), ("gt", ">"), ("ge", "≥"), ("ne", "≠"))
)
_RELATION = re.compile(r"[<>≤≥≠∈]|\\(?:in|gt|lt|notin|subset|subseteq|equiv)(?![A-Za-z])")
_RANGE = re.compile(
    r"(?:from\s+|between\s+)?(?P<low>\S.*?)\s*(?P<sign>-|\bto\b|\bthrough\b|\band\b)\s*(?P<high>[$€£¥₹]?\d.*)", re.IGNORECASE
)
# A quotient with a remainder, and an ordinal: neither is a product of letters.
_REMAINDER = re.compile(r"(?P<quotient>-?\d+),?\s*(?:R|r|rem\.?|(?:with |and )?(?:a )?remainder(?: of)?)\s*(?P<rest>\d+)")
_ORDINAL_WORDS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_ORDINAL = re.compile(rf"(?P<place>\d+)(?:st|nd|rd|th)|(?P<word>{'|'.join(_ORDINAL_WORDS)})", re.IGNORECASE)
_NOTHING = re.compile(
    r"∅|\\(?:emptyset|varnothing)|\{\s*\}|(?:the )?empty set|(?:there (?:is|are) |it has )?no (?:solutions?|roots?)(?: exists?)?"
    r"|(?:the equation |it )?has no solutions?",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*[,;]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+", re.IGNORECASE)
_RESPECTIVELY = re.compile(r",?\s+respectively\Z", re.IGNORECASE)
_OPEN, _CLOSE = "([{", ")]}"
# A derivative such as `dy/dx`, in plain text or as a fraction.
DERIVATIVE = re.compile(
    r"\\frac\s*\{\s*(?P<d>d|\\partial)\s*(?:\^\{?(?P<n>\d)\}?)?\s*(?P<of>[A-Za-z])\s*\}\s*\{\s*(?:d|\\partial)\s*(?P<by>[a-z])(?:\^\{?\d\}?)?\s*\}"
    r"|(?<![A-Za-z\\])d(?:\^\{?(?P<n2>\d)\}?)?(?P<of2>[A-Za-z])\s*/\s*d(?P<by2>[a-z])(?:\^\{?\d\}?)?(?![A-Za-z])"
)
_NAME = re.compile(
    r"(?:m\s*)?\\(?:angle|measuredangle|triangle|overline|vec|widehat)\s*\{?\s*[A-Za-z]{1,4}\s*\}?"
    r"|(?:[A-Za-z]|\\(?!frac|sqrt|sum|int)[a-z]+|[A-Z]{2,4})(?:_(?:\w|\{[^{}]*\}))?'*(?:\(\s*[A-Za-z](?:,\s*[A-Za-z])*\s*\))?(?:\^\{?-1\}?\(\s*[A-Za-z]\s*\))?"
)
VARIABLE = re.compile(r"(?<![A-Za-z\\])(?:[A-Za-z]|[b-df-hj-np-tv-z]{2,4})(?![A-Za-z])")
_UNIT_BEHIND = re.compile(r"(?P<head>.*(?:[\d})\]π]|\\pi))\s*(?P<unit>(?:(?<=\s)[A-Za-z]|[$€£%°])[^\d\\=<>{}()]*(?:\^?\{?[23]\}?)?)")


@dataclass(frozen=True, slots=True)
class Value:
    """One final answer.

    Attributes:
        kind: kind of answer.
        text: text that was read, with ASCII digits and a decimal point.
        amount: set for a number.
        parts: members of a group or a pair; the two sides of an equation.
        mark: brackets of a group (empty for a list, `remainder` for a division), sign of a pair, or the name that an equation gives a value
            to.
        unit: unit of an expression.
        numbers: hour, minute and second; or year, month and day.
    """

    kind: Kind
    text: str
    amount: Amount | None = None
    parts: tuple[Value, ...] = ()
    mark: str = ""
    unit: Unit = NONE
    numbers: tuple[int | None, ...] = ()


@lru_cache(maxsize=16_384)
def read_value(text: str, decimal: Decimal | None = None) -> Value:
    """Read a final answer.

    Args:
        text: without Markdown and LaTeX delimiters, see `notation.cleaned`.
        decimal: the convention of the seeds; None reads `.` as a decimal point.
    """
    return _read(plain(text, decimal))


def _read(text: str) -> Value:
    text = text.strip()
    if (amount := read_number(text)) is not None:
        return Value("number", text, amount)
    for sign, other in _SIGNS:
        text = text.replace(sign, other)
    read = text
    if "\\" in text:
        for pattern, other in _SIGN_WORDS:
            text = pattern.sub(other, text)
    if not text.isascii():
        text = _SUPERSCRIPT.sub(lambda match: f"^{{{unicodedata.normalize('NFKC', match[0]).replace('−', '-')}}}", text)
    if text != read:
        text = text.strip()
        if (amount := read_number(text)) is not None:
            return Value("number", text, amount)
    if _NOTHING.fullmatch(text):
        return Value("text", "∅")
    for reader in (_time, _date, _remainder, _ordinal, _bound, _pair, _group, _list, _equation, _both_signs):
        if (value := reader(text)) is not None:
            return value
    relation = _RELATION.search(text) is not None
    # `1e400` is too large a number, and `12:00:…` is not a formula; math-verify would read other values in them.
    if (is_prose(text) and not relation) or re.search(r":|\\ldots|\?|\d[eE][+-]?\d|^[\d\s-]+$|[^\W\d_]{25}", text):
        return Value("text", text)
    unit, match = NONE, _UNIT_BEHIND.fullmatch(text)
    if match is not None and (found := unit_of(match["unit"])) is not None:
        text, unit = match["head"], found
    return Value("relation" if relation else "expression", text, unit=unit)


def _time(text: str) -> Value | None:
    found = read_time(text)
    return None if found is None else Value("time", text, numbers=found[0], mark="marked" if found[1] else "")


def _date(text: str) -> Value | None:
    numbers = read_date(text)
    return None if numbers is None else Value("date", text, numbers=numbers)


def _bound(text: str) -> Value | None:
    found = read_bound(text)
    if found is None:
        return None
    sign, amount = found
    return Value("bound", text, parts=(Value("number", text, amount),), mark=sign) if sign else Value("number", text, amount)


def _remainder(text: str) -> Value | None:
    match = _REMAINDER.fullmatch(text)
    return None if match is None else Value("group", text, parts=(_read(match["quotient"]), _read(match["rest"])), mark="remainder")


def _ordinal(text: str) -> Value | None:
    match = _ORDINAL.fullmatch(text)
    if match is None:
        return None
    return Value("text", str(int(match["place"]) if match["place"] else _ORDINAL_WORDS.index(match["word"].lower()) + 1) + ".")


def _pair(text: str) -> Value | None:
    """Read `3:2`, `3 to 2`, `10-15`, `from 10 to 15 km`."""
    if ":" in text:
        terms = [_read(term) for term in text.split(":")]
        if all(term.kind == "number" for term in terms):
            return Value("pair", text, parts=tuple(terms), mark=":")
    match = _RANGE.fullmatch(text)
    if match is None or (match["sign"].lower() == "and") != text.lower().startswith("between"):
        return None
    low, high = _read(match["low"]), _read(match["high"])
    if low.kind != high.kind or low.kind not in ("number", "time", "date"):
        return None
    if low.amount is not None and high.amount is not None and not low.amount.unit.of:
        low = replace(low, amount=replace(low.amount, unit=high.amount.unit))
    return Value("pair", text, parts=(low, high), mark="to" if match["sign"].lower() == "to" else "-")


def _group(text: str) -> Value | None:
    """Read a text that is wholly in brackets: an interval, a tuple or a set. Round brackets around one value are dropped."""
    if len(text) < 2 or text[0] not in _OPEN or text[-1] not in _CLOSE or _closing(text) != len(text) - 1:
        return None
    inner = text[1:-1].strip()
    parts = _split(inner, within=True)
    if len(parts) == 1 and text[0] == "(":
        return _read(inner) if inner and text[-1] == ")" else None
    return Value("group", text, parts=tuple(_read(part) for part in parts if part), mark=text[0] + text[-1])


def _closing(text: str) -> int:
    """Return the index where the first bracket closes, -1 where it does not."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if depth == 0:
            return at
    return -1


def _list(text: str) -> Value | None:
    ordered = _RESPECTIVELY.sub("", text)
    parts = _split(ordered, within=False)
    if len(parts) < 2 or any(not part for part in parts):
        return None
    values = tuple(_read(part) for part in parts)
    if any(value.kind == "relation" for value in values):
        return Value("group", text, parts=values, mark="or" if re.search(r"\bor\b", text, re.IGNORECASE) else "and")
    return Value("group", text, parts=values, mark="in order" if ordered != text else "")


def _split(text: str, *, within: bool) -> list[str]:
    """Split at commas, semicolons, `and` and `or` outside of brackets.

    Args:
        within: True if the text was in brackets, where `1,200` is two numbers unless other commas are followed by a space.
    """
    spaced = ";" in text or ", " in text
    parts, depth, start, at = [], 0, 0, 0
    while at < len(text):
        depth += (text[at] in _OPEN) - (text[at] in _CLOSE)
        match = _SEPARATOR.match(text, at) if depth == 0 and at > start and (text[at] in ",; ") else None
        groups_digits = (spaced or not within) and text[at - 1 : at].isdigit() and re.match(r",\d{3}(?!\d)", text[at : at + 5])
        if match is None or groups_digits:
            at += 1
            continue
        parts.append(text[start:at].strip())
        start = at = match.end()
    return [*parts, text[start:].strip()]


def _equation(text: str) -> Value | None:
    if "=" not in text or _RELATION.search(text):
        return None
    sides = [side.strip() for side in re.split(r"=+", text)]
    if any(not side for side in sides):
        return Value("text", text)
    first, last = sides[0], sides[-1]
    if is_label(first):
        return _read(last) if says_nothing(first) else _named(first, last, text)
    if not any(VARIABLE.search(side) or is_name(side) for side in sides[:-1]):
        return _named(last, first, text) if is_name(last) and len(sides) == 2 else _read(last)
    names = [side for side in sides[:-1] if is_name(side)]
    if len(names) == len(sides) - 1 > 1:  # x = y = 2
        return Value("group", text, parts=tuple(_named(name, last, f"{name}={last}") for name in names))
    if is_name(first):
        return _named(first, last, text)
    if len(sides) == 2 and is_name(last):
        return _named(last, first, text)
    return Value("equation", text, parts=(_read(first), _read(last))) if len(sides) == 2 else Value("text", text)


def _named(name: str, value: str, text: str) -> Value:
    mark = " ".join(name.casefold().split()) if is_label(name) else DERIVATIVE.sub(derivative, name).replace(" ", "")
    return Value("equation", text, parts=(Value("expression", name), _read(value)), mark=mark)


def derivative(match: re.Match[str]) -> str:
    """Write a derivative in its one plain form: `dy/dx`, `d2y/dx2`."""
    n = match["n"] or match["n2"] or ""
    return f"d{n}{match['of'] or match['of2']}/d{match['by'] or match['by2']}{n}"


def is_name(side: str) -> bool:
    """Say whether a side is the name of one thing: `x`, `f(x)`, `AB`, `dy/dx`."""
    return (_NAME.fullmatch(side) or DERIVATIVE.fullmatch(side)) is not None


def is_label(side: str) -> bool:
    """Say whether a side is only a label of the value: `Total cost`, `(x, y)`."""
    if side.startswith("(") and all(_NAME.fullmatch(name) for name in _split(side[1:-1], within=True)):
        return True
    words = re.findall(r"[^\W\d_]+", side)
    # `xy` and `ax` are products.
    named = max(map(len, words), default=0) > 2 and all(not word.isascii() or re.search("[aeiouy]", word.lower()) for word in words)
    return is_prose(side) and named and not re.search(r"[\d+*/^\\]", side)


def _both_signs(text: str) -> Value | None:
    if text.count("±") != 1:
        return None
    parts = tuple(_read(text.replace("±", sign).strip().removeprefix("+")) for sign in ("+", "-"))
    return Value("group", text, parts=parts, mark="{}")
