"""Number of held-out questions that are needed to show that a student has improved. Pure."""

from __future__ import annotations

import math

# Share of questions that only one of two models answers: a guess until something was graded.
DIFFERING = 0.2
# The standard normal's quantiles for a two-sided test at 5 % and for a power of 80 %.
_TEST, _POWER = 1.96, 0.8416


def questions_for(difference: float, differing: float = DIFFERING) -> int:
    """Return how many questions show a difference in four of five trials (power 80 %), in a two-sided test at 5 %.

    Connor's formula for McNemar's test (Biometrics 43, 1987): n = (1.96 √ψ + 0.84 √(ψ - δ²))² / δ².

    Args:
        difference: δ, between the shares of right answers.
        differing: ψ, the share of questions that only one of the models answers.
    """
    differing = max(differing, difference)
    root = _TEST * math.sqrt(differing) + _POWER * math.sqrt(differing - difference**2)
    return math.ceil((root / difference) ** 2)


def difference_shown_by(questions: int, differing: float = DIFFERING) -> float:
    """Return the smallest difference, in whole percent, that this many questions show in four of five trials; see `questions_for`."""
    return next((one / 100 for one in range(1, 101) if questions_for(one / 100, differing) <= questions), 1.0)
