"""Division of a budget into rounds, and of a round's scores into weights of the seeds. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from axolotl_synthetic.config import Budget, Rounds, first_share

# Bounds of a seed's weight, where a seed of mean score has 1. No seed is dropped; and a score that is high by chance, or because the
# seed's answer cannot be learned, does not take the whole budget.
LEAST, MOST = 0.25, 4.0


def parts(budget: Budget, rounds: Rounds, *, only_samples: bool = False) -> list[Budget]:
    """Return the budget at the end of each round, including all rounds before it; the last is the whole.

    Each part is `growth` times as large as the one before: growing parts converge where equal ones do not (arXiv 2501.18962).

    Args:
        budget: the whole.
        rounds: their number and growth.
        only_samples: leave the other limits whole, as several runs share them.
    """
    first, found = first_share(rounds), []
    for number in range(1, rounds.count):
        share = first * sum(rounds.growth**before for before in range(number))
        limits = budget.model_dump(exclude_none=True)
        divided = {
            name: limit * share if name == "usd" else max(1, math.floor(limit * share + 1e-9))
            for name, limit in limits.items()
            if name == "samples" or not only_samples
        }
        found.append(Budget(**{**limits, **divided}))
    return [*found, budget]


def is_within(budget: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Return whether a budget is no larger than another one in any limit that both have; False where they have none in common."""
    both = budget.keys() & other.keys()
    return bool(both) and all(budget[name] <= other[name] for name in both)


def weights(seeds: Sequence[str], scores: Mapping[str, float]) -> dict[str, float]:
    """Return each seed's weight, in proportion to its score; a seed of mean score has 1.

    Preferring seeds that the student does badly on is a simple and good choice (arXiv 2512.00884).

    Args:
        seeds: the ids of all.
        scores: 0 or more; higher for a seed that needs more samples. A seed without a score counts as one of mean score.
    """
    mean = sum(scores.values()) / len(scores) if scores else 0.0
    if mean <= 0:
        return dict.fromkeys(seeds, 1.0)
    return {seed: min(MOST, max(LEAST, scores.get(seed, mean) / mean)) for seed in seeds}


def moved(weighted: Mapping[str, float]) -> float:
    """Return the share of candidates that moves to other seeds compared with equal weights: half the sum of the shares' differences."""
    total, even = sum(weighted.values()), 1 / len(weighted)
    return sum(abs(weight / total - even) for weight in weighted.values()) / 2
