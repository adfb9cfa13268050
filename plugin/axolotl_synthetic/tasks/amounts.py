"""A number with its unit, when two of them are equal, and their one normal form. `numbers.py` reads them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from axolotl_synthetic.tasks.units import NONE, PERCENT, Unit, convertible

# These stand before their number, alone among the names of units.
_BEFORE = ("$", "€", "£", "¥", "₹")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number with its unit.

    Attributes:
        value: in its unit: `50%` is 50.
        places: the decimals that it is written with, None for a fraction.
        unit: of the table in `units.py`; `NONE` where it has none.
        counted: the words behind it that name no unit of the table.
    """

    value: Fraction
    places: int | None = 0
    unit: Unit = NONE
    counted: str = ""


def same_amount(one: Amount, other: Amount, *, counted: bool = False) -> bool:
    """Compare two amounts in value and unit. `50%` is both 50 and 0.5, but never 50% of another percentage.

    Args:
        counted: whether what is counted must be the same, too: `12 boys` in `12 boys and 3 girls`.
    """
    if counted and one.counted and other.counted and one.counted != other.counted and not (one.unit.of or other.unit.of):
        return False
    if not convertible(one.unit, other.unit):
        return False
    if PERCENT in (one.unit, other.unit) and one.unit != other.unit:
        percentage, number = (one, other) if one.unit == PERCENT else (other, one)
        share = replace(percentage, value=percentage.value / 100, places=None if percentage.places is None else percentage.places + 2)
        return _close(percentage, number) or _close(share, number)
    if (
        one.unit.of
        and other.unit.of
        and one.unit.name != other.unit.name
        and one.unit.of == other.unit.of
        and one.unit.per == other.unit.per
    ):
        return one.value * one.unit.size == other.value * other.unit.size
    return _close(one, other)


def _close(one: Amount, other: Amount) -> bool:
    """Say whether values are equal, or one the other's expansion to six decimals and more: 1/3 and 0.333333."""
    if one.value == other.value:
        return True
    fraction, decimal = (one, other) if one.places is None else (other, one)
    if fraction.places is not None or decimal.places is None or decimal.places < 6 or abs(decimal.value) * 10**decimal.places < 1_000:
        return False
    exactly = fraction.value * 10**decimal.places
    return not _ends(fraction.value) and decimal.value * 10**decimal.places in (int(exactly), round(exactly))


def _ends(value: Fraction) -> bool:
    """Say whether the decimals of a value end."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def written(value: Fraction) -> str:
    """Write a value in its one normal form: `72`, `0.5` where decimals end, else `1/3`."""
    if value.denominator == 1:
        return str(value.numerator)
    if not _ends(value):
        return f"{value.numerator}/{value.denominator}"
    places = next(places for places in range(1, 500) if (value * 10**places).denominator == 1)
    digits = f"{abs(int(value * 10**places)):0{places + 1}d}"
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def written_amount(amount: Amount) -> str:
    """Write an amount in its one normal form: `$5`, `100 cm`, `50%`; what is counted is left out."""
    number, name = written(amount.value), amount.unit.name
    if name.startswith(_BEFORE):
        sign, rate = "-" * number.startswith("-"), name[1:].replace("/", " per ")
        return f"{sign}{name[0]}{number.removeprefix('-')}{rate}"
    return number + ("" if not name or name[0] in "%°¢" else " ") + name
