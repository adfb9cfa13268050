"""Prices of hosted models from the installed table of genai-prices; nothing here uses the network.

A price is looked up by the server's address and the model's name together. A user's own server has a price that only its owner knows,
whatever the model's name. A name that is missing from the table, or has two prices in it, is unknown: a budget must not rest on a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

PACKAGE = "genai-prices"
# Hosts whose customers name their models or deployments themselves.
OWN_NAMES = {"azure", "baseten", "databricks", "github-copilot", "modal"}
# Providers that accept a maker's name or a kind of resource as the model's prefix.
PREFIXED = {"google"}
# Our prompts have fewer tokens, so higher prices from here on do not matter.
LONG_PROMPT = 32_000
_DATE = re.compile(r"\b20\d\d-\d\d-\d\d\b|datetime\.date\((20\d\d), (\d\d?), (\d\d?)\)")


@dataclass(frozen=True, slots=True)
class Listed:
    """A model's price in the table.

    Attributes:
        input, output: US dollars per million tokens; the day's highest where they depend on the hour.
        cached_input, cache_write: price of a prompt token read from or written to the server's cache, as a share of `input`; None where
            the table does not say.
        batch: price of a call in a batch, as a share of another call's; None where the table does not say.
        provider, model: their names in the table.
    """

    input: float
    output: float
    cached_input: float | None
    cache_write: float | None
    batch: float | None
    provider: str
    model: str


def source() -> str:
    """Return the table's name and version."""
    from importlib.metadata import version  # slow, and rarely needed

    return f"{PACKAGE} {version(PACKAGE)}"


@cache
def table_date() -> str:
    """Return the newest date in the table that is not in the future; prices were checked then or later."""
    from genai_prices import data

    text, today = Path(data.__file__).read_text(encoding="utf-8"), datetime.now(UTC).date().isoformat()
    found = {f"{int(one[1]):04}-{int(one[2]):02}-{int(one[3]):02}" if one[1] else one[0] for one in _DATE.finditer(text)}
    return max((one for one in found if one <= today), default="an unknown date")


@cache
def look_up(base_url: str, model: str) -> Listed | None:
    """Return a model's price at a server; None where it is not known for certain."""
    if not _is_public(urlsplit(base_url).hostname or ""):
        return None
    from genai_prices.data import providers

    today = datetime.now(UTC).date()
    found = {
        (listed.input, listed.output, listed.cached_input, listed.batch): listed
        for provider in providers
        if provider.id not in OWN_NAMES and _is_address_of(provider, base_url)
        for info in _models(provider, model)
        if (listed := _listed(provider, info, today)) is not None
    }
    return next(iter(found.values())) if len(found) == 1 else None


def _is_public(host: str) -> bool:
    """Return whether a host's name is public."""
    return bool(re.search(r"\.[a-z]{2,}$", host)) and not re.search(r"\.(?:local|localhost|internal|lan|home|corp|test|invalid)$", host)


def _is_address_of(provider: Provider, base_url: str) -> bool:
    found = re.match(provider.api_pattern, base_url)
    # A pattern may end within the host's name, and then another host's name could continue there.
    return found is not None and (provider.api_pattern.endswith(r"\.") or base_url[found.end() : found.end() + 1] in ("", "/", ":"))


def _models(provider: Provider, name: str) -> Iterator[ModelInfo]:
    names = {name} | ({name.rpartition("/")[2]} if provider.id in PREFIXED else set())
    for info in provider.models:
        # Suffixes such as `:free` change the price, so such a name must match exactly.
        if info.id == name or (":" not in name.removeprefix("ft:") and any(info.is_match(one) for one in names)):
            yield info


def _listed(provider: Provider, info: ModelInfo, today: date) -> Listed | None:
    prices = [amounts for one in _current(info, today) if (amounts := _amounts(one)) is not None]
    if not prices:
        return None
    dearest = max(prices, key=lambda amounts: amounts["input_mtok"])
    paid, said = dearest["input_mtok"], max(amounts["output_mtok"] for amounts in prices)

    def share(name: str) -> float | None:
        return round(dearest[name] / paid, 6) if paid and name in dearest else None

    return Listed(paid, said, share("cache_read_mtok"), share("cache_write_mtok"), _batch(info, dearest, today), provider.id, info.id)


def _current(info: ModelInfo, today: date) -> Sequence[ModelPrice]:
    """Return today's price, or several where it depends on the hour."""
    from genai_prices.types import ModelPrice, StartDateConstraint, TimeOfDateConstraint

    if isinstance(info.prices, ModelPrice):
        return [info.prices]
    current: list[ModelPrice] = []
    # Later entries override earlier ones; those for an hour only for that hour.
    for one in info.prices:
        if isinstance(one.constraint, TimeOfDateConstraint):
            current.append(one.prices)
        elif not isinstance(one.constraint, StartDateConstraint) or one.constraint.start_date <= today:
            current = [one.prices]
    return current


def _amounts(price: ModelPrice) -> dict[str, float] | None:
    """Return US dollars per million tokens by kind; None where the price depends on more than tokens."""
    from genai_prices.types import TieredPrices

    amounts: dict[str, float] = {}
    for name in ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"):
        value: Any = getattr(price, name)
        if isinstance(value, TieredPrices):
            if any(tier.start < LONG_PROMPT for tier in value.tiers):
                return None
            value = value.base
        if value is not None:
            amounts[name] = float(value)
    other = getattr(price, "requests_kcount", None) or getattr(price, "output_reasoning_mtok", None)
    return amounts if {"input_mtok", "output_mtok"} <= amounts.keys() and not other else None


def _batch(info: ModelInfo, standard: dict[str, float], today: date) -> float | None:
    for variant in info.price_variants or ():
        starts = getattr(variant.constraint, "start_date", None)
        if variant.when == {"processing": "batch"} and (starts is None or starts <= today) and (amounts := _amounts(variant.prices)):
            return max((round(amounts[name] / standard[name], 6) for name in ("input_mtok", "output_mtok") if standard[name]), default=None)
    return None
