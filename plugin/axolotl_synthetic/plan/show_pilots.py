"""Output of several teachers' pilots: text in 80 columns, and the value of `pilots` in the JSON object."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from axolotl_synthetic.plan.costs import Value
from axolotl_synthetic.plan.side_by_side import Cost, Piloted
from axolotl_synthetic.records import STRATEGIES
from axolotl_synthetic.wording import number_of, short

COSTS = ("acceptance", "usd_per_accepted", "seconds_per_accepted")
QUESTIONS = ("distinct", "usable", "similarity", "agreement")
# Keys of each pair; null if a value could not be measured.
KEYS = ("candidates", *COSTS, "planned", "strategies", "new_questions", "compared", *QUESTIONS, "intervals")


def to_list(pilots: Sequence[Piloted]) -> list[dict[str, Any]] | None:
    """Return the pilots for `plan --json`; None with only one teacher."""
    return [_pilot(one) for one in pilots] or None


def _pilot(one: Piloted) -> dict[str, Any]:
    names = {"from": one.source, "teacher": one.teacher, "augmenter": one.augmenter, "error": one.error or None}
    if one.cost is None:
        return {**names, **dict.fromkeys(KEYS)}
    questions = {name: getattr(one, name) for name in QUESTIONS}
    return {
        **names,
        **_cost(one.cost),
        "planned": None if one.planned is None else _cost(one.planned),
        "strategies": {name: _cost(cost) for name, cost in one.strategies.items()},
        "new_questions": {"asked": one.asked, "written": one.written},
        "compared": one.compared,
        **{name: None if value is None else value.value for name, value in questions.items()},
        "intervals": {name: _interval(value) for name, value in (_values(one.cost) | questions).items()},
    }


def _cost(cost: Cost) -> dict[str, Any]:
    values = _values(cost)
    return {
        "candidates": cost.candidates,
        **{name: None if value is None else value.value for name, value in values.items()},
        "intervals": {name: _interval(value) for name, value in values.items()},
    }


def _values(cost: Cost) -> dict[str, Value | None]:
    return {name: getattr(cost, name) for name in COSTS}


def _interval(value: Value | None) -> list[float | None] | None:
    return None if value is None else [value.low, value.high if math.isfinite(value.high) else None]


def show(console: Console, pilots: Sequence[Piloted], number: int) -> None:
    """Print the pilots.

    Args:
        console: the output.
        pilots: of several teachers.
        number: requested candidates of each strategy.
    """
    title = f"pilots: {number_of(number, 'candidate')} of each strategy, from the same seeds"
    console.print(title, style="bold", highlight=False)
    for place, one in enumerate(pilots, 1):
        few = "" if one.cost is None or one.cost.candidates == number * len(STRATEGIES) else f": {one.cost.candidates} could be made"
        failed = f": was not measured: {one.error}" if one.error else ""
        # Third parties chose these names: print them without markup, and wrap long ones.
        console.print(f"  {place}  {one.name} ({one.source}){few}{failed}", markup=False, highlight=False)
    places = [(f"{place}", one) for place, one in enumerate(pilots, 1) if one.cost is not None]
    console.print(_side_by_side(places))
    console.print(_by_strategy("accepted, of each strategy", places, lambda cost: _percent(cost.acceptance)))
    console.print(_by_strategy("USD for 1,000 accepted, of each strategy", places, _usd))
    console.print(
        "below a number: its interval of 95 % (Wilson for shares, t and Wilson for costs, jackknife for similarity); distinct: new"
        " questions that say what no seed and no earlier one says; alike: their mean similarity, 1 for the same words; agree: answers that"
        " end where the seed's does, or most of several",
        highlight=False,
    )


def _side_by_side(places: Sequence[tuple[str, Piloted]]) -> Table:
    table = _table("what was measured of each")
    for name in ("", "accepted", "USD for\n1,000", "seconds\nfor one", "distinct", "alike", "agree"):
        table.add_column(name, justify="right", no_wrap=True)
    for place, one in places:
        assert one.cost is not None
        table.add_row(
            place,
            _percent(one.cost.acceptance),
            _usd(one.cost),
            _cell(one.cost.seconds_per_accepted, "none"),
            _percent(one.distinct),
            _cell(one.similarity),
            _percent(one.agreement),
        )
    return table


def _by_strategy(title: str, places: Sequence[tuple[str, Piloted]], shown: Callable[[Cost], str]) -> Table:
    table = _table(title)
    for name in ("", *STRATEGIES):
        table.add_column(name.replace("_", "\n"), justify="right", no_wrap=True)
    for place, one in places:
        costs = [one.strategies.get(name) for name in STRATEGIES]
        table.add_row(place, *("–" if cost is None else shown(cost) for cost in costs))
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)


def _usd(cost: Cost) -> str:
    value = cost.usd_per_accepted
    return _cell(None if value is None else value.scaled(1000), "unknown" if cost.acceptance.value else "none")


def _percent(value: Value | None) -> str:
    if value is None:
        return "–"
    return f"{100 * value.value:.0f} %\n{100 * value.low:.0f}–{100 * value.high:.0f}"


def _cell(value: Value | None, without: str = "–") -> str:
    if value is None:
        return without
    return f"{short(value.value)}\n{_end(value.low)}–{_end(value.high)}"


def _end(value: float) -> str:
    """Return the end of an interval with two digits, so that seven columns fit into 80 characters."""
    return f"{value:.2g}" if value < 100 else short(value)
