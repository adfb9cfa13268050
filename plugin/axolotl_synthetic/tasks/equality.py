"""Compare final answers, each kind of `values.py` by its own rule, and never by the last number in it.

math-verify compares expressions, through `verifier.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction

from axolotl_synthetic.tasks.amounts import same_amount, written
from axolotl_synthetic.tasks.intervals import intervals
from axolotl_synthetic.tasks.units import PERCENT, convertible
from axolotl_synthetic.tasks.values import DERIVATIVE, VARIABLE, Value, derivative, is_label
from axolotl_synthetic.tasks.verifier import same_expression
from axolotl_synthetic.tasks.words import say_the_same

_ARTICLE = re.compile(r"\A(?:on|the|an?)\s+")
_IN_LATEX = (
    ("**", "^"), ("π", r"\pi "), ("×", r"\times "), ("·", r"\cdot "), ("÷", "/"), ("∞", r"\infty "), ("∪", r"\cup "), ("∩", r"\cap "),
    ("∅", r"\emptyset "), ("≤", r"\leq "), ("≥", r"\geq "), ("≠", r"\neq "), ("∈", r"\in "),
    ("°", r"^\circ "), ("θ", r"\theta "),
)  # fmt: skip


def same_value(one: Value, other: Value) -> bool:
    """Compare two final answers. `one` is the gold answer."""
    if one.amount is not None and other.amount is not None:
        return same_amount(one.amount, other.amount)
    if one.unit == other.unit and (one.text.casefold() == other.text.casefold() or _bare(one) == _bare(other)):
        return one.text != ""
    kinds = {one.kind, other.kind}
    if "text" in kinds:
        return False
    if "bound" in kinds:
        return kinds == {"bound"} and one.mark == other.mark and same_value(one.parts[0], other.parts[0])
    if "equation" in kinds:
        return _same_equation(one, other)
    if kinds == {"time"}:
        return one.numbers == other.numbers
    if kinds == {"date"}:
        return one.numbers == other.numbers
    if "pair" in kinds or "time" in kinds or "date" in kinds:
        return _same_pair(one, other)
    if (first := intervals(one)) is not None and (second := intervals(other)) is not None and kinds != {"group"}:
        return len({first.variable, second.variable} - {""}) < 2 and _matched(first.parts, second.parts)
    if kinds == {"group"}:
        return _same_group(one, other)
    if "group" in kinds:
        single, group = (one, other) if other.kind == "group" else (other, one)
        if group.mark == "{}" and len(group.parts) == 1:
            return same_value(group.parts[0], single)
        return single.kind != "number" and len(group.mark) == 2 and group.mark != "{}" and _same_expression(one, other)
    if kinds == {"number", "expression"} and not (one.unit.of or other.unit.of):
        number, formula = (one, other) if one.amount is not None else (other, one)
        if number.amount is not None and _thousands(formula) == number.amount.value:
            return True
    if "relation" in kinds and (
        "number" in kinds or (kinds != {"relation"} and not re.search(r"∞|\\infty|∪|\\cup", one.text + other.text))
    ):
        return False
    return _same_expression(one, other)


def _thousands(value: Value) -> Fraction | None:
    """Return the number that `5k` or `2.5M` means if compared with a number; in a formula the letter is a factor."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s?([kKM])", value.text)
    return None if match is None else Fraction(match[1]) * (1_000_000 if match[2] == "M" else 1_000)


def _bare(value: Value) -> str:
    return _ARTICLE.sub("", value.text.casefold()) if value.kind == "text" else value.text.replace(" ", "")


def _same_pair(one: Value, other: Value) -> bool:
    first, second = _ratio(one), _ratio(other)
    if first is not None and second is not None and ":" in (one.mark, other.mark):
        scale = second[0] / first[0] if first[0] and second[0] else None
        return scale is not None and len(first) == len(second) and all(x * scale == y for x, y in zip(first, second, strict=True))
    if one.kind != other.kind or ":" in (one.mark, other.mark) or len(one.parts) != len(other.parts):
        return False
    return all(same_value(x, y) for x, y in zip(one.parts, other.parts, strict=True))


