"""Cost of a study before it begins. Only its largest cells count, since smaller cells are their first samples."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from axolotl_synthetic import terminal
from axolotl_synthetic.config import Budget, Settings
from axolotl_synthetic.plan import Forecast
from axolotl_synthetic.rounds.division import parts
from axolotl_synthetic.study.design import Cell, Line, settings_of
from axolotl_synthetic.study.settings import Limits, Study
from axolotl_synthetic.study.sweep import CellResult
from axolotl_synthetic.wording import number_of


@dataclass(frozen=True)
class Cost:
    """Least cost of a whole study: every candidate is accepted and no call repeated.

    Attributes:
        cells: number to train and grade.
        calls: of each strategy or arm and number of seeds, over all repeats.
        shared: those of them that an arm shares with others of its strategy, so the ledger already has their replies.
        separately: calls that the cells would take if each were a separate run.
        tokens, usd: estimated; `usd` None without a price.
        assumed: assumptions of the estimate of tokens.
    """

    cells: int
    calls: Mapping[tuple[str, int], float]
    separately: float
    tokens: float
    usd: float | None
    assumed: str
    shared: float = 0.0

    @property
    def total(self) -> float:
        return sum(self.calls.values()) - self.shared

    def problems(self, budget: Limits) -> list[str]:
        """Return the limits that will certainly be exceeded. Tokens and dollars are estimates, so they refuse nothing."""
        if budget.queries is not None and budget.queries < self.total:
            return [
                f"study.budget.queries: {budget.queries:,}: the study takes at least {self.total:,.0f} calls; raise it, or ask for fewer"
                " samples, repeats, strategies or seed_sizes"
            ]
        return []


def cost(study: Study, settings: Settings, plan: Callable[..., Forecast]) -> Cost:
    """Estimate the largest cell of each strategy and number of seeds with the plan.

    Raises:
        ConfigError: if the config, the seeds, the task or a check is wrong.
    """
    without = study.model_copy(update={"budget": Limits()})
    calls: dict[tuple[str, int], float] = {}
    tokens, usd, separately, shared, assumed = 0.0, 0.0, 0.0, 0.0, ""
    priced = True
    for seeds in study.seed_sizes:
        most: dict[str, float] = {}
        for name, arm in study.compared.items():
            line = Line(0, seeds, name, study.samples[-1] if arm.is_in_rounds else 0)
            forecast = plan(settings_of(without, line, settings))
            assumed = assumed or forecast.assumed
            one = forecast.estimates[arm.strategy]
            largest = study.repeats * (one.queries.value if one.queries else 0.0)
            calls[name, seeds] = largest
            separately += sum(largest * samples / study.samples[-1] for samples in study.samples)
            # Equal questions are asked once, so an arm costs only what it needs beyond the other arms of its strategy.
            before = most.get(arm.strategy, 0.0)
            most[arm.strategy] = max(before, largest)
            added = (most[arm.strategy] - before) / largest if largest else 0.0
            shared += largest * (1 - added)
            tokens += added * study.repeats * (one.tokens.value if one.tokens else 0.0)
            priced = priced and one.usd is not None
            usd += added * study.repeats * (one.usd.value if one.usd else 0.0)
    cells = len(study.seed_sizes) * len(study.samples) * len(study.compared) * study.repeats
    return Cost(cells, calls, separately, tokens, usd if priced else None, assumed, shared)


@dataclass(frozen=True)
class Hours:
    """Time to train and grade the missing cells, estimated from those that are done.

    Attributes:
        seconds: in total.
        cells: number missing.
        measured: number done.
        sizes: different numbers of samples among these; with one, training time is assumed proportional to the samples.
    """

    seconds: float
    cells: int
    measured: int
    sizes: int


def hours(study: Study, results: Mapping[Cell, CellResult | None]) -> Hours | None:
    """Estimate the time for the missing cells; None if none is done yet.

    Training takes a constant time plus a time per sample: a straight line is fitted to the cells that are done. The students of rounds
    are counted too.

    Args:
        study: the study's settings.
        results: of each cell, None if it was not made.
    """
    done = {
        cell: one for cell, one in results.items() if one is not None and one.train_seconds is not None and one.grade_seconds is not None
    }
    missing = [cell for cell in results if cell not in done]
    if not done:
        return None
    sizes = {cell.samples for cell in done}
    grading = statistics.fmean(one.grade_seconds or 0.0 for one in done.values())
    if len(sizes) > 1:
        line = statistics.linear_regression([cell.samples for cell in done], [one.train_seconds or 0.0 for one in done.values()])
        slope, base = max(0.0, line.slope), max(0.0, line.intercept)
    else:
        slope, base = statistics.fmean(one.train_seconds or 0.0 for one in done.values()) / next(iter(sizes)), 0.0
    seconds = 0.0
    for cell in missing:
        arm = study.compared[cell.line.arm]
        trained = [cell.samples]
        if arm.rounds is not None and arm.is_in_rounds:
            trained += [part.samples or 0 for part in parts(Budget(samples=cell.samples), arm.rounds)[:-1]]
        seconds += grading + sum(base + slope * samples for samples in trained)
    return Hours(seconds, len(missing), len(done), len(sizes))


def show_hours(console: Console, found: Hours | None) -> None:
    """Print the time."""
    if found is None:
        console.print("hours of training and grading: known once the first cell is done; ask again then", highlight=False)
    elif found.cells:
        how = "" if found.sizes > 1 else ", taken to last in proportion to the samples"
        console.print(
            f"training and grading the {number_of(found.cells, 'cell')} to come takes about {terminal.duration(found.seconds)}, by the"
            f" {found.measured:,} done{how}",
            highlight=False,
        )


def show_cost(console: Console, study: Study, made: Cost, paid: int, training: Any) -> None:
    """Print the cost."""
    table = Table(title="calls, if every candidate is accepted", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    table.add_column("seeds", justify="right")
    for name in study.compared:
        table.add_column(name, justify="right")
    for seeds in study.seed_sizes:
        table.add_row(f"{seeds:,}", *(f"{made.calls[name, seeds]:,.0f}" for name in study.compared))
    arms = f" and {number_of(len(study.arms), 'arm')}" if study.arms else ""
    console.print(
        f"{number_of(made.cells, 'cell')}: {number_of(len(study.strategies), 'strategy', 'strategies')}{arms} ×"
        f" {number_of(len(study.seed_sizes), 'number')} of seeds × {number_of(len(study.samples), 'budget')} ×"
        f" {number_of(study.repeats, 'repeat')}, each trained and graded; {training}",
        highlight=False,
    )
    console.print(table)
    usd = "cost unknown (no price)" if made.usd is None else f"about USD {made.usd:,.2f}"
    before = f"; {paid:,} were made before" if paid else ""
    # In rounds a smaller cell is not the beginning of a larger one; how many calls they share depends on the scores.
    least = "at least " if any(arm.is_in_rounds for arm in study.compared.values()) else ""
    console.print(
        f"{least}{made.total:,.0f} calls in all, those of the largest cells (the cells one by one would take {made.separately:,.0f}), about"
        f" {made.tokens:,.0f} tokens, {usd}{before}",
        highlight=False,
    )
