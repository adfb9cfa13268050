"""Numbers in messages: `1 seed`, `1,200 seeds`, `2 queries`, `1.23M`."""

from __future__ import annotations

import math


def number_of(count: float, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, in the plural where it is not 1.

    Args:
        count: the count.
        noun: the noun in the singular.
        plural: the plural if it is not the noun with an `s`.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def short(value: float) -> str:
    """Return a number with three digits: `1.23M`; `?` for an infinite one."""
    if math.isinf(value):
        return "?"
    for by, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= by:
            return f"{value / (1e3 if unit == 'k' else by):.3g}{unit}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
