"""Single values for generated rows: values that match a literal, values next to it, and arbitrary values for a column.

A kind of column is SQLite's affinity, or what people mean by its declared type (`schema.py`). Pure.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from functools import lru_cache

from axolotl_synthetic.sql.hints import LARGEST, SMALLEST, Value
from axolotl_synthetic.sql.reader import Cell
from axolotl_synthetic.sql.schema import Kind

# Words of different initials, lengths and cases.
WORDS = (
    *("amber", "Birch", "cobalt", "Dune", "ember", "Fjord", "grove", "Harbor", "iris", "Jade", "kelp", "Lagoon", "maple", "Nectar", "onyx"),
    *("Prairie", "quartz", "River", "saffron", "Tundra", "umber", "Valley", "willow", "Xenon", "yarrow", "Zephyr", "ash", "Basil", "cedar"),
    *("Delta", "elm", "Fern", "garnet", "Heath", "indigo", "Juniper", "krill", "Larch", "moss", "Nile", "opal", "Pine", "quill", "Reed"),
)
FIRST_DAY = date(1998, 3, 7)
_TEXTS = ("text", "any")
_DATES = ("date", "datetime")


@lru_cache(maxsize=8_192)
def base_pool(name: str, kind: Kind, size: int, *, numeric: bool, key: bool, around: tuple[int | float, ...] = ()) -> tuple[Cell, ...]:
    """Return distinct values for a column.

    Args:
        name: seed of the choice; columns that are to share values have the same.
        kind: the column's.
        size: number of values; fewer if there are no more (`boolean`).
        numeric: True for a text column used in calculations or joined to numbers: its texts are numbers.
        key: True if the values identify something: numbers are 1, 2, 3, … as in most tables.
        around: numbers that queries compare with; the pool's numbers lie on both sides of them.
    """
    if kind == "boolean":
        return (0, 1)
    rng = random.Random(name)
    numbers: list[int | float] = list(range(1, size + 1)) if key else rng.sample(range(1, 6 * size), size)
    if around and not key:
        around = tuple(map(float, around)) if kind == "real" else tuple(number for number in around if _has(kind, number))
    if around and not key:
        beside = [_beside(around[at % len(around)], number if at // len(around) % 2 else -number) for at, number in enumerate(numbers)]
        numbers = list(dict.fromkeys(number for number in beside if number is not None)) or numbers
    if kind in _DATES:
        days = [(FIRST_DAY + timedelta(days=day)).isoformat() for day in rng.sample(range(9_000), size)]
        return tuple(f"{day} {at % 24:02d}:{at * 7 % 60:02d}:00" if kind == "datetime" else day for at, day in enumerate(days))
    if kind == "text" and not numeric:
        words = rng.sample(WORDS, len(WORDS))
        return tuple(words[at % len(words)] + (str(at // len(words)) if at >= len(words) else "") for at in range(size))
    if kind in ("real", "number") and not key:
        return tuple(number + (0.5 if at % 3 == 2 else 0) for at, number in enumerate(numbers))
    return tuple(map(str, numbers)) if kind == "text" else tuple(numbers)


def fitting(literal: Value, kind: Kind) -> Iterator[Cell]:
    """Yield values of a column that match the literal: itself, or texts that match LIKE's pattern."""
    if isinstance(literal, str):
        if "%" in literal or "_" in literal:
            bare = literal.replace("%", "").replace("_", "q")
            yield from (bare, literal.replace("%", "ab").replace("_", "z"))
            return
        if kind not in (*_TEXTS, *_DATES):
            if (number := number_in(literal)) is not None:
                yield number
            elif kind != "integer":
                yield literal  # such as a 'T' in a column declared numeric
        elif kind in _DATES and re.fullmatch(r"\d{4}(-\d\d)?", literal):
            yield from (f"{literal}-06-15"[:10] if len(literal) == 4 else f"{literal}-15", literal)
        elif kind == "date" and re.match(r"\d{4}-\d\d-\d\d[ T]", literal):
            yield from (literal[:10], literal)
        else:
            yield literal
    elif kind == "text" or kind in _DATES:
        yield str(literal)
    elif kind == "integer" and isinstance(literal, float) and abs(literal) < 2**53:
        yield from dict.fromkeys((math.floor(literal), math.ceil(literal)))
    elif _has(kind, literal):
        yield literal


def near(literal: Value, kind: Kind) -> Iterator[Cell]:
    """Yield values next to the literal: one more and one less, a letter more and less, the other case, the days around it."""
    number = number_in(literal)
    if number is not None:
        if abs(number) >= 2**53:
            beside = [_beside(float(number) if kind == "real" else number, step) for step in (-1, 1)]
            values = [value for value in beside if value is not None and _has(kind, value)]
        elif kind == "integer":
            values = [math.ceil(number) - 1, math.floor(number) + 1]
        else:
            steps: tuple[int | float, ...] = (-1, 1, 0.5) if kind in ("real", "number") or isinstance(number, float) else (-1, 1)
            values = [round(number + step, 6) for step in steps]
        yield from (str(value) if kind in ("text", *_DATES) else value for value in values)
        return
    text = str(literal)
    if day := _day(text):
        for days in (-1, 1, 365):
            with suppress(OverflowError):  # the calendar ends with the years 1 and 9999
                yield (day + timedelta(days=days)).isoformat() + text[10:]
        return
    bare = text.replace("%", "").replace("_", "q")
    if kind not in _TEXTS or not bare:
        return
    yield from (bare.swapcase(), bare + "s", bare[:-1] or "x", "a" + bare)


def _has(kind: Kind, number: int | float) -> bool:
    """Say whether a column of the kind holds such numbers. SQLite would store a real in an integer column, but nobody does."""
    return kind != "integer" or SMALLEST <= number <= LARGEST


def _beside(number: int | float, step: int | float) -> int | float | None:
    """Return a number `step` steps from another, None if SQLite cannot hold it. A step is 1, or more for a very large real."""
    if isinstance(number, float) and abs(number) >= 2**53:
        # A thousandth, because results are compared by their first digits only (`agreement.py`).
        moved = number + abs(number) / 1_000 * step
        return moved if math.isfinite(moved) else None
    whole = int(number) + int(step)
    return whole if SMALLEST <= whole <= LARGEST else None


def number_in(literal: Value) -> int | float | None:
    """Return the number that a literal is, None for other texts."""
    if not isinstance(literal, str):
        return literal
    if re.fullmatch(r"-?\d{1,15}", literal):
        return int(literal)
    return float(literal) if re.fullmatch(r"-?\d{1,15}\.\d{1,10}", literal) else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None
