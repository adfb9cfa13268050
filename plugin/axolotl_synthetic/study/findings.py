"""Findings of a study: its curves, their crossings, the cheapest way to an accuracy. Pure; `summary.py` writes and shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from axolotl_synthetic.config import Settings
from axolotl_synthetic.plan.measured import Curve, Measured
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, QUESTION_REPHRASE
from axolotl_synthetic.study import curves
from axolotl_synthetic.study.arms import Difference, differences
from axolotl_synthetic.study.settings import Study
from axolotl_synthetic.study.sweep import CellResult, Swept
from axolotl_synthetic.teachers import model_name

# The leader at few samples, and the strategy that may overtake it (arXiv 2409.19759).
PAIRS = ((ANSWER_AUGMENTATION, NEW_QUESTION), (ANSWER_AUGMENTATION, QUESTION_REPHRASE), (QUESTION_REPHRASE, NEW_QUESTION))
Intervals = Mapping[tuple[str, int], Mapping[str, tuple[float, float]]]


@dataclass(frozen=True)
class Way:
    """The fewest samples with which a strategy reaches an accuracy.

    Attributes:
        samples, calls: None if it does not reach the accuracy within the measured range.
        usd: None without a price.
    """

    strategy: str
    seeds: int
    samples: float | None
    calls: float | None
    usd: float | None


@dataclass(frozen=True)
class Findings:
    """Everything that a summary shows.

    Attributes:
        measured: the content of `study.json`.
        intervals: of the laws' parameters.
        targets: each accuracy, and every strategy's way to it, the cheapest first.
        results: of all cells.
        differences: between arms that differ in one thing.
    """

    measured: Measured
    intervals: Intervals
    targets: Mapping[float, Sequence[Way]]
    results: Sequence[CellResult]
    differences: Sequence[Difference] = ()


def find(study: Study, settings: Settings, swept: Swept, *, student: str) -> Findings:
    """Compute all findings.

    Args:
        study, settings: the study and the config's block.
        swept: the results.
        student: Axolotl's `base_model`.
    """
    done = [one for one in swept.results if one.status == "done" and one.accuracy is not None]
    results = [
        curves.Result(one.strategy, one.seeds, one.samples, one.repeat, one.accuracy or 0.0, one.questions, one.calls or 0) for one in done
    ]
    scores = list(swept.untrained.values())
    measured = Measured(
        folder=str(study.folder),
        task=settings.task,
        teacher=model_name(settings.teacher),
        augmenter=model_name(settings.model_for("augmenter")),
        student=student,
        metric=(done[0].metric or "") if done else "",
        questions=done[0].questions if done else None,
        untrained=sum(score.value for score in scores) / len(scores) if scores else None,
        repeats=study.repeats,
        failed=len(swept.results) - len(done),
        curves=curves.curves(results),
        crossings=curves.crossings(results, PAIRS),
    )
    prices = _usd_per_sample(done)
    targets = {target: _ways(measured, target, prices) for target in _targets(study, measured)}
    # An arm that says nothing of checks has those of the config.
    arms = {name: arm.model_copy(update={"verify": settings.verify} if arm.verify is None else {}) for name, arm in study.compared.items()}
    return Findings(measured, curves.parameter_intervals(results), targets, swept.results, differences(arms, swept.results))


def _targets(study: Study, measured: Measured) -> list[float]:
    """Return the user's target, or every ten percent between the worst and the best point."""
    if study.target_accuracy is not None:
        return [study.target_accuracy]
    means = [point.accuracy for curve in measured.curves for point in curve.points]
    if not means:
        return []
    first, last = math.floor(10 * min(means)) + 1, math.floor(10 * max(means))
    return [tenth / 10 for tenth in range(first, last + 1)]


def _usd_per_sample(done: Sequence[CellResult]) -> dict[tuple[str, int], float]:
    """Return what an accepted sample cost, if the price is known; larger cells have more weight."""
    found: dict[tuple[str, int], float] = {}
    for key in {(one.strategy, one.seeds) for one in done}:
        of = [one for one in done if (one.strategy, one.seeds) == key]
        if all(one.usd is not None for one in of):
            found[key] = sum(one.usd or 0.0 for one in of) / sum(one.samples for one in of)
    return found


def _ways(measured: Measured, target: float, prices: Mapping[tuple[str, int], float]) -> list[Way]:
    def way(curve: Curve) -> Way:
        samples = curves.samples_for(curve, target)
        price = prices.get((curve.strategy, curve.seeds))
        if samples is None:
            return Way(curve.strategy, curve.seeds, None, None, None)
        return Way(curve.strategy, curve.seeds, samples, samples * curve.calls, None if price is None else samples * price)

    def cost(one: Way) -> float:
        if one.samples is None:
            return math.inf
        return one.usd if one.usd is not None else one.calls or 0.0

    return sorted((way(curve) for curve in measured.curves), key=lambda one: (one.seeds, cost(one)))
