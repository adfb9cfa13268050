"""Plain numbers as people write them: `1,000`, `$72`, `1/2`, `3.5 hours`. Whatever else mathematics is goes to math-verify.

This is the fast path of `math.py`. It reads a whole text or nothing, where math-verify takes the first number that it finds in a
plain text (`1 1/2` as 1, `- 5` as 5).
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]*)?|\.[0-9]+"
_CURRENCY = r"(?:US\$|USD|[$€£¥₹])"
_PLAIN = re.compile(
    rf"(?:{_CURRENCY}\s*)?(?P<sign>[-+−–]?)\s*(?:{_CURRENCY}\s*)?"
    rf"(?:(?P<whole>[0-9]{{1,9}})\s+(?=[0-9]+\s*/))?(?P<number>{_NUMBER})(?:\s*/\s*(?P<over>{_NUMBER}))?"
    r"(?P<gap>\s*)(?P<unit>(?:%|°|[$€£¥₹]|[A-Za-z])[^0-9=+*^<>\\{}|]*(?:\^?[23])?)?"
)
# Words that make another number of the one before them, or join a second one to it.
_NOT_UNITS = re.compile(
    r"hundreds?|thousands?|[mb]illions?|trillions?|quadrillions?|lakhs?|crores?|[bmt]n|mio|grand|gross|tens|dozens?|hal(f|ves)|thirds?|and|or|to|by|of|times|over|plus|minus|point|remainder"
    r"|squared|cubed|divided|multiplied|pi|sin|cos|tan|log|ln|sqrt|factorial|choose|wrong|incorrect",
    re.IGNORECASE,
)
# `5x` is a product and `5 m` a length. Without a space only these are units; with one, a single letter must be one of the second.
_UNITS_WITHOUT_SPACE = re.compile(r"[ckm]m|kg|m[gl]|lbs?|oz|ft|in|hrs?|mins?|secs?|mph|percent|degrees|USD|cents")
_UNITS_OF_ONE_LETTER = frozenset("mglLsh")
LONGEST_UNIT = 5  # words


@lru_cache(maxsize=65_536)
def read_number(text: str) -> tuple[Fraction, bool] | None:
    """The value of a plain number with the unit dropped, and whether it is a percentage (`50%` gives 50); None for anything else."""
    if len(text) > 100:  # a sum of money with its unit; int() of thousands of digits takes its time
        return None
    match = _PLAIN.fullmatch(text.strip())
    if match is None:
        return None
    unit = match["unit"] or ""
    if not _is_unit(unit, spaced=bool(match["gap"])):
        return None
    value = Fraction(_digits(match["number"]))
    if match["over"]:
        over = Fraction(_digits(match["over"]))
        if over == 0 or (match["whole"] and value >= over):
            return None
        value /= over
    elif match["whole"]:
        return None
    value += int(match["whole"] or 0)
    return -value if match["sign"] and match["sign"] in "-−–" else value, unit.startswith(("%", "percent"))


def _is_unit(unit: str, *, spaced: bool) -> bool:
    words = re.findall(r"[A-Za-z]+", unit)
    if not words:
        return True
    if unit[0].isalpha() and not spaced and not _UNITS_WITHOUT_SPACE.fullmatch(words[0]):
        return False
    if unit[0].isalpha() and spaced and len(words[0]) == 1 and words[0] not in _UNITS_OF_ONE_LETTER:
        return False
    return len(words) <= LONGEST_UNIT and not any(_NOT_UNITS.fullmatch(word) for word in words)


def written(value: Fraction) -> str:
    """A value in its one normal form: `72`, `0.5` where decimals end, else `1/3`."""
    if value.denominator == 1:
        return str(value.numerator)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    places = next(places for places in range(1, 500) if (value * 10**places).denominator == 1)
    digits = f"{abs(int(value * 10**places)):0{places + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _digits(number: str) -> str:
    number = number.replace(",", "").rstrip(".")
    return f"0{number}" if number.startswith(".") else number
