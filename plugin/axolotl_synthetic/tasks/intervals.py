"""Solutions of inequalities as intervals, so that `2 ≤ x ≤ 5`, `x ≥ 2 and x ≤ 5` and `[2, 5]` are equal answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from axolotl_synthetic.tasks.values import Value, read_value

_SIGN = re.compile(r"\s*([<>≤≥])\s*")
_MEMBER = re.compile(r"(?P<variable>[A-Za-z])\s*(?:∈|\\in(?![A-Za-z]))\s*(?P<set>.+)")
_UNION = re.compile(r"\s*(?:∪|\\cup(?![A-Za-z]))\s*")
_MIRRORED = {"<": ">", ">": "<", "≤": "≥", "≥": "≤"}


@dataclass(frozen=True, slots=True)
class Intervals:
    """Intervals that contain a variable.

    Attributes:
        variable: empty where the answer names none.
        parts: one group of two ends for each interval.
    """

    variable: str
    parts: tuple[Value, ...]


def intervals(value: Value) -> Intervals | None:
    """Return the intervals that an answer describes; None if it describes none."""
    if value.kind == "group" and value.mark in ("()", "[]", "(]", "[)") and len(value.parts) == 2:
        return Intervals("", (value,))
    if value.kind == "group" and value.mark in ("and", "or"):
        return _joined([intervals(part) for part in value.parts], value.mark)
    if value.kind in ("expression", "relation") and (member := _MEMBER.fullmatch(value.text)) is not None:
        found = intervals(read_value(member["set"]))
        return None if found is None else Intervals(member["variable"], found.parts)
    if value.kind == "expression" and _UNION.search(value.text):
        return _joined([intervals(read_value(part)) for part in _UNION.split(value.text)], "or")
    return _of_relation(value.text) if value.kind == "relation" else None


def _of_relation(text: str) -> Intervals | None:
    pieces = _SIGN.split(text.strip())
    names = [at for at in range(0, len(pieces), 2) if re.fullmatch("[A-Za-z]", pieces[at])]
    if len(names) != 1 or len(pieces) not in (3, 5):
        return None
    [at] = names
    variable = pieces[at]
    if any(not piece or re.search(rf"(?<![A-Za-z\\]){variable}(?![A-Za-z])", piece) for n, piece in enumerate(pieces) if n not in (at,)):
        return None
    if len(pieces) == 3:
        sign, end = pieces[1] if at == 0 else _MIRRORED[pieces[1]], pieces[2 - at]
        low, high = (end, "∞") if sign in ">≥" else ("-∞", end)
        return Intervals(variable, (_interval(low, high, open_low=sign != "≥", open_high=sign != "≤"),))
    if at != 2 or (pieces[1] in "<≤") != (pieces[3] in "<≤"):
        return None
    (low, first), (high, second) = (pieces[0], pieces[1]), (pieces[4], pieces[3])
    if pieces[1] in ">≥":
        (low, first), (high, second) = (high, second), (low, first)
    return Intervals(variable, (_interval(low, high, open_low=first in "<>", open_high=second in "<>"),))


def _interval(low: str, high: str, *, open_low: bool, open_high: bool) -> Value:
    mark = ("(" if open_low else "[") + (")" if open_high else "]")
    return Value("group", f"{mark[0]}{low}, {high}{mark[1]}", parts=(read_value(low), read_value(high)), mark=mark)


def _joined(some: Sequence[Intervals | None], mark: str) -> Intervals | None:
    found = [one for one in some if one is not None]
    variables = {one.variable for one in found}
    if len(found) < len(some) or len(variables) != 1:
        return None
    parts = [part for one in found for part in one.parts]
    if mark == "or":
        return Intervals(variables.pop(), tuple(parts))
    # `x > 2 and x < 5` combine to one interval with one end from each.
    if len(parts) != 2 or any(len(one.parts) > 1 for one in found):
        return None
    low = next((part for part in parts if part.parts[1].text == "∞"), None)
    high = next((part for part in parts if part.parts[0].text == "-∞"), None)
    if low is None or high is None:
        return None
    mark = low.mark[0] + high.mark[1]
    return Intervals(
        variables.pop(), (_interval(low.parts[0].text, high.parts[1].text, open_low=mark[0] == "(", open_high=mark[1] == ")"),)
    )
