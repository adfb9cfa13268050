"""Output of a plan: text in 80 columns for people, and a JSON object for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from axolotl_synthetic import terminal
from axolotl_synthetic.plan import Forecast, Plan, power, show_pilots
from axolotl_synthetic.plan.costs import Value
from axolotl_synthetic.plan.estimates import Estimate
from axolotl_synthetic.plan.priced import in_words
from axolotl_synthetic.plan.words import matters, number, shares
from axolotl_synthetic.wording import number_of, short

FIELDS = ("queries", "tokens", "usd", "hours", "accepted", "usd_per_accepted")
MIX = "the mix"


def to_dict(forecast: Forecast) -> dict[str, Any]:
    """Return the output of `plan --json`. Infinite and unknown numbers are null."""
    plan, by_pilot = forecast.plan, forecast.by_pilot
    pilot = None
    if by_pilot is not None:
        pilot = {"candidates": forecast.pilot, "strategy": dict(by_pilot.strategy), "budget_ratio": by_pilot.budget_ratio}
    return {
        "strategy": dict(plan.strategy),
        "budget_ratio": plan.budget_ratio,
        "crossover": plan.crossover,
        "band": list(plan.band),
        "seeds": forecast.case.seeds,
        "matters": matters(forecast.case.seeds),
        "reasons": list(plan.reasons),
        "estimates": {name: _fields(one) for name, one in forecast.estimates.items()},
        "planned": _fields(forecast.planned),
        "assumed": forecast.assumed,
        "prices": {role: None if price is None else dict(price) for role, price in forecast.prices.items()},
        "pilot": pilot,
        "pilots": show_pilots.to_list(forecast.pilots),
        "graded_on": forecast.graded_on,
    }


def _fields(one: Estimate) -> dict[str, Any]:
    values: dict[str, Value | None] = {field: getattr(one, field) for field in FIELDS}
    intervals = {name: None if value is None else [_finite(value.low), _finite(value.high)] for name, value in values.items()}
    return {
        **{name: None if value is None else value.value for name, value in values.items()},
        "acceptance": one.acceptance.value,
        "meets_budget": one.meets_budget,
        "measured": one.measured,
        "cacheable": one.cacheable,
        "intervals": {**intervals, "acceptance": [one.acceptance.low, one.acceptance.high]} if one.measured else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def show(console: Console, forecast: Forecast) -> None:
    """Print a plan."""
    plan, estimates = forecast.plan, forecast.estimates
    console.print(f"strategy: {shares(plan.strategy)}", style="bold", highlight=False)
    low, high = plan.band
    console.print(
        f"{number_of(forecast.case.seeds, 'seed')} · budget ratio {_ratio(plan)} · new prompts lead from about {plan.crossover:.1f}"
        f" ({low:.1f} to {high:.1f})",
        highlight=False,
    )
    # Numbers come first: most people want those, and the reasons can fill a screen.
    console.print(_table({**estimates, MIX: forecast.planned} if len(plan.strategy) > 1 else estimates, plan))
    remarks = _remarks(forecast)
    if any(one.measured for one in estimates.values()):
        console.print("below a number: its interval, of 95 % or more, where the pilot gives one", highlight=False)
        if forecast.pilot is not None and forecast.pilot < forecast.case.seeds:
            remarks.insert(0, "the pilot asked about a seed once; of many samples a seed more will be duplicates than it saw")
    if forecast.pilots and forecast.pilot is not None:
        own = forecast.pilots[0]
        console.print(f"all this is of {own.name} ({own.source}), which the config names first\n", markup=False, highlight=False)
        show_pilots.show(console, forecast.pilots, forecast.pilot)
    for paragraph in (*plan.reasons, *remarks):
        _item(console, paragraph)


def _remarks(forecast: Forecast) -> list[str]:
    plan, estimates, planned, by_pilot = forecast.plan, forecast.estimates, forecast.planned, forecast.by_pilot
    remarks = []
    enough = [name for name, one in estimates.items() if one.meets_budget]
    if len(enough) < len(estimates):
        alone = f"only {' and '.join(enough)} can" if enough else "after the pilot none can"
        remarks.append(f"{alone} make what is asked for within the budget's other limits")
    if not planned.meets_budget and planned.accepted is not None:
        remarks.append(f"what is planned ends at about {_number(planned.accepted.value)} samples; raise the other limits for more")
    if by_pilot is not None and dict(by_pilot.strategy) != dict(plan.strategy):
        remarks.append(
            f"at the costs that the pilot measured `auto` takes {shares(by_pilot.strategy)} (budget ratio {_ratio(by_pilot)}); a plan"
            " never changes by a pilot: write that as `strategy:` if you want it"
        )
    unmeasured = [name for name, one in estimates.items() if not one.measured]
    if unmeasured:
        which = "" if forecast.pilot is None else f" for {' and '.join(unmeasured)}, of which nothing could be measured"
        remarks.append(f"assumed{which}: {forecast.assumed}")
    if any(one.cacheable for one in estimates.values()):
        remarks.append(
            "cacheable: the share of the prompts' tokens that prompts before them begin with as well, which servers read from a prefix"
            " cache; some cache no shorter beginning than 1,024 tokens (OpenAI, Azure)"
        )
    remarks += in_words(forecast.prices)
    if forecast.graded_on:
        shown, wanted = power.difference_shown_by(forecast.graded_on), power.questions_for(0.05)
        remarks.append(
            f"grading on {number_of(forecast.graded_on, 'held-out question')} shows a difference of {100 * shown:.0f} points in four of"
            f" five trials, if base model and student answer one in five differently; for 5 points hold out {wanted:,}"
        )
    return remarks


def _ratio(plan: Plan) -> str:
    return "without end" if plan.budget_ratio is None else number(plan.budget_ratio)


def _item(console: Console, text: str) -> None:
    """Print a paragraph with a hanging indent after its dash."""
    if not console.is_terminal:
        console.print(f"  - {text}", markup=False, highlight=False)
        return
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=3, justify="right")
    grid.add_column(overflow="fold")
    grid.add_row("-", text)
    console.print(grid, markup=False, highlight=False)


def _table(columns: Mapping[str, Estimate], plan: Plan) -> Table:
    table = Table(title="what each would cost within the budget", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("")
    for name in columns:
        mark = "*" if name == MIX or dict(plan.strategy) == {name: 1.0} else ""
        table.add_column(name.replace("_", "\n") + mark, justify="right", no_wrap=True)
    rows = {
        "calls": [_cell(one, one.queries) for one in columns.values()],
        "tokens": [_cell(one, one.tokens) for one in columns.values()],
        "USD": [_cell(one, one.usd) for one in columns.values()],
        "time": [_time(one) for one in columns.values()],
        "accepted": [_cell(one, one.accepted) for one in columns.values()],
        "share accepted": [_cell(one, one.acceptance.scaled(100), "%") for one in columns.values()],
        "cacheable": ["unknown" if one.cacheable is None else f"{one.cacheable:.0%}" for one in columns.values()],
        "USD for 1,000": [_cell(one, one.usd_per_accepted and one.usd_per_accepted.scaled(1000)) for one in columns.values()],
        "measured on": [f"{one.measured}" if one.measured else "assumed" for one in columns.values()],
        "within budget": ["yes" if one.meets_budget else "no" for one in columns.values()],
    }
    for title, cells in rows.items():
        table.add_row(title, *cells)
    table.caption = "* planned" if len(columns) else ""
    table.caption_justify = "left"
    return table


def _cell(one: Estimate, value: Value | None, unit: str = "") -> str:
    if value is None:
        return "unknown"
    shown = f"{_number(value.value)}{unit and ' ' + unit}"
    if not one.measured or value.low == value.high:
        return shown
    return f"{shown}\n{short(value.low)}–{short(value.high)}"


def _time(one: Estimate) -> str:
    if one.hours is None:
        return "unknown"
    seconds = one.hours.scaled(3600)
    shown = terminal.duration(seconds.value)
    if not one.measured or seconds.low == seconds.high:
        return shown
    by, unit = next((by, unit) for by, unit in ((3600, "h"), (60, "min"), (1, "s")) if seconds.value >= by or by == 1)
    return f"{shown}\n{short(seconds.low / by)}–{short(seconds.high / by)} {unit}"


def _number(value: float) -> str:
    if value >= 1e9:
        return short(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
