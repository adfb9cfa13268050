"""Final answers as what they are: a number, a time, a date, a ratio, a range, an interval, a set, an equation, an expression or text.

An answer is never taken for the last number in it, and what is none of these kinds is text. Numbers are read by `numbers.py`; two answers
are compared by `equality.py`.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from axolotl_synthetic.numerals import Decimal, plain
from axolotl_synthetic.tasks.amounts import Amount
from axolotl_synthetic.tasks.numbers import read_number
from axolotl_synthetic.tasks.units import NONE, Unit, unit_of

Kind = Literal["number", "time", "date", "pair", "group", "equation", "relation", "expression", "text"]
_WRAPPED = ((r"\(", r"\)"), (r"\[", r"\]"), ("$$", "$$"), ("$", "$"), ("`", "`"), ('"', '"'), ("“", "”"), ("«", "»"), ("「", "」"))
_TEXT = re.compile(r"\\(?:text|textbf|textrm|mathrm|mathbf|mbox|textit|operatorname)\s*\{([^{}]*)\}")
_LATEX = (
    ("{,}", ","), (r"\,", ""), (r"\!", ""), (r"\;", " "), ("~", " "), (r"^{\circ}", "°"), (r"^\circ", "°"),
    (r"{}^\circ", "°"), (r"\degree", "°"), (r"\%", "%"), (r"\dfrac", r"\frac"), (r"\tfrac", r"\frac"),
    (r"\cfrac", r"\frac"), (r"\displaystyle", ""),
)  # fmt: skip
_SPACE = re.compile(r"(?<!\\)\\ ")  # `\\ ` ends the row of a matrix
_SUPERSCRIPT = re.compile(r"⁻?[⁰¹²³⁴-⁹]+")
_SIGNS = (
    ("<=", "≤"), (">=", "≥"), ("!=", "≠"), (r"\leqslant", "≤"), (r"\geqslant", "≥"), (r"\leq", "≤"), (r"\geq", "≥"), (r"\neq", "≠"),
    (r"\pm", "±"), (r"\{", "{"), (r"\}", "}"), (r"\lbrace", "{"), (r"\rbrace", "}"),
    ("…", r"\ldots"), (r"\dots", r"\ldots"), (r"\cdots", r"\ldots"), ("...", r"\ldots"),
)  # fmt: skip
_SIGN_WORDS = tuple(
    (re.compile(rf"\\(?:{words})(?![A-Za-z])"), sign)
    for words, sign in (("left|right", ""), ("le", "≤"), ("lt", "<"), ("gt", ">"), ("ge", "≥"), ("ne", "≠"))
)
_RELATION = re.compile(r"[<>≤≥≠∈]|\\(?:in|gt|lt|notin|subset|subseteq|equiv)(?![A-Za-z])")
_TIME = re.compile(
    r"(?:at\s+)?(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?(?::(?P<second>\d{2}))?\s*(?:(?P<half>[ap])\.?\s?m\.?|(?P<clock>o'?clock|uhr))?"
    r"(?P<in>\s+in the (?:morning|afternoon|evening))?|(?:12(?::00)?\s*)?(?P<named>noon|midnight))",
    re.IGNORECASE,
)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_MONTH = "|".join([*_MONTHS, *(rf"{month[:3]}\.?" for month in _MONTHS), r"sept\.?"])
_DATE = re.compile(
    rf"(?:on\s+)?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?(?:(?P<y1>\d{{4}})-(?P<m1>\d{{1,2}})-(?P<d1>\d{{1,2}})"
    rf"|(?P<m2>{_MONTH})\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y2>\d{{4}}))?"
    rf"|(?:the\s+)?(?P<d3>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+)?(?P<m3>{_MONTH})(?:,?\s+(?P<y3>\d{{4}}))?)",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?:from\s+|between\s+)?(?P<low>\S.*?)\s*(?P<sign>-|\bto\b|\bthrough\b|\band\b)\s*(?P<high>[$€£¥₹]?\d.*)", re.IGNORECASE
)
_SEPARATOR = re.compile(r"\s*[,;]\s*(?:(?:and|or)\s+)?|\s+(?:and|or)\s+", re.IGNORECASE)
_OPEN, _CLOSE = "([{", ")]}"
_NAME = re.compile(
    r"(?:[A-Za-z]|\\(?!frac|sqrt|sum|int)[a-z]+|[A-Z]{2,4})(?:_(?:\w|\{[^{}]*\}))?'?(?:\(\s*[A-Za-z](?:,\s*[A-Za-z])*\s*\))?(?:\^\{?-1\}?\(\s*[A-Za-z]\s*\))?"
)
VARIABLE = re.compile(r"(?<![A-Za-z\\])(?:[A-Za-z]|[b-df-hj-np-tv-z]{2,4})(?![A-Za-z])")
_UNIT_BEHIND = re.compile(r"(?P<head>.*[\d})\]π])\s*(?P<unit>(?:(?<=\s)[A-Za-z]|[$€£%°])[^\d\\=<>{}()]*(?:\^?\{?[23]\}?)?)")
_FUNCTIONS = frozenset((
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "exp", "sqrt", "arcsin", "arccos", "arctan", "max",
    "min", "gcd", "lcm", "det", "mod", "deg", "cup", "cap", "inf",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """One final answer.

    Attributes:
        kind: what it is.
        text: as it was read, with ASCII digits and a decimal point.
        amount: of a number.
        parts: of a group or a pair; the sides of an equation.
        mark: brackets of a group (none: a list), the sign of a pair, the name to which an equation gives a value.
        unit: of an expression.
        numbers: hour, minute and second; year, month and day.
    """

    kind: Kind
    text: str
    amount: Amount | None = None
    parts: tuple[Value, ...] = ()
    mark: str = ""
    unit: Unit = NONE
    numbers: tuple[int | None, ...] = ()


def cleaned(raw: str) -> str:
    """Remove Markdown, LaTeX delimiters and a full stop; what is left is the value and its unit."""
    text = _TEXT.sub(r" \1 ", raw).strip() if "\\" in raw else raw.strip()
    for mark, other in _LATEX:
        text = text.replace(mark, other)
    text = _SPACE.sub(" ", text)
    for _ in range(4):
        before = text
        text = text.strip().rstrip(".,;:。").strip(" *")
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


def is_prose(text: str) -> bool:
    """Say whether a text holds words that are not part of a formula. math-verify would take `no` and `on` for equal products."""
    words = re.findall(r"[^\W\d_]{2,}", re.sub(r"\\(?:begin|end)\{\w+\}|\\[A-Za-z]+", " ", text))
    return (text.isalpha() and len(text) > 1) or any(len(word) > 2 and word.lower() not in _FUNCTIONS for word in words)


@lru_cache(maxsize=16_384)
def read_value(text: str, decimal: Decimal | None = None) -> Value:
    """Read a final answer.

    Args:
        text: without Markdown and LaTeX delimiters, see `cleaned`.
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
    for reader in (_time, _date, _pair, _group, _list, _equation, _both_signs):
        if (value := reader(text)) is not None:
            return value
    relation = _RELATION.search(text) is not None
    # `1e400` is a number that is too large, and `12:00:…` no formula; math-verify would read others in them.
    if (is_prose(text) and not relation) or re.search(r":|\\ldots|\?|\d[eE][+-]?\d|^[\d\s-]+$|[^\W\d_]{25}", text):
        return Value("text", text)
    unit, match = NONE, _UNIT_BEHIND.fullmatch(text)
    if match is not None and (found := unit_of(match["unit"])) is not None:
        text, unit = match["head"], found
    return Value("relation" if relation else "expression", text, unit=unit)


