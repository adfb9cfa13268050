"""Which candidate comes next: its strategy, its seed, its round. Pure, and the same in every run of a config.

Prompts begin with what all of a kind share (instructions, worked examples), so calls that go out one after the other find that in a
server's prefix cache. Seeds with one context, such as a database's schema, share more, and are asked near one another.
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
    """The candidate, its seed, how many candidates of its strategy the seed has had before, and its place in the strategy's sequence."""

    candidate: Candidate
    seed: Seed
    round: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class Phase:
    """What holds from one candidate on: how often each seed is taken.

    Attributes:
        start: the number of the first candidate.
        weights: of each seed, by its id, above 0; seeds are taken in proportion.
    """

    start: int
    weights: Mapping[str, float]


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


def schedule(
    seeds: Sequence[Seed],
    shares: Mapping[str, float],
    kinds: Callable[[Seed], Sequence[str]] | None = None,
    phases: Sequence[Phase] = (),
) -> Iterator[Planned]:
    """Candidates without end.

    Every strategy goes through the seeds in the order of `near`, again and again; strategies take turns so that after any number of
    candidates each is within one of its share (the quota method of Balinski and Young, 1975). A strategy's own sequence does not
    depend on the shares, so a run with other shares finds its calls in the ledger, as long as there are no phases.

    Args:
        seeds: at least one.
        shares: strategy and share, adding up to 1.
        kinds: what each seed counts as, such as its labels, where every kind is to come as often; None: every seed does.
        phases: from when on which seeds come more often, in the order of their starts; before the first all come as often.
    """
    seeds = near(seeds)
    names = [name for name, share in shares.items() if share > 0]
    orders = {name: _in_turn(seeds) if kinds is None else _by_kind(seeds, kinds) for name in names}
    made, rounds = dict.fromkeys(names, 0), {name: Counter[str]() for name in names}
    starts = {phase.start: phase for phase in phases}
    for number in itertools.count():
        if (phase := starts.get(number)) is not None:
            orders = {name: _by_weight(seeds, phase.weights) for name in names}
        # The strategy that would lag most behind its share; ties go to the one named first.
        strategy = max(made, key=lambda name: shares[name] * (number + 1) - made[name])
        seed = next(orders[strategy])
        of_seed = rounds[strategy][seed.id]
        candidate = Candidate(number, f"{strategy}-{seed.id}-{of_seed}", strategy, seed.id)
        yield Planned(candidate, seed, of_seed, made[strategy])
        made[strategy] += 1
        rounds[strategy][seed.id] += 1


def _in_turn(seeds: Sequence[Seed]) -> Iterator[Seed]:
    """Yield every seed, again and again."""
    return itertools.cycle(seeds)


def _by_kind(seeds: Sequence[Seed], kinds: Callable[[Seed], Sequence[str]]) -> Iterator[Seed]:
    """Yield the next seed of the kind that came least; seeds of no kind only where all are of none."""
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
    """Yield seeds in proportion to their weights, evenly spread: a seed is due for the k-th time, k from 0, at (k + 1/2) / weight (the
    method of Webster, as stride scheduling has it). Seeds that are due together come in their order."""
    due = [(0.5 / weights[seed.id], place, 0) for place, seed in enumerate(seeds)]
    heapq.heapify(due)
    while True:
        _, place, times = due[0]
        yield seeds[place]
        heapq.heapreplace(due, ((times + 1.5) / weights[seeds[place].id], place, times + 1))
