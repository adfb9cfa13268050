"""Estimates of what a budget buys of a strategy or a mix, and whether that is enough. A run ends at the first limit that it reaches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from axolotl_synthetic.config import CANDIDATES_PER_SAMPLE, Budget, Settings, first_of_same
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.plan.costs import Rates, Value, blend, sure, total
from axolotl_synthetic.records import Role
from axolotl_synthetic.wording import number_of


@dataclass(frozen=True)
class Estimate:
    """Samples that a budget buys of a strategy, and their cost. None means unknown.

    Attributes:
        queries, tokens, usd: totals.
        hours: at the models' concurrency.
        accepted: samples.
        usd_per_accepted: US dollars per accepted sample.
        acceptance: share of the candidates.
        meets_budget: whether the requested samples (one by default) fit into the other limits.
        measured: number of measured candidates; 0 if all is assumed.
        cacheable: share of the prompts' tokens that a server's prefix cache can serve, None if there are no prompt tokens.
    """

    queries: Value | None
    tokens: Value | None
    usd: Value | None
    hours: Value | None
    accepted: Value | None
    usd_per_accepted: Value | None
    acceptance: Value
    meets_budget: bool
    measured: int
    cacheable: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit of the budget: its amount, and how much of it a candidate uses (`each`)."""

    name: str
    much: float
    each: Value


def limits(budget: Budget, rates: Rates) -> list[Limit]:
    """Return the limits that may end a run of these candidates."""
    found = []
    if budget.samples is not None:
        found += [
            Limit("samples", budget.samples, rates.accepted),
            Limit("candidates", CANDIDATES_PER_SAMPLE * budget.samples, sure(1.0)),
        ]
    if budget.queries is not None:
        found.append(Limit("queries", budget.queries, rates.queries))
    if budget.tokens is not None:
        found.append(Limit("tokens", _usable(budget.tokens, rates.least_tokens, rates.tokens), rates.tokens))
    if budget.usd is not None and rates.usd is not None:
        found.append(Limit("usd", _usable(budget.usd, rates.least_usd, rates.usd), rates.usd))
    return found


def _usable(much: float, least: float, each: Value) -> float:
    """Return the part of a limit that can be used: the last candidate must fit at its worst case and uses less than that."""
    return 0.0 if much < least else min(much, much - least + each.value)


def affordable(budget: Budget, rates: Rates) -> tuple[float, str]:
    """Return how many accepted samples a budget buys, and the limit that ends them.

    The number never falls when a limit rises. It is infinite if everything limited costs nothing, and 0 if no candidate fits.
    """
    ends = [(_ratio(one.much, one.each.value), one.name) for one in limits(budget, rates)]
    candidates, by = min(ends, default=(math.inf, ""))
    if candidates < 1 and by != "samples":
        return 0.0, by
    return (candidates * rates.accepted.value if rates.accepted.value else 0.0), by


def of_each(settings: Settings, rates: Mapping[str, Rates], shares: Mapping[str, float]) -> tuple[dict[str, Estimate], Estimate]:
    """Return what the budget buys of each strategy by itself, and of the mix of `shares`.

    A pilot's spending on other strategies is subtracted; its spending on the strategy itself is used again.
    """

    def one(names: Mapping[str, float]) -> Estimate:
        others = [other for name, other in rates.items() if not names.get(name)]
        return estimate(settings, _without(settings.budget, others), blend(rates, names))

    return {name: one({name: 1.0}) for name in rates}, one(shares)


def refuse_too_small(budget: Budget, rates: Mapping[str, Rates]) -> None:
    """Refuse a budget with which no strategy can make the requested samples (one by default).

    Raises:
        ConfigError: with each strategy's needs.
    """
    wanted = budget.samples or 1
    most = max(affordable(budget, one)[0] for one in rates.values())
    if most >= wanted * (1 - 1e-9):
        return
    what = f"{wanted:,} samples" if wanted > 1 else "a single sample"
    if not any(one.accepted.value for one in rates.values()):
        tried = sum(one.measured for one in rates.values())
        raise ConfigError(
            f"synthetic.budget: no strategy can make {what}: none of the pilot's {tried} candidates was accepted;"
            " `axolotl synthetic preview CONFIG` shows why"
        )
    limited = {name: getattr(budget, name) for name in ("queries", "tokens", "usd") if getattr(budget, name) is not None}
    has = f" with {', '.join(f'{name}: {much:,}' for name, much in limited.items())}" if limited else ""
    needs = "\n".join(f"  - {name}: {_needs(rates[name], wanted, tuple(limited))}" for name in rates)
    longest = " (before it is sent, a call needs room for its longest reply)" if {"tokens", "usd"} & limited.keys() else ""
    remedy = f"raise what is too low{longest}" if limited else "see by `axolotl synthetic preview CONFIG` what rejects them"
    less = f", or ask for at most {number_of(math.floor(most), 'sample')}" if budget.samples and most >= 1 else ""
    raise ConfigError(f"synthetic.budget: no strategy can make {what}{has}; needed are\n{needs}\n{remedy}{less}")


