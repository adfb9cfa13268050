"""How a budget is divided into rounds, and how a round's scores decide which seeds come more often. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from axolotl_synthetic.config import Budget, Rounds, first_share

# A seed comes at least and at most so many times as often as one of mean score: none is dropped, and a score that is high by chance, or
# because nobody could learn the seed's answer, does not take the whole budget.
LEAST, MOST = 0.25, 4.0


def parts(budget: Budget, rounds: Rounds, *, only_samples: bool = False) -> list[Budget]:
    """Return the budget at the end of each round, all rounds before it included; the last is the whole.

    Each part is `growth` times as large as the one before, for parts that grow converge where equal ones do not (arXiv 2501.18962).

    Args:
        budget: the whole.
        rounds: how many, and how they grow.
        only_samples: leave the other limits whole, for they hold for several runs together.
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
    """Return how often each seed is to come, in proportion to its score, where a seed of mean score has 1.

    Seeds that the student does badly on are a simple and good choice (arXiv 2512.00884).

    Args:
        seeds: the ids of all.
        scores: the higher, the more a seed needs; 0 or more. A seed without one counts as one of mean score.
    """
    mean = sum(scores.values()) / len(scores) if scores else 0.0
    if mean <= 0:
        return dict.fromkeys(seeds, 1.0)
    return {seed: min(MOST, max(LEAST, scores.get(seed, mean) / mean)) for seed in seeds}


def moved(weighted: Mapping[str, float]) -> float:
    """Return the share of candidates that goes to other seeds than if all came as often: half the sum of what the shares differ."""
    total, even = sum(weighted.values()), 1 / len(weighted)
    return sum(abs(weight / total - even) for weight in weighted.values()) / 2