def _time(text: str) -> Value | None:
    match = _TIME.fullmatch(text)
    if match is None or not (match["named"] or match["minute"] or match["half"] or match["clock"] or match["in"]):
        return None
    if match["named"]:
        return Value("time", text, numbers=(12 if match["named"].lower() == "noon" else 0, 0, 0), mark="marked")
    hour, minute, second = int(match["hour"]), int(match["minute"] or 0), int(match["second"] or 0)
    half = (
        match["half"].lower() if match["half"] else {"m": "a", "a": "p", "e": "p"}.get(match["in"].split()[-1][0]) if match["in"] else None
    )
    if hour > (12 if half else 24) or minute > 59 or second > 59:
        return None
    if half:
        hour = hour % 12 + 12 * (half == "p")
    return Value("time", text, numbers=(hour, minute, second), mark="marked" if half else "")


def _date(text: str) -> Value | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    year, month, day = next((match[f"y{n}"], match[f"m{n}"], match[f"d{n}"]) for n in (1, 2, 3) if match[f"m{n}"])
    number = int(month) if month.isdigit() else 1 + next(at for at, name in enumerate(_MONTHS) if name.startswith(month.lower()[:3]))
    return Value("date", text, numbers=(int(year) if year else None, number, int(day)))


def _pair(text: str) -> Value | None:
    """Read `3:2`, `3 to 2`, `10-15`, `from 10 to 15 km`."""
    if ":" in text:
        terms = [_read(term) for term in text.split(":")]
        return Value("pair", text, parts=tuple(terms), mark=":") if all(term.kind == "number" for term in terms) else None
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
    """Read what stands in brackets from its first letter to its last: an interval, a tuple, a set; what round brackets hold alone."""
    if len(text) < 2 or text[0] not in _OPEN or text[-1] not in _CLOSE or _closing(text) != len(text) - 1:
        return None
    inner = text[1:-1].strip()
    parts = _split(inner, within=True)
    if len(parts) == 1 and text[0] == "(":
        return _read(inner) if inner and text[-1] == ")" else None
    return Value("group", text, parts=tuple(_read(part) for part in parts if part), mark=text[0] + text[-1])