def _needs(rates: Rates, wanted: int, limited: Sequence[str]) -> str:
    """Describe how much a strategy needs of each limit."""
    candidates = _ratio(wanted, rates.accepted.value)
    if not limited:
        return f"{_number(candidates)} candidates, where a run ends after {CANDIDATES_PER_SAMPLE * wanted:,}"
    last = max(0.0, candidates - 1)
    usd = rates.usd.value if rates.usd is not None else math.inf
    needed = {
        "queries": candidates * rates.queries.value,
        "tokens": last * rates.tokens.value + max(rates.tokens.value, rates.least_tokens),
        "usd": last * usd + max(usd, rates.least_usd),
    }
    return ", ".join(f"{_number(needed[name])} {name}" for name in limited)


def _number(much: float) -> str:
    return "unknown" if math.isinf(much) else f"{math.ceil(much - 1e-6):,}" if much >= 10 else f"{much:.2g}"


def _without(budget: Budget, others: Iterable[Rates]) -> Budget:
    """Return the budget that is left after paying for the candidates measured for `others`."""
    queries = tokens = usd = 0.0
    for one in others:
        queries += one.measured * one.queries.value
        tokens += one.measured * one.tokens.value
        usd += one.measured * one.usd.value if one.usd is not None else 0.0
    left: dict[str, float | None] = {
        "queries": None if budget.queries is None else max(0, budget.queries - round(queries)),
        "tokens": None if budget.tokens is None else max(0, budget.tokens - round(tokens)),
        "usd": None if budget.usd is None else max(0.0, budget.usd - usd),
    }
    return budget.model_copy(update=left)


def estimate(settings: Settings, budget: Budget, rates: Rates) -> Estimate:
    """Return what a budget buys of one strategy or a mix at these costs.

    Args:
        settings: provide the concurrency.
        budget: the remaining budget.
        rates: costs of a candidate.
    """
    samples, by = affordable(budget, rates)
    found = limits(budget, rates)
    if not samples and by not in ("samples", "candidates"):
        found = [Limit("", 0.0, sure(1.0))]  # not one candidate fits
    accepted = _total(found, "samples", rates.accepted)
    return Estimate(
        queries=_total(found, "queries", rates.queries),
        tokens=_total(found, "tokens", rates.tokens),
        usd=None if rates.usd is None else _total(found, "usd", rates.usd),
        hours=_hours(settings, rates, found),
        accepted=accepted,
        usd_per_accepted=None if rates.usd is None else per_accepted(rates.usd, rates.accepted),
        acceptance=rates.accepted,
        meets_budget=accepted is None or accepted.value >= (budget.samples or 1) * (1 - 1e-9),
        measured=rates.measured,
        cacheable=rates.cacheable_tokens / rates.prompt_tokens if rates.prompt_tokens else None,
    )


def _total(found: list[Limit], name: str, each: Value) -> Value | None:
    """Return the total of something of which a candidate uses `each`; None if nothing limits it.

    A limited quantity ends at its own limit, however much a candidate uses. For others, the interval combines those of both numbers.
    """

    def end(limit: Limit, much: float, limited: float) -> float:
        if limit.name == name:
            return limit.much
        return _ratio(limit.much, limited) * much if limit.much and much else 0.0

    value = min((end(limit, each.value, limit.each.value) for limit in found), default=math.inf)
    low = min((end(limit, each.low, limit.each.high) for limit in found), default=math.inf)
    high = min((end(limit, each.high, limit.each.low) for limit in found), default=math.inf)
    return None if math.isinf(value) else Value(value, min(low, value), max(high, value))


def _hours(settings: Settings, rates: Rates, found: list[Limit]) -> Value | None:
    """Return the hours of the busiest model, which may have several roles; never less than one candidate takes."""
    first = first_of_same(settings.models)
    busy: dict[Role, Value] = {}
    for role, each in rates.seconds.items():
        if (spent := _total(found, "seconds", each)) is None:
            return None
        share = 1 / settings.model_for(role).concurrency
        model = first.get(role, role)
        busy[model] = total([(spent, share), (busy.get(model, sure(0.0)), 1.0)])
    one = total((seconds, 1.0) for seconds in rates.seconds.values())

    def hours(alone: float, of_each: list[float]) -> float:
        return max(*of_each, alone if any(of_each) else 0.0) / 3600

    return Value(
        hours(one.value, [each.value for each in busy.values()]),
        hours(one.low, [each.low for each in busy.values()]),
        hours(one.high, [each.high for each in busy.values()]),
    )


def per_accepted(cost: Value, share: Value) -> Value | None:
    """Return the cost of an accepted candidate, None if none was accepted.

    Args:
        cost: of a candidate.
        share: accepted share of the candidates.
    """
    if not share.value:
        return None
    return Value(cost.value / share.value, cost.low / share.high, _ratio(cost.high, share.low))


def _ratio(much: float, each: float) -> float:
    if not much:
        return 0.0
    return much / each if each else math.inf
