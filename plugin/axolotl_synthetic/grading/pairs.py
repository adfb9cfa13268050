"""Two models that answered the same questions: how sure their difference is, question by question. Pure.

Their scores rise and fall together with how hard a question is, so the difference of the two is known better than either: treated as
two samples of different questions, the same answers can look like chance (lm-eval's issue 3831 has p = 0.080 so and 0.008 in pairs).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

# Draws of the bootstrap; the ends of its interval then move by some 2 % of its width from one seed to another.
RESAMPLES = 10_000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Paired:
    """A difference of means over the same questions.

    Attributes:
        stderr: its standard error: the differences' standard deviation over the root of their number.
        low, high: the middle 95 % of a bootstrap over questions.
        better, worse: questions on which the second model scores higher, and lower.
        p: of an exact McNemar test, two-sided, where every score is right or wrong; else None.
    """

    stderr: float
    low: float
    high: float
    better: int
    worse: int
    p: float | None


def paired(first: Mapping[str, float], second: Mapping[str, float]) -> Paired | None:
    """Compare two models' scores by question; None where they are not of the same two questions or more."""
    if first.keys() != second.keys() or len(first) < 2:
        return None
    differences = [second[name] - first[name] for name in first]
    better, worse = sum(one > 0 for one in differences), sum(one < 0 for one in differences)
    is_right_or_wrong = {*first.values(), *second.values()} <= {0.0, 1.0}
    low, high = _bootstrap(differences)
    stderr = statistics.stdev(differences) / math.sqrt(len(differences))
    return Paired(stderr, low, high, better, worse, mcnemar(better, worse) if is_right_or_wrong else None)


def mcnemar(better: int, worse: int) -> float:
    """Return the probability of a split at least as uneven, if either model were as likely to be the better one on each question.

    The exact, binomial form of McNemar's test (Psychometrika 12, 1947): questions on which both are right, or both wrong, say nothing.
    """
    number = better + worse
    tail = sum(math.comb(number, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / 2**number))


def _bootstrap(differences: list[float]) -> tuple[float, float]:
    import numpy as np

    values, counts = np.unique(np.array(differences), return_counts=True)
    # Which questions are drawn does not matter, only how many of each difference.
    drawn = np.random.default_rng(0).multinomial(len(differences), counts / len(differences), RESAMPLES)
    low, high = np.quantile(drawn @ values / len(differences), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
