"""A number with its unit: equality and normal form. `numbers.py` reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from axolotl_synthetic.tasks.units import NONE, PERCENT, Unit, convertible, same_measure, unit_of
from axolotl_synthetic.tasks.words import say_the_same, says_nothing

# Only these units are written before their number.
_BEFORE = ("$", "€", "£", "¥", "₹")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit.

    Attributes:
        value: in its unit: `50%` is 50.
        places: number of decimals as written, None for a fraction.
        unit: unit of the table in `units.py`, or `NONE`.
        words: words around it that are not units of the table.
        counted: unit and words as written.
    """

    value: Fraction
    places: int | None = 0
    unit: Unit = NONE
    words: str = ""
    counted: str = ""


def same_amount(one: Amount, other: Amount) -> bool:
    """Compare two amounts in value, unit and words. `50%` is both 50 and 0.5, but never 50% of another percentage."""
    if not _same_thing(one, other):
        return False
    if PERCENT in (one.unit, other.unit) and one.unit != other.unit:
        percentage, number = (one, other) if one.unit == PERCENT else (other, one)
        share = replace(percentage, value=percentage.value / 100, places=None if percentage.places is None else percentage.places + 2)
        return _close(percentage, number) or _close(share, number)
    if (
        one.unit.of
        and other.unit.of
        and one.unit.name != other.unit.name
        and same_measure(one.unit.of, other.unit.of)
        and bool(one.unit.per) == bool(other.unit.per)
    ):
        return one.value * one.unit.size == other.value * other.unit.size
    return _close(one, other)


def _same_thing(one: Amount, other: Amount) -> bool:
    """Say whether two amounts may count the same thing; one with neither unit nor words may count anything."""
    if (one.unit.of and other.unit.of) or not (one.words or other.words):
        return convertible(one.unit, other.unit) and say_the_same(one.words, other.words)
    named, counted = (one, other) if one.unit.of else (other, one)
    if named.unit.of and not named.words:  # `5 m` and `5 volts`
        return says_nothing(counted.words) or (bool(named.unit.per) and say_the_same(named.unit.of, counted.words))
    return say_the_same(one.words, other.words)


def _close(one: Amount, other: Amount) -> bool:
    """Say whether values are equal, or one is the other's expansion to at least six decimals: 1/3 and 0.333333."""
    if one.value == other.value:
        return True
    fraction, decimal = (one, other) if one.places is None else (other, one)
    if fraction.places is not None or decimal.places is None or decimal.places < 6 or abs(decimal.value) * 10**decimal.places < 1_000:
        return False
    exactly = fraction.value * 10**decimal.places
    return not _ends(fraction.value) and decimal.value * 10**decimal.places in (int(exactly), round(exactly))


def _ends(value: Fraction) -> bool:
    """Say whether a value has finitely many decimals."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def written(value: Fraction) -> str:
    """Write a value in its normal form: `72`, `0.5` if its decimals end, else `1/3`."""
    if value.denominator == 1:
        return str(value.numerator)
    if not _ends(value):
        return f"{value.numerator}/{value.denominator}"
    places = next(places for places in range(1, 500) if (value * 10**places).denominator == 1)
    digits = f"{abs(int(value * 10**places)):0{places + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def written_amount(amount: Amount) -> str:
    """Write an amount in its normal form: `$5`, `100 cm`, `50%`, `72 apples`."""
    number, name = written(amount.value), amount.unit.name
    sign = "-" * number.startswith("-")
    if amount.words:
        money = name[0] if name.startswith(_BEFORE) and unit_of(amount.counted) is None else ""
        gap = "" if amount.counted[0] in "%°¢" else " "
        return f"{sign}{money}{number.removeprefix('-')}{gap}{amount.counted}"
    if name.startswith(_BEFORE):
        return f"{sign}{name[0]}{number.removeprefix('-')}{name[1:].replace('/', ' per ')}"
    return number + ("" if not name or name[0] in "%°¢" else " ") + name
