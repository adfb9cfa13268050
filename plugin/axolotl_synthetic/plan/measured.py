"""A finished study's curves and the decision by them, which `strategy: auto` follows if `synthetic.study` names a study.

A study writes `study.json` last; only `read_measured` reads it. `study/` computes the curves.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.plan.costs import Rates
from axolotl_synthetic.plan.estimates import affordable
from axolotl_synthetic.plan.words import NAMES, Case, number
from axolotl_synthetic.records import ANSWER_AUGMENTATION, NEW_QUESTION, STRATEGIES
from axolotl_synthetic.wording import number_of

FILE = "study.json"
FORMAT = 1
# Two means differ if they are more than this many standard errors of the difference apart: 90 % of a normal distribution.
TOLD_APART = 1.645


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted curve: accuracy = a - b / (d + Q^c), which saturates at `a`; Q in samples.

    With d = 0 it is a power law; otherwise it is the rectified law, which is flat at few samples (Lin et al., arXiv 2402.02314).

    Attributes:
        r2: explained share of the cells' variance; None if they do not vary.
        missed: errors of the power law and of the rectified law at the largest number of samples when they are fitted without it. The
            second
            is None with too few numbers of samples for it; `missed` is None with too few for either.
    """

    a: float
    b: float
    c: float
    r2: float | None
    d: float = 0.0
    missed: tuple[float, float | None] | None = None

    def __call__(self, samples: float) -> float:
        return float(self.a - self.b / (self.d + samples**self.c))


