"""What a study will cost, before it begins: its largest cells, since all others are their first samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from axolotl_synthetic.config import Settings
from axolotl_synthetic.plan import Forecast
from axolotl_synthetic.study.design import Line, settings_of
from axolotl_synthetic.study.settings import Limits, Study
from axolotl_synthetic.wording import number_of


@dataclass(frozen=True)
class Cost:
    """Of a whole study, when every candidate is accepted and no call repeated: it costs no less.

    Attributes:
        cells: to train and grade.
        calls: of each strategy and number of seeds, over all repeats.
        separately: calls that the cells would take if each were a run by itself.
        tokens, usd: estimated; `usd` None without a price.
        assumed: what the estimate of tokens rests on.
    """

    cells: int
    calls: Mapping[tuple[str, int], float]
    separately: float
    tokens: float
    usd: float | None
    assumed: str

    @property
    def total(self) -> float:
        return sum(self.calls.values())

    def problems(self, budget: Limits) -> list[str]:
        """Limits that cannot be kept for sure. Tokens and dollars are estimates, and refuse nothing."""
        if budget.queries is not None and budget.queries < self.total:
            return [
                f"study.budget.queries: {budget.queries:,}: the study takes at least {self.total:,.0f} calls; raise it, or ask for fewer"
                " samples, repeats, strategies or seed_sizes"
            ]
        return []


def cost(study: Study, settings: Settings, plan: Callable[..., Forecast]) -> Cost:
    """Ask the plan about the largest cell of each strategy and number of seeds.

    Raises:
        ConfigError: if the config, the seeds, the task or a check is wrong.
    """
    without = study.model_copy(update={"budget": Limits()})
    calls: dict[tuple[str, int], float] = {}
    tokens, usd, separately, assumed = 0.0, 0.0, 0.0, ""
    priced = True
    for seeds in study.seed_sizes:
        forecast = plan(settings_of(without, Line(0, seeds, study.strategies[0]), settings))
        assumed = forecast.assumed
        for strategy in study.strategies:
            one = forecast.estimates[strategy]
            largest = one.queries.value if one.queries else 0.0
            calls[strategy, seeds] = study.repeats * largest
            separately += study.repeats * sum(largest * samples / study.samples[-1] for samples in study.samples)
            tokens += study.repeats * (one.tokens.value if one.tokens else 0.0)
            priced = priced and one.usd is not None
            usd += study.repeats * (one.usd.value if one.usd else 0.0)
    cells = len(study.seed_sizes) * len(study.samples) * len(study.strategies) * study.repeats
    return Cost(cells, calls, separately, tokens, usd if priced else None, assumed)


def show_cost(console: Console, study: Study, made: Cost, paid: int, training: Any) -> None:
    """Print it."""
    table = Table(title="calls, if every candidate is accepted", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("seeds", justify="right")
    for strategy in study.strategies:
        table.add_column(strategy, justify="right")
    for seeds in study.seed_sizes:
        table.add_row(f"{seeds:,}", *(f"{made.calls[strategy, seeds]:,.0f}" for strategy in study.strategies))
    console.print(
        f"{number_of(made.cells, 'cell')}: {number_of(len(study.strategies), 'strategy', 'strategies')} ×"
        f" {number_of(len(study.seed_sizes), 'number')} of seeds × {number_of(len(study.samples), 'budget')} ×"
        f" {number_of(study.repeats, 'repeat')}, each trained and graded; {training}",
        highlight=False,
    )
    console.print(table)
    usd = "cost unknown (no price)" if made.usd is None else f"about USD {made.usd:,.2f}"
    before = f"; {paid:,} were made before" if paid else ""
    console.print(
        f"{made.total:,.0f} calls in all, those of the largest cells (the cells one by one would take {made.separately:,.0f}), about"
        f" {made.tokens:,.0f} tokens, {usd}{before}",
        highlight=False,
    )
