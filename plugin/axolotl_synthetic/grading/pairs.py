"""Uncertainty of the difference between two models that answered the same questions, compared question by question. Pure.

Both scores depend on how hard a question is, so their difference is known better than either score. Treated as two samples of different
questions, the same answers can look like chance (lm-eval's issue 3831: p = 0.080 unpaired and 0.008 in pairs).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

# Draws of the bootstrap; at this number, another seed moves the interval's ends by some 2 % of its width.
RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Paired:
    """A difference of means over the same questions.

    Attributes:
        stderr: standard error: the differences' standard deviation over the root of their number.
        low, high: the middle 95 % of a bootstrap over questions.
        better, worse: questions on which the second model scores higher, and lower.
        p: of an exact two-sided McNemar test if every score is right or wrong; else None.
    """

    stderr: float
    low: float
    high: float
    better: int
    worse: int
    p: float | None


def paired(first: Mapping[str, float], second: Mapping[str, float]) -> Paired | None:
    """Compare two models' scores by question; None unless both have the same questions, at least two."""
    if first.keys() != second.keys() or len(first) < 2:
        return None
    differences = [second[name] - first[name] for name in first]
    better, worse = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
    is_right_or_wrong = {*first.values(), *second.values()} <= {0.0, 1.0}
    low, high = _bootstrap(differences)
    stderr = statistics.stdev(differences) / math.sqrt(len(differences))
    return Paired(stderr, low, high, better, worse, mcnemar(better, worse) if is_right_or_wrong else None)


def mcnemar(better: int, worse: int) -> float:
    """Return the probability of a split at least as uneven, if both models were equally likely to be the better one on each question.

    This is the exact, binomial form of McNemar's test (Psychometrika 12, 1947): questions that both answer rightly, or both wrongly, carry
    no information.
    """
    number = better + worse
    tail = sum(math.comb(number, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / 2**number))


def _bootstrap(differences: list[float]) -> tuple[float, float]:
    import numpy as np

    values, counts = np.unique(np.array(differences), return_counts=True)
    # Only the number of each difference matters, not which questions are drawn.
    drawn = np.random.default_rng(0).multinomial(len(differences), counts / len(differences), RESAMPLES)
    low, high = np.quantile(drawn @ values / len(differences), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
