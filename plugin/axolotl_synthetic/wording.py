"""Counts with nouns for messages: `1 seed`, `1,200 seeds`, `2 queries`."""

from __future__ import annotations


def number_of(count: float, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun, in the plural where it is not 1.

    Args:
        count: the count.
        noun: the noun in the singular.
        plural: the plural if it is not the noun with an `s`.
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"
