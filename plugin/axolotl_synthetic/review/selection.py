"""Choose the samples that people see, by the policies of `review.select`. Pure: the same samples and seed give the same list.

The choice considers samples as the checks left them, so people's decisions do not change it.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count, islice, zip_longest
from typing import Any

from axolotl_synthetic.config import Select
from axolotl_synthetic.review.signals import Signals, read_signals

# In an `uncertain` or `random` choice one in five is a rejected sample, to audit the checks; the others are accepted ones.
AUDITED_EVERY = 5
# A duplicate repeats an existing sample word for word, so its rejection needs no review.
CERTAIN = "duplicate"


@dataclass(frozen=True, slots=True)
class Choice:
    """A sample that may be chosen, reduced to what choosing needs, so that hundreds of thousands fit into memory."""

    id: str
    strategy: str
    reason: str | None
    signals: Signals


def choices(rows: Iterable[Mapping[str, Any]]) -> list[Choice]:
    """Return the accepted and rejected samples; failed ones have nothing to review."""
    return [
        Choice(row["id"], row["strategy"], row["reason"], read_signals(row))
        for row in rows
        if row["status"] != "failed" and row["question"]
    ]


def select(among: Sequence[Choice], settings: Select, seed: int) -> list[str]:
    """Return the ids of the chosen samples, in the order to review them.

    Args:
        seed: seed of random choices. A larger count contains the choice of a smaller one.
    """
    if settings.policy == "all":
        return [one.id for one in among]
    chance = {one.id: _chance(one.id, seed) for one in among}
    if settings.policy == "stratified":
        kinds: dict[tuple[str, str], list[Choice]] = {}
        for one in sorted(among, key=lambda one: chance[one.id]):
            kinds.setdefault((one.strategy, one.reason or ""), []).append(one)
        # Take one of each kind in turn, as long as it has any left.
        turns = chain.from_iterable(zip_longest(*(kinds[kind] for kind in sorted(kinds))))
        return [one.id for one in turns if one is not None][: settings.count]
    key = _doubt(among, chance) if settings.policy == "uncertain" else lambda one: (chance[one.id],)
    ranked = sorted((one for one in among if one.reason != CERTAIN), key=key)
    mixed = _mixed([one for one in ranked if one.reason is None], [one for one in ranked if one.reason is not None])
    return [one.id for one in islice(mixed, settings.count)]


def _doubt(among: Sequence[Choice], chance: Mapping[str, bytes]) -> Any:
    """Return the sort key of `uncertain`: low agreement, then scores near the judge's threshold, then dissent, then rare strategies."""
    strategies = Counter(one.strategy for one in among)
    judged = [one.signals for one in among if one.signals.score is not None]
    told = [signals.threshold for signals in judged if signals.threshold is not None]
    passing = [signals.score for signals in judged if signals.threshold is None and signals.score is not None]
    # A passing judgement does not state the threshold; the lowest passing score is near it.
    threshold = told[0] if told else min(passing, default=0.0)

    def key(one: Choice) -> tuple[float, float, float, int, bytes]:
        signals = one.signals
        agreement = 1.0 if signals.agreement is None else signals.agreement
        margin = float("inf") if signals.score is None else abs(signals.score - threshold)
        return agreement, margin, -signals.dissent, strategies[one.strategy], chance[one.id]

    return key


def _mixed(accepted: Sequence[Choice], rejected: Sequence[Choice]) -> Iterator[Choice]:
    """Yield both in order, with a rejected one in every fifth place; if one kind runs out, continue with the other."""
    kinds = deque(accepted), deque(rejected)
    for place in count(1):
        wanted = kinds[place % AUDITED_EVERY == 0] or kinds[place % AUDITED_EVERY != 0]
        if not wanted:
            return
        yield wanted.popleft()


def _chance(sample: str, seed: int) -> bytes:
    """Return a sample's sort key for a random order; it does not depend on other samples."""
    return hashlib.blake2b(f"{seed}\0{sample}".encode(), digest_size=8).digest()
