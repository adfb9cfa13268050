"""Which candidate comes next: its strategy, its seed, its round. Pure, and the same in every run of a config.

Prompts begin with what all of a kind share (instructions, worked examples), so calls that go out one after the other find that in a
server's prefix cache. Seeds with one context, such as a database's schema, share more, and are asked near one another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from axolotl_synthetic.records import Candidate, Seed
from axolotl_synthetic.strategies import near


@dataclass(frozen=True, slots=True)
class Planned:
    """The candidate, its seed, how many candidates of its strategy the seed has had before, and its place in the strategy's sequence."""

    candidate: Candidate
    seed: Seed
    round: int
    index: int = 0


def sure_rounds(planned: Planned, seeds: int, candidates: float, share: float) -> int:
    """Return how many candidates of its strategy a seed will have at least.

    Args:
        planned: one of them.
        seeds: how many there are.
        candidates: so many of all strategies will be planned at least.
        share: the strategy's.
    """
    of_strategy = candidates if share == 1 else max(0.0, candidates * share - 1)  # each is within one of its share
    return max(0, math.ceil((math.floor(of_strategy) - planned.index % seeds) / seeds))


def schedule(seeds: Sequence[Seed], shares: Mapping[str, float]) -> Iterator[Planned]:
    """Candidates without end.

    Every strategy goes through the seeds in the order of `near`, again and again; strategies take turns so that after any number of
    candidates each is within one of its share (the quota method of Balinski and Young, 1975). A strategy's own sequence does not
    depend on the shares, so a run with other shares finds its calls in the ledger.

    Args:
        seeds: at least one.
        shares: strategy and share, adding up to 1.
    """
    seeds = near(seeds)
    made = dict.fromkeys((name for name, share in shares.items() if share > 0), 0)
    number = 0
    while True:
        # The strategy that would lag most behind its share; ties go to the one named first.
        strategy = max(made, key=lambda name: shares[name] * (number + 1) - made[name])
        index = made[strategy]
        seed, of_seed = seeds[index % len(seeds)], index // len(seeds)
        candidate = Candidate(number, f"{strategy}-{seed.id}-{of_seed}", strategy, seed.id)
        yield Planned(candidate, seed, of_seed, index)
        made[strategy] += 1
        number += 1
