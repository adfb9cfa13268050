"""Costs of each strategy, measured by a short run. Statistics only: `run.py` makes the run and reads the ledger.

The share of accepted candidates has a Wilson interval, everything else the t interval of a mean. Each is one of 97.5 %, so that a number
computed from two of them, such as calls per accepted sample, has 95 % (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from axolotl_synthetic.config import Settings
from axolotl_synthetic.plan.costs import Rates, Value
from axolotl_synthetic.records import Role

CONFIDENCE = 0.975

Row = Mapping[str, Any]
"""A candidate, as in `samples.jsonl`."""


@dataclass(frozen=True, slots=True)
class Paid:
    """One call that brought a reply. Tokens are None if the server does not count them."""

    role: Role
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    cached_tokens: int | None = None
    written_tokens: int | None = None


def measure(settings: Settings, assumed: Mapping[str, Rates], rows: Sequence[Row], calls: Mapping[int, Paid]) -> dict[str, Rates]:
    """Return each strategy's costs, from a pilot's candidates.

    Args:
        settings: provide today's prices, which are used whatever the calls cost when they were made.
        assumed: kept for everything that was not measured: a strategy without a candidate, uncounted tokens.
        rows: the candidates; those that a budget cut short are left out.
        calls: the ledger's, by id.
    """
    by_strategy: dict[str, list[Row]] = {name: [] for name in assumed}
    for row in rows:
        if tells(row):
            by_strategy[row["strategy"]].append(row)
    return {name: measured(settings, assumed[name], of_it, calls) if of_it else assumed[name] for name, of_it in by_strategy.items()}


def tells(row: Row) -> bool:
    """Return whether a candidate is a measurement: it made calls and was not cut short."""
    return bool(row["requests"]) and not (row["status"] == "failed" and str(row["reason"]).startswith(("budget:", "stopped")))


def measured(settings: Settings, assumed: Rates, rows: Sequence[Row], calls: Mapping[int, Paid]) -> Rates:
    """Return the costs of candidates of any strategies together; see `measure`.

    Args:
        rows: at least one; each is a measurement.
    """
    paid = [[calls[number] for number in row["requests"]] for row in rows]
    counted = all(call.prompt_tokens is not None and call.completion_tokens is not None for of_one in paid for call in of_one)
    seconds: dict[Role, Value] = {
        role: mean([sum(call.seconds for call in of_one if call.role == role) for of_one in paid]) for role in assumed.seconds
    }
    made = replace(
        assumed,
        accepted=proportion(sum(row["status"] == "accepted" for row in rows), len(rows)),
        queries=mean([len(of_one) for of_one in paid]),
        seconds=seconds,
        measured=len(rows),
    )
    if not counted:
        return made
    tokens = mean([sum((call.prompt_tokens or 0) + (call.completion_tokens or 0) for call in of_one) for of_one in paid])
    usd = None if assumed.usd is None else mean([sum(usd_of(settings, call) for call in of_one) for of_one in paid])
    return replace(made, tokens=tokens, usd=usd)


def usd_of(settings: Settings, call: Paid) -> float:
    """Return US dollars for a call at today's price, 0 without a price."""
    price = settings.model_for(call.role).charged
    if price is None:
        return 0.0
    return price.usd(call.prompt_tokens or 0, call.completion_tokens or 0, call.cached_tokens or 0, call.written_tokens or 0)


def proportion(successes: int, trials: int, confidence: float = CONFIDENCE) -> Value:
    """Return a share with its Wilson interval.

    Args:
        successes, trials: counts; at least one trial.
        confidence: of the interval; the default is for a share that another number is divided by.
    """
    from scipy.stats import binomtest  # takes a second to import; only pilots need it

    interval = binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return Value(successes / trials, float(interval.low), float(interval.high))


def mean(values: Sequence[float]) -> Value:
    """Return a mean with its t interval, cut off at 0. One value gives no spread: its interval is 0 to infinity."""
    from scipy.stats import t

    middle = sum(values) / len(values)
    if len(values) == 1:
        return Value(middle, 0.0, math.inf)
    variance = sum((value - middle) ** 2 for value in values) / (len(values) - 1)
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * math.sqrt(variance / len(values))
    return Value(middle, max(0.0, middle - half), middle + half)
