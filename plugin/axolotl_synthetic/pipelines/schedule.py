"""The order of candidates: each one's strategy, seed and round. It does no I/O, and is the same in every run of a config.

Prompts of one strategy begin with a common prefix (instructions, worked examples), so consecutive calls find it in a server's prefix
cache. Seeds with one context, such as a database's schema, share a longer prefix, so they come near one another.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from axolotl_synthetic.records import Candidate, Seed
from axolotl_synthetic.strategies import near


@dataclass(frozen=True, slots=True)
class Planned:
    """A candidate, its seed, its seed's earlier candidates of that strategy (`round`), and its index in the strategy's sequence."""

    candidate: Candidate
    seed: Seed
    round: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class Phase:
    """Weights of the seeds from one candidate on.

    Attributes:
        start: the number of the first candidate.
        weights: each seed's weight, by its id, above 0; seeds come in proportion to it.
    """

    start: int
    weights: Mapping[str, float]


def sure_rounds(planned: Planned, seeds: int, candidates: float, share: float) -> int:
    """Return a lower bound of the candidates that a seed will have by one strategy.

    Args:
        planned: one of them.
        seeds: number of seeds.
        candidates: lower bound of the candidates of all strategies.
        share: the strategy's share.
    """
    of_strategy = candidates if share == 1 else max(0.0, candidates * share - 1)  # a strategy is within one candidate of its share
    return max(0, math.ceil((math.floor(of_strategy) - planned.index % seeds) / seeds))


def schedule(
    seeds: Sequence[Seed],
    shares: Mapping[str, float],
    kinds: Callable[[Seed], Sequence[str]] | None = None,
    phases: Sequence[Phase] = (),
) -> Iterator[Planned]:
    """Yield candidates without end.

    Every strategy cycles through the seeds in the order of `near`. Strategies alternate so that after any number of candidates each is
    within one of its share (the quota method of Balinski and Young, 1975). Without phases, a strategy's own sequence does not depend on
    the shares, so a run with other shares finds its replies in the ledger.

    Args:
        seeds: at least one.
        shares: each strategy's share; they add up to 1.
        kinds: returns a seed's kinds, such as its labels, to balance the kinds; None gives every seed equal turns.
        phases: weights of the seeds from certain candidates on, sorted by start; before the first, all seeds weigh the same.
    """
    seeds = near(seeds)
    names = [name for name, share in shares.items() if share > 0]
    orders = {name: _in_turn(seeds) if kinds is None else _by_kind(seeds, kinds) for name in names}
    made, rounds = dict.fromkeys(names, 0), {name: Counter[str]() for name in names}
    starts = {phase.start: phase for phase in phases}
    for number in itertools.count():
        if (phase := starts.get(number)) is not None:
            orders = {name: _by_weight(seeds, phase.weights) for name in names}
        # Choose the strategy that would lag most behind its share; a tie goes to the one named first.
        strategy = max(made, key=lambda name: shares[name] * (number + 1) - made[name])
        seed = next(orders[strategy])
        of_seed = rounds[strategy][seed.id]
        candidate = Candidate(number, f"{strategy}-{seed.id}-{of_seed}", strategy, seed.id)
        yield Planned(candidate, seed, of_seed, made[strategy])
        made[strategy] += 1
        rounds[strategy][seed.id] += 1


def _in_turn(seeds: Sequence[Seed]) -> Iterator[Seed]:
    """Yield every seed, in endless cycles."""
    return itertools.cycle(seeds)


def _by_kind(seeds: Sequence[Seed], kinds: Callable[[Seed], Sequence[str]]) -> Iterator[Seed]:
    """Yield the next seed of the rarest kind so far. A seed without a kind comes only if no seed has one."""
    of_seed = {seed.id: tuple(kinds(seed)) for seed in seeds}
    groups: dict[str, list[Seed]] = {}
    for seed in seeds:
        for kind in of_seed[seed.id]:
            groups.setdefault(kind, []).append(seed)
    if not groups:
        yield from _in_turn(seeds)
    rings = {kind: itertools.cycle(group) for kind, group in sorted(groups.items())}
    came = Counter[str]()
    while True:
        seed = next(rings[min(rings, key=came.__getitem__)])
        came.update(of_seed[seed.id])
        yield seed


def _by_weight(seeds: Sequence[Seed], weights: Mapping[str, float]) -> Iterator[Seed]:
    """Yield seeds in proportion to their weights, evenly spread.

    A seed is due for the k-th time, k from 0, at (k + 1/2) / weight: Webster's method, as in stride scheduling. Seeds that are due
    together come in their order.
    """
    due = [(0.5 / weights[seed.id], place, 0) for place, seed in enumerate(seeds)]
    heapq.heapify(due)
    while True:
        _, place, times = due[0]
        yield seeds[place]
        heapq.heapreplace(due, ((times + 1.5) / weights[seeds[place].id], place, times + 1))