@dataclass(frozen=True, slots=True)
class Point:
    """The mean over repeats at one number of samples. `stderr` is its standard error, None if unknown."""

    samples: int
    accuracy: float
    stderr: float | None
    repeats: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Accuracy over samples, of one strategy with one number of seeds.

    Attributes:
        strategy: its name, or that of one of the study's arms, which `auto` does not choose.
        points: at least one, by rising samples.
        law: fitted to the cells; None if there were too few.
        calls: calls to the models per accepted sample.
    """

    strategy: str
    seeds: int
    points: tuple[Point, ...]
    law: Law | None
    calls: float

    @property
    def range(self) -> tuple[int, int]:
        return self.points[0].samples, self.points[-1].samples

    def at(self, samples: float) -> float:
        """Return the expected accuracy by the law, or interpolated between the means over log Q without a law.

        Below the measured range it is the smallest cell's accuracy. Above it, the law extrapolates and the means stay constant.
        """
        samples = max(samples, self.points[0].samples)
        if self.law is not None:
            return min(1.0, max(0.0, self.law(samples)))
        if samples >= self.points[-1].samples:
            return self.points[-1].accuracy
        left, right = next(pair for pair in itertools.pairwise(self.points) if samples <= pair[1].samples)
        part = math.log(samples / left.samples) / math.log(right.samples / left.samples)
        return left.accuracy + part * (right.accuracy - left.accuracy)

    def stderr(self, samples: float) -> float | None:
        """Return the standard error of the nearest cell (over log Q)."""
        return min(self.points, key=lambda point: abs(math.log(max(samples, 1e-9) / point.samples))).stderr


@dataclass(frozen=True, slots=True)
class Crossing:
    """The point at which one strategy takes the lead from another.

    Attributes:
        first, then: the leaders before and after it.
        samples: Q; None if no crossing was seen.
        seen: `within` the measured range; `before`: `then` always leads; `beyond`: `first` always leads.
        low, high: interval of 90 % of the draws; an end of the measured range represents everything outside it.
    """

    seeds: int
    first: str
    then: str
    samples: float | None
    seen: str
    low: float
    high: float


@dataclass(frozen=True)
class Measured:
    """A finished study.

    Attributes:
        folder: its path.
        task, teacher, augmenter, student: what was measured.
        metric, questions: the metric, and the number of held-out questions per cell.
        untrained: accuracy of the student before training.
        repeats: as configured.
        failed: number of cells that failed.
    """

    folder: str
    task: str
    teacher: str
    augmenter: str
    student: str
    metric: str
    questions: int | None
    untrained: float | None
    repeats: int
    failed: int
    curves: tuple[Curve, ...]
    crossings: tuple[Crossing, ...]

    @property
    def sizes(self) -> list[int]:
        return sorted({curve.seeds for curve in self.curves})

    @property
    def strategies(self) -> list[str]:
        return list(dict.fromkeys(curve.strategy for curve in self.curves))

    def of(self, strategy: str, seeds: int) -> Curve | None:
        return next((curve for curve in self.curves if (curve.strategy, curve.seeds) == (strategy, seeds)), None)

    def expected(self, strategy: str, seeds: int, samples: float) -> tuple[float, float | None] | None:
        """Return accuracy and standard error, interpolated over log |S| at the same Q; outside the measured sizes those of the nearest.

        None if the strategy was not measured.
        """
        curves = sorted((curve for curve in self.curves if curve.strategy == strategy), key=lambda curve: curve.seeds)
        if not curves:
            return None
        below = max((curve for curve in curves if curve.seeds <= seeds), key=lambda curve: curve.seeds, default=curves[0])
        above = min((curve for curve in curves if curve.seeds >= seeds), key=lambda curve: curve.seeds, default=curves[-1])
        part = 0.0 if below.seeds == above.seeds else math.log(seeds / below.seeds) / math.log(above.seeds / below.seeds)
        low, high = below.at(samples), above.at(samples)
        errors = [below.stderr(samples), above.stderr(samples)]
        known = [error for error in errors if error is not None]
        return low + part * (high - low), max(known) if len(known) == 2 else None


def to_dict(measured: Measured) -> dict[str, Any]:
    """Return the content of `study.json`."""
    return {"format": FORMAT, **{name: value for name, value in asdict(measured).items() if name != "folder"}}


def read_measured(folder: Path, *, task: str) -> Measured:
    """Read a finished study.

    Args:
        folder: the study's `output_dir`.
        task: the task that it must have measured.

    Raises:
        ConfigError: if the study is missing, unfinished, unreadable, or about another task.
    """
    path, key = folder / FILE, f"synthetic.study: {str(folder)!r}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            raise ConfigError(f"{key}: {path} is of another version; run the study again with this one")
        curves = tuple(
            Curve(
                **{
                    **one,
                    "points": tuple(Point(**point) for point in one["points"]),
                    "law": None if one["law"] is None else Law(**one["law"]),
                }
            )
            for one in data.pop("curves")
        )
        crossings = tuple(Crossing(**one) for one in data.pop("crossings"))
        measured = Measured(folder=str(folder), curves=curves, crossings=crossings, **data)
    except FileNotFoundError:
        if (folder / "cells").is_dir() or (folder / "lines").is_dir():
            remedy = "the study is not finished; `axolotl synthetic study STUDY.yml` goes on with it"
        else:
            remedy = "no study was made there; name the `output_dir` of one, or leave `study` out to decide by the paper"
        raise ConfigError(f"{key}: {remedy}") from None
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{key}: {path} is damaged ({error}); delete it and run the study again: its cells are kept") from error
    if measured.task != task:
        raise ConfigError(f"{key}: the study measured the task {measured.task}, and this config says {task}; name another study")
    if not measured.curves:
        raise ConfigError(f"{key}: none of the study's cells could be made, so it says nothing; see {folder / 'README.md'}")
    return measured


@dataclass(frozen=True)
class Choice:
    """The best strategy for a budget, by a study.

    Attributes:
        strategy: the one with the highest expected accuracy.
        ratio: samples per seed that the budget buys of it; None if unlimited.
        reasons: explanations in words.
    """

    strategy: str
    ratio: float | None
    reasons: tuple[str, ...]


def choose(measured: Measured, settings: Settings, case: Case, rates: Mapping[str, Rates]) -> Choice:
    """Return the strategy with the highest expected accuracy at the number of samples that the budget buys of it.

    Args:
        measured: the study.
        settings: provide the budget.
        case: provides the seeds and models.
        rates: each strategy's cost per sample, in calls, tokens and dollars.

    Raises:
        ConfigError: if the study compared no plain strategy.
    """
    measured = replace(measured, curves=tuple(curve for curve in measured.curves if curve.strategy in STRATEGIES))
    if not measured.curves:
        raise ConfigError(
            f"synthetic.study: {measured.folder!r}: it compared no strategy as it is, so `auto` cannot choose one by it; name the strategy,"
            " or another study"
        )
    largest = max(curve.range[1] for curve in measured.curves)
    bought = {name: min(affordable(settings.budget, rates[name])[0], 1e12) for name in measured.strategies}
    counted = {name: largest if much >= 1e12 else much for name, much in bought.items()}
    found = {name: one for name in measured.strategies if (one := measured.expected(name, case.seeds, counted[name])) is not None}
    ranked = sorted(found, key=lambda name: -found[name][0])
    best = ranked[0]
    texts = [
        _decision(measured, case, ranked, found, counted),
        _told_apart(ranked, found, measured),
        _range(measured, case, counted[best], best),
        _crossings(measured, case),
        *_others(measured, case),
    ]
    ratio = None if bought[best] >= 1e12 else bought[best] / case.seeds
    return Choice(best, ratio, tuple(text for text in texts if text))


def _decision(
    measured: Measured, case: Case, ranked: Sequence[str], found: Mapping[str, tuple[float, float | None]], counted: Mapping[str, float]
) -> str:
    each = ", ".join(f"{name} {found[name][0]:.1%} with {number_of(round(counted[name]), 'sample')}" for name in ranked)
    before = "" if measured.untrained is None else f" (untrained: {measured.untrained:.1%})"
    return f"by the study in {measured.folder}: for {number_of(case.seeds, 'seed')} and this budget it expects {each}{before}"


def _told_apart(ranked: Sequence[str], found: Mapping[str, tuple[float, float | None]], measured: Measured) -> str:
    if len(ranked) < 2:
        return f"the study measured {ranked[0]} alone"
    (best, error), (other, its_error) = found[ranked[0]], found[ranked[1]]
    gap = f"{100 * (best - other):.1f} points"
    if error is None or its_error is None:
        return f"the first leads by {gap}; how certain that is the study cannot say, having one repeat"
    width = TOLD_APART * math.hypot(error, its_error)
    if best - other > width:
        return f"the first leads by {gap}, more than the {100 * width:.1f} that {number_of(measured.repeats, 'repeat')} leave open"
    cheaper = min(ranked[:2], key=lambda name: min(curve.calls for curve in measured.curves if curve.strategy == name))
    fewer = ", and asks for fewer calls a sample" if cheaper == ranked[1] else ""
    open_still = f"within the {100 * width:.1f} that {number_of(measured.repeats, 'repeat')} leave open"
    return f"the first leads by {gap}, {open_still}: {ranked[1]} may do as well{fewer}"


def _range(measured: Measured, case: Case, samples: float, best: str) -> str:
    texts = []
    low = min(curve.range[0] for curve in measured.curves)
    high = max(curve.range[1] for curve in measured.curves)
    if samples > high:
        law = any(curve.law is not None for curve in measured.curves if curve.strategy == best)
        how = "the fitted curve is drawn on" if law else "the largest cell stands for it"
        texts.append(f"{_are(samples, 'sample')} more than the {high:,} that it measured, so {how}")
    elif samples < low:
        texts.append(f"{_are(samples, 'sample')} fewer than the {low:,} that it measured, so its smallest cell stands for them")
    sizes = measured.sizes
    if not sizes[0] <= case.seeds <= sizes[-1]:
        nearest = sizes[0] if case.seeds < sizes[0] else sizes[-1]
        texts.append(
            f"{_are(case.seeds, 'seed')} outside the {sizes[0]:,} to {sizes[-1]:,} that it measured, so {nearest:,} stand for them"
        )
    elif case.seeds not in sizes:
        texts.append(
            f"{_are(case.seeds, 'seed')} between its sizes ({', '.join(f'{size:,}' for size in sizes)}), interpolated over their logarithm"
        )
    return f"outside what the study measured: {'; '.join(texts)}" if texts else "within what the study measured"


def lead_changes(measured: Measured, seeds: int) -> Crossing | None:
    """Return where new questions take the lead over answers, at the measured size nearest to this one; None if it was not seen."""
    seen = [one for one in measured.crossings if one.samples is not None and (one.first, one.then) == (ANSWER_AUGMENTATION, NEW_QUESTION)]
    return min(seen, key=lambda one: abs(math.log(one.seeds / seeds)), default=None)


def _crossings(measured: Measured, case: Case) -> str:
    if (one := lead_changes(measured, case.seeds)) is None or one.samples is None:
        return ""
    return (
        f"crossing: with {number_of(one.seeds, 'seed')} the study saw {NAMES[one.then]} take the lead from {NAMES[one.first]} at"
        f" {one.samples:,.0f}"
        f" samples ({interval(measured, one)}), {number(one.samples / one.seeds)} a seed"
    )


def interval(measured: Measured, one: Crossing) -> str:
    """Describe a crossing's interval: `120 to 640`, or `≤ 50 to 640` if it reaches the end of the measured range."""
    both = [curve for name in (one.first, one.then) if (curve := measured.of(name, one.seeds)) is not None]
    first, last = max(curve.range[0] for curve in both), min(curve.range[1] for curve in both)

    def end(value: float) -> str:
        return f"≤ {first:,}" if value <= first else f"≥ {last:,}" if value >= last else f"{value:,.0f}"

    low, high = end(one.low), end(one.high)
    return low if low == high else f"{low} to {high}"


def _others(measured: Measured, case: Case) -> list[str]:
    """Describe how the case differs from the study's."""
    pairs = (("teacher", measured.teacher, case.teacher), ("augmenter", measured.augmenter, case.augmenter))
    texts = [f"not measured: the {role} {ours}; the study's was {theirs}" for role, theirs, ours in pairs if theirs != ours]
    if case.student is not None and case.student != measured.student:
        texts.append(f"not measured: the student {case.student}; the study's was {measured.student}")
    if measured.failed:
        texts.append(f"{measured.failed} of the study's cells could not be made")
    return texts


def _are(count: float, noun: str) -> str:
    return f"{number_of(round(count), noun)} {'is' if round(count) == 1 else 'are'}"
