"""The prices that a run uses and their sources, for `plan` and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axolotl_synthetic import prices
from axolotl_synthetic.config import Settings

Priced = Mapping[str, Mapping[str, Any] | None]
"""Prices by role, None if unknown.

`input` and `output` are US dollars per million tokens; `cached_input`, `cache_write` and `batch` are shares; `from` is `config` or the name
of the price table; only a table has a `date`.
"""


def priced(settings: Settings) -> dict[str, dict[str, Any] | None]:
    """Return the price of each model; the augmenter's and the student's only if the config has them."""
    found: dict[str, dict[str, Any] | None] = {}
    for role, model in settings.models.items():
        if role == "augmenter" and settings.augmenter is None:
            continue
        price = model.known_price
        if price is None:
            found[role] = None
            continue
        source = {"from": "config", "date": None} if model.price is not None else {"from": prices.source(), "date": prices.table_date()}
        names = ("input", "output", "cached_input", "cache_write", "batch")
        found[role] = {**{name: getattr(price, name) for name in names}, **source}
    return found


def in_words(found: Priced) -> list[str]:
    """Return a line for each price from a table; the user knows the prices in the config."""
    lines = []
    for role, price in found.items():
        if price is None or price["date"] is None:
            continue
        cached = "" if price["cached_input"] is None else f", cached prompt tokens at {price['cached_input']:.0%}"
        lines.append(
            f"price of the {role}: USD {price['input']:g} per million prompt tokens{cached}, {price['output']:g} per million of replies"
            f" ({price['from']}, whose newest date is {price['date']}; a `price:` of yours takes its place)"
        )
    return lines
