"""Curves from cells: means and errors over repeats, a fitted law, and where one curve overtakes another. Pure.

Intervals are from a bootstrap in two steps. First repeats are drawn with replacement, for all strategies together because they share a
repeat's held-out questions. Then each cell's share of right answers is drawn from a binomial with its number of questions, because two or
three repeats alone would make the intervals too short.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from axolotl_synthetic.plan.measured import Crossing, Curve, Law, Point
from axolotl_synthetic.records import STRATEGIES

# Three parameters need three budgets, and one more cell to judge the fit.
FEWEST_BUDGETS = 3
FEWEST_CELLS = 4
# Range of exponents: below it the law is a straight line over log Q, above it a step.
EXPONENTS = (0.02, 3.0)
GRID = 60
# End of the rectified law's flat part, in units of the smallest cell's Q^c. The law has four parameters and is judged by how it
# predicts a budget that is left out, so it needs five budgets.
SHIFTS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
FEWEST_BUDGETS_RECTIFIED = 5
DRAWS = 400
INTERVAL = (5, 95)


@dataclass(frozen=True, slots=True)
class Result:
    """A graded cell.

    Attributes:
        strategy: the strategy, or the arm by its name.
        accuracy: share of the questions.
        questions: their number, None if lm-eval did not report it.
        calls: calls to the models for its samples.
    """

    strategy: str
    seeds: int
    samples: int
    repeat: int
    accuracy: float
    questions: int | None
    calls: int


def curves(results: Sequence[Result]) -> tuple[Curve, ...]:
    """Return a curve for each strategy and number of seeds that has a cell, with its law if there are enough cells."""
    found = []
    for (seeds, strategy), group in _grouped(results).items():
        points = tuple(_point(samples, cells) for samples, cells in _by_samples(group).items())
        largest = [one for one in group if one.samples == points[-1].samples]
        calls = sum(one.calls for one in largest) / (len(largest) * points[-1].samples)
        found.append(Curve(strategy, seeds, points, fit([one.samples for one in group], [one.accuracy for one in group]), calls))
    return tuple(found)


def _grouped(results: Iterable[Result]) -> dict[tuple[int, str], list[Result]]:
    results = list(results)
    names = list(dict.fromkeys((*STRATEGIES, *(one.strategy for one in results))))
    order = sorted(results, key=lambda one: (one.seeds, names.index(one.strategy), one.samples, one.repeat))
    return {key: list(group) for key, group in itertools.groupby(order, key=lambda one: (one.seeds, one.strategy))}


def _by_samples(group: Iterable[Result]) -> dict[int, list[Result]]:
    return {samples: list(cells) for samples, cells in itertools.groupby(group, key=lambda one: one.samples)}


def _point(samples: int, cells: Sequence[Result]) -> Point:
    values = [one.accuracy for one in cells]
    stderr = float(np.std(values, ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return Point(samples, float(np.mean(values)), stderr, len(values))


def fit(samples: Sequence[float], accuracies: Sequence[float]) -> Law | None:
    """Fit the power law a - b * Q^-c or the rectified law a - b / (d + Q^c), with 0 <= a <= 1, b >= 0 and c within `EXPONENTS`.

    Both are fitted by least squares to all but the largest number of samples. The one that predicts that number better is then fitted to
    all. With too few numbers of samples to leave one out, the power law is used.

    Args:
        samples, accuracies: of each cell; repeats are separate cells.

    Returns:
        None with too few budgets or cells (`FEWEST_BUDGETS`, `FEWEST_CELLS`): such a fit would mean nothing.
    """
    budgets = sorted(set(samples))
    if len(budgets) < FEWEST_BUDGETS or len(samples) < FEWEST_CELLS:
        return None
    q, y = np.asarray(samples, dtype=float), np.asarray(accuracies, dtype=float)
    missed: tuple[float, float | None] | None = None
    shifts: tuple[float, ...] = (0.0,)
    if len(budgets) > FEWEST_BUDGETS:
        rest, top = q < budgets[-1], float(y[q == budgets[-1]].mean())
        missed = abs(_fitted(q[rest], y[rest], (0.0,))(budgets[-1]) - top), None
        if len(budgets) >= FEWEST_BUDGETS_RECTIFIED:
            missed = missed[0], abs(_fitted(q[rest], y[rest], SHIFTS)(budgets[-1]) - top)
            if missed[1] is not None and missed[1] < missed[0]:
                shifts = SHIFTS
    return replace(_fitted(q, y, shifts), missed=missed)


def _fitted(q: Any, y: Any, shifts: Sequence[float]) -> Law:
    """Return the best law with one of these shifts.

    For given c and d the law is linear in a and b, so only c is searched: first on a grid, then between the grid's best points.
    """
    scale = q.min()  # so that b is about as large as an accuracy, whatever c is
    grid = np.geomspace(*EXPONENTS, GRID)
    best: tuple[float, float, float] | None = None
    for shift in shifts:
        errors = _linear(q / scale, y, grid, shift)[2]
        at = int(np.argmin(errors))
        inside = minimize_scalar(
            lambda c, shift=shift: float(_linear(q / scale, y, c, shift)[2]),
            bounds=(grid[max(0, at - 1)], grid[min(GRID - 1, at + 1)]),
            method="bounded",
        )
        error, c = min((float(inside.fun), float(inside.x)), (float(errors[at]), float(grid[at])))
        if best is None or error < best[0]:
            best = error, c, shift
    assert best is not None
    _, c, shift = best
    a, b, error = (float(value) for value in _linear(q / scale, y, c, shift))
    spread = float(((y - y.mean()) ** 2).sum())
    return Law(a, b * scale**c, c, 1 - error / spread if spread > 1e-12 else None, shift * scale**c)


def _linear(q: Any, y: Any, c: Any, d: float = 0.0) -> tuple[Any, Any, Any]:
    """Return the best a and b for each c, and the remaining sum of squares.

    Args:
        q, y: samples and accuracies, shape (cells,).
        c: exponents, shape () or (exponents,); each of the three results has the same shape.
        d: the shift.
    """
    x = 1 / (d + q ** np.asarray(c)[..., None])
    dx = x - x.mean(-1, keepdims=True)
    b = np.maximum(0.0, -(dx * y).sum(-1) / (dx**2).sum(-1))
    a = y.mean() + b * x.mean(-1)
    # If the best a is above 1, the best allowed one is 1. It cannot be below 0, since no accuracy is.
    b = np.where(a > 1, np.maximum(0.0, (x * (1 - y)).sum(-1) / (x**2).sum(-1)), b)
    a = np.minimum(a, 1.0)
    return a, b, ((y - a[..., None] + b[..., None] * x) ** 2).sum(-1)


def crossing(first: Curve, then: Curve) -> tuple[str, float | None]:
    """Return where `then` finally takes the lead from `first`, within the range measured for both.

    Returns:
        `within` and Q, or `before` or `beyond` and None if one of them always leads (`beyond` also if the lead changes the other way).
    """
    low, high = _ends(first, then)

    def lead(samples: float) -> float:
        return then.at(samples) - first.at(samples)

    if low > high or lead(high) <= 0:
        return "beyond", None
    grid = np.geomspace(low, high, 200)
    behind = [q for q in grid if lead(q) <= 0]
    if not behind:
        return "before", None
    left, right = float(behind[-1]), float(high)
    for _ in range(60):  # bisection
        middle = math.sqrt(left * right)
        left, right = (middle, right) if lead(middle) <= 0 else (left, middle)
    return "within", float(math.sqrt(left * right))


def crossings(results: Sequence[Result], pairs: Sequence[tuple[str, str]], *, draws: int = DRAWS, seed: int = 0) -> tuple[Crossing, ...]:
    """Return the crossings of pairs of strategies, for each number of seeds, with intervals.

    Args:
        results: of the study.
        pairs: the leader at few samples, and the one that may overtake it.
        draws: number of bootstrap draws.
        seed: of the draws.
    """
    made = {(one.strategy, one.seeds): one for one in curves(results)}
    sizes = sorted({one.seeds for one in results})
    asked = [(size, *pair) for size in sizes for pair in pairs if all((name, size) in made for name in pair)]
    seen: dict[tuple[int, str, str], list[float]] = {key: [] for key in asked}
    for drawn in resampled(results, draws, seed):
        again = {(one.strategy, one.seeds): one for one in curves(drawn)}
        for size, first, then in asked:
            if (first, size) in again and (then, size) in again:
                kind, at = crossing(again[first, size], again[then, size])
                seen[size, first, then].append({"before": -math.inf, "beyond": math.inf}.get(kind, at or 0.0))
    found = []
    for size, first, then in asked:
        kind, at = crossing(made[first, size], made[then, size])
        low, high = _ends(made[first, size], made[then, size])
        order = sorted(seen[size, first, then])
        # Use order statistics: infinite values have no mean.
        ends = [min(high, max(low, order[min(len(order) - 1, int(len(order) * percent / 100))])) for percent in INTERVAL]
        found.append(Crossing(size, first, then, at, kind, ends[0], ends[1]))
    return tuple(found)


def _ends(first: Curve, then: Curve) -> tuple[int, int]:
    """Return the range of samples in which both were measured."""
    return max(first.range[0], then.range[0]), min(first.range[1], then.range[1])


def resampled(results: Sequence[Result], draws: int, seed: int) -> Iterable[list[Result]]:
    """Yield bootstrap draws as this file's first paragraph describes."""
    source = np.random.default_rng(seed)
    repeats = sorted({one.repeat for one in results})
    of: Mapping[int, list[Result]] = {repeat: [one for one in results if one.repeat == repeat] for repeat in repeats}
    for _ in range(draws):
        drawn = []
        for place, repeat in enumerate(source.choice(repeats, len(repeats))):
            for one in of[int(repeat)]:
                share = one.accuracy
                if one.questions:
                    share = float(source.binomial(one.questions, min(1.0, max(0.0, share)))) / one.questions
                drawn.append(replace(one, repeat=place, accuracy=share))
        yield drawn


def parameter_intervals(
    results: Sequence[Result], *, draws: int = DRAWS, seed: int = 0
) -> dict[tuple[str, int], dict[str, tuple[float, float]]]:
    """Return the interval of 90 % of the draws' a, b and c, for each strategy and number of seeds with a law."""
    laws: dict[tuple[str, int], list[Law]] = {}
    for drawn in resampled(results, draws, seed):
        for curve in curves(drawn):
            if curve.law is not None:
                laws.setdefault((curve.strategy, curve.seeds), []).append(curve.law)
    return {
        key: {name: tuple(float(end) for end in np.percentile([getattr(law, name) for law in found], INTERVAL)) for name in "abc"}  # type: ignore[misc]
        for key, found in laws.items()
    }


def samples_for(curve: Curve, accuracy: float) -> float | None:
    """Return the fewest samples with which a curve reaches this accuracy; None if it does not within the measured range."""
    low, high = curve.range
    for q in np.geomspace(low, high, 400):
        if curve.at(float(q)) >= accuracy:
            return float(min(q, high))
    return None