def _closing(text: str) -> int:
    """Return the place where the first bracket closes."""
    depth = 0
    for at, letter in enumerate(text):
        depth += (letter in _OPEN) - (letter in _CLOSE)
        if depth == 0:
            return at
    return -1


def _list(text: str) -> Value | None:
    parts = _split(text, within=False)
    if len(parts) < 2 or any(not part for part in parts):
        return None
    return Value("group", text, parts=tuple(_read(part) for part in parts))


def _split(text: str, *, within: bool) -> list[str]:
    """Split at commas, semicolons, `and` and `or` outside of brackets.

    Args:
        within: whether the text stood in brackets, where `1,200` are two numbers unless other commas have a space behind them.
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
    if _is_label(first) or not any(VARIABLE.search(side) for side in sides[:-1]):
        return _named(last, first, text) if _NAME.fullmatch(last) and len(sides) == 2 and not _is_label(first) else _read(last)
    names = [side for side in sides[:-1] if _NAME.fullmatch(side)]
    if len(names) == len(sides) - 1 > 1:  # x = y = 2
        return Value("group", text, parts=tuple(_named(name, last, f"{name}={last}") for name in names))
    if _NAME.fullmatch(first):
        return _named(first, last, text)
    if len(sides) == 2 and _NAME.fullmatch(last):
        return _named(last, first, text)
    return Value("equation", text, parts=(_read(first), _read(last))) if len(sides) == 2 else Value("text", text)


def _named(name: str, value: str, text: str) -> Value:
    return Value("equation", text, parts=(Value("expression", name), _read(value)), mark=name.replace(" ", ""))


def _is_label(side: str) -> bool:
    """Say whether a side only says what the value is: `Total cost`, `(x, y)`."""
    if side.startswith("(") and all(_NAME.fullmatch(name) for name in _split(side[1:-1], within=True)):
        return True
    words = re.findall(r"[A-Za-z]+", side)
    # `xy` and `ax` are products.
    named = max(map(len, words), default=0) > 2 and all(re.search("[aeiou]", word.lower()) for word in words)
    return is_prose(side) and named and not re.search(r"[\d+*/^\\]", side)


def _both_signs(text: str) -> Value | None:
    if text.count("±") != 1:
        return None
    parts = tuple(_read(text.replace("±", sign).strip().removeprefix("+")) for sign in ("+", "-"))
    return Value("group", text, parts=parts, mark="{}")