def _ratio(value: Value) -> list[Fraction] | None:
    """Return the terms of a possible ratio: `3:2`, `3 to 2`, and `10:15`, which may be a time of day."""
    if value.kind == "pair" and value.mark in (":", "to"):
        return [part.amount.value for part in value.parts if part.amount is not None]
    if value.kind == "time" and not value.mark:
        return [Fraction(number or 0) for number in value.numbers[:2]]
    return None


def _same_group(one: Value, other: Value) -> bool:
    if len(one.parts) != len(other.parts):
        return False
    marks = {one.mark, other.mark}
    if marks & {"and", "or"} and (first := intervals(one)) is not None and (second := intervals(other)) is not None:
        return len({first.variable, second.variable} - {""}) < 2 and _matched(first.parts, second.parts)
    if (len(marks) == 1 and marks <= {"and", "or"}) or marks <= {"", "{}"}:
        return _matched(one.parts, other.parts)
    # `x = 1, y = 2` equals `(1, 2)`, but an interval or a tuple in other brackets does not.
    if len(marks) > 1 and not marks <= {"", "()", "in order"}:
        return False
    return all(same_value(x, y) for x, y in zip(one.parts, other.parts, strict=True))


def _matched(some: Sequence[Value], others: Sequence[Value]) -> bool:
    """Say whether the values can be paired off as equals, in any order."""
    if len(some) != len(others):
        return False
    left = list(others)
    for value in some:
        found = next((at for at, other in enumerate(left) if same_value(value, other)), None)
        if found is None:
            return False
        del left[found]
    return True


def _same_equation(one: Value, other: Value) -> bool:
    if one.kind == other.kind:
        if one.mark and other.mark and (one.mark == other.mark or _same_label(one, other)):
            return same_value(one.parts[1], other.parts[1])
        # `x = 5` is not equal to `2x + 3 = 13`, which it solves.
        if any(value.mark and not VARIABLE.search(value.parts[1].text) for value in (one, other)):
            return False
        return _subscripts(one) == _subscripts(other) and same_expression(_latex(one.text), _latex(other.text))
    equation, value = (one, other) if one.kind == "equation" else (other, one)
    return bool(equation.mark) and value.kind != "relation" and same_value(equation.parts[1], value)


def _same_label(one: Value, other: Value) -> bool:
    labels = [value.parts[0].text for value in (one, other)]
    return all(is_label(label) and not label.startswith("(") for label in labels) and say_the_same(*labels)


def _same_expression(one: Value, other: Value) -> bool:
    units = [value.amount.unit if value.amount else value.unit for value in (one, other)]
    if not convertible(*units) or (units[0].of and units[1].of and units[0] != units[1]) or _subscripts(one) != _subscripts(other):
        return False
    if PERCENT in units and units[0] != units[1]:
        return False
    return same_expression(*(_latex(written(value.amount.value) if value.amount else value.text) for value in (one, other)))


def _subscripts(value: Value) -> list[str]:
    """Return the indices and primes in a formula, because math-verify drops them, and with them a number's base."""
    found = re.findall(r"(?<!\\log)(?<!\\sum)(?<!\\int)(?<!\\prod)_(\w|\{[^{}]*\})", value.text)
    return sorted([*(index.strip("{}") for index in found), *re.findall("'", value.text)])


def _latex(text: str) -> str:
    # math-verify would evaluate a derivative to 0, so replace it with a name.
    text = DERIVATIVE.sub(lambda match: f"D_{{{derivative(match)}}}", text)
    for sign, latex in _IN_LATEX:
        text = text.replace(sign, latex)
    text = re.sub(r"√\s*(\d+|[A-Za-z])", r"\\sqrt{\1}", text)
    text = re.sub(r"(?:√|(?<![\\A-Za-z])sqrt)\s*\(([^()]*)\)", r"\\sqrt{\1}", text)
    return re.sub(r"(?<![\\A-Za-z])(pi|sin|cos|tan|log|ln|exp)(?![A-Za-z])", r"\\\1 ", text)
