"""Differences between arms of one strategy that differ only in rounds or verification. Pure.

The students of both arms answered the same held-out questions, so they are compared question by question. The interval is from a bootstrap
in two steps. First repeats are drawn with replacement, because two trainings on different samples differ more than chance in the questions
explains; then questions within each repeat.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from axolotl_synthetic.study.settings import Arm
from axolotl_synthetic.study.sweep import CellResult

DRAWS = 2_000
INTERVAL = (0.05, 0.95)
ROUNDS, VERIFICATION = "rounds", "verification"


@dataclass(frozen=True)
class Difference:
    """Difference between two arms, at one number of seeds and of samples.

    Attributes:
        what: `rounds` or `verification`.
        first, second: the arms; the second has more of it.
        repeats: number of repeats that both have.
        mean: the second's share of right answers minus the first's, averaged over repeats.
        low, high: 90 % of the draws; None without scores of single questions.
        calls: per sample, of the first and of the second.
    """

    what: str
    first: str
    second: str
    seeds: int
    samples: int
    repeats: int
    mean: float
    low: float | None
    high: float | None
    calls: tuple[float, float]


def differences(arms: Mapping[str, Arm], results: Sequence[CellResult]) -> tuple[Difference, ...]:
    """Return the differences of every pair of arms that differ in one thing and both have cells."""
    done = {(one.strategy, one.seeds, one.samples, one.repeat): one for one in results if one.accuracy is not None}
    found = []
    for what, first, second in pairs(arms):
        for seeds, samples in sorted({(one.seeds, one.samples) for one in results}):
            repeats = sorted({key[3] for key in done if key[1:3] == (seeds, samples)})
            both = [
                (done[first, seeds, samples, repeat], done[second, seeds, samples, repeat])
                for repeat in repeats
                if (first, seeds, samples, repeat) in done and (second, seeds, samples, repeat) in done
            ]
            if both:
                found.append(_difference(what, first, second, both))
    return tuple(found)


def pairs(arms: Mapping[str, Arm]) -> Iterator[tuple[str, str, str]]:
    """Yield what differs, and the names of the arm with less of it and of the arm with more."""
    for first, one in arms.items():
        for second, other in arms.items():
            if first == second or one.strategy != other.strategy:
                continue
            if one.verify == other.verify and _looks(one) < _looks(other):
                yield ROUNDS, first, second
            if one.rounds == other.rounds and one.verify == [] and other.verify != []:
                yield VERIFICATION, first, second


def _looks(arm: Arm) -> int:
    """Rank how much an arm uses its student: 0 without rounds, 1 in rounds without scores, 2 in rounds with scores."""
    return 0 if arm.rounds is None else 2 if arm.is_in_rounds else 1


def _difference(what: str, first: str, second: str, both: Sequence[tuple[CellResult, CellResult]]) -> Difference:
    mean = statistics.fmean((other.accuracy or 0.0) - (one.accuracy or 0.0) for one, other in both)
    of_each = [_by_question(one.each, other.each) for one, other in both]
    low, high = _interval(of_each) if all(len(values) for values in of_each) else (None, None)
    calls = [sum(cell.calls or 0 for cell in side) / sum(cell.samples for cell in side) for side in zip(*both, strict=True)]
    cell = both[0][0]
    return Difference(what, first, second, cell.seeds, cell.samples, len(both), mean, low, high, (calls[0], calls[1]))


def _by_question(one: Mapping[str, float], other: Mapping[str, float]) -> list[float]:
    return [other[name] - one[name] for name in one] if one.keys() == other.keys() else []


def _interval(of_each: Sequence[Sequence[float]]) -> tuple[float, float]:
    source = np.random.default_rng(0)
    of = [np.array(values) for values in of_each]
    means = []
    for _ in range(DRAWS):
        drawn = source.choice(len(of), len(of))
        means.append(
            math.fsum(float(of[repeat][source.integers(0, len(of[repeat]), len(of[repeat]))].mean()) for repeat in drawn) / len(of)
        )
    low, high = np.quantile(means, INTERVAL)
    return float(low), float(high)


def said(found: Sequence[Difference]) -> list[str]:
    """Return a line on each pair at the largest number of samples, saying what rounds or verification are worth here."""
    lines = []
    for what, first, second in dict.fromkeys((one.what, one.first, one.second) for one in found):
        last = [one for one in found if (one.what, one.first, one.second) == (what, first, second)][-1]
        points = f"{100 * last.mean:+.1f} points"
        between, verdict = "", ""
        if last.low is not None and last.high is not None:
            between = f" (90 %: {100 * last.low:+.1f} to {100 * last.high:+.1f})"
            is_open = last.low <= 0 <= last.high
            verdict = ", which is no difference that these cells can show" if is_open else ""
        worth = "What verification is worth here" if what == VERIFICATION else "What rounds are worth here"
        lines.append(
            f"{worth}: with {last.samples:,} samples of {last.seeds:,} seeds {second} gains {points}{between} over {first}{verdict};"
            f" a sample took {last.calls[1]:.2f} calls and {last.calls[0]:.2f}"
        )
    return lines
