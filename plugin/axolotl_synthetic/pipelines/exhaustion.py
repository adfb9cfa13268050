"""The seeds that are not asked again: those whose last answers all said what earlier ones, or the seed's own pair, had said.

Whether a candidate is asked depends on the texts of its seed's earlier rounds alone, never on the order in which they arrive, so a
run that goes on after a kill asks the same. Pure: the engine says what was started and what came of it.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from dataclasses import dataclass, field

from axolotl_synthetic.checks.duplicate import said

# A seed of whose answers so many in a row say nothing new is exhausted.
IN_A_ROW = 3
# Candidates between the last round that is looked at and the one that is decided on, so that a window of calls of usual size is
# never held up by a decision.
LAG = 512
# Characters of an answer up to which spelling is left out of account, as `duplicate` does it. Answers that repeat are short, and to
# normalise one of 800 characters takes 44 µs of the process that makes the calls.
SHORT = 200


def key_of(prompt: str, answer: str) -> bytes:
    """Return 16 bytes that tell what a sample says."""
    if len(answer) <= SHORT:
        return said(prompt, answer)
    return hashlib.blake2b(f"{prompt}\0{answer}".encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass
class _Answers:
    """The answers to one seed by one strategy.

    Attributes:
        before: what was said before the rounds that are looked at.
        folded: the first round that is not in `before`.
        said: what later rounds said, as far as they have ended.
        open: rounds that have not ended, ascending.
        over: the seed is exhausted.
    """

    before: set[bytes] = field(default_factory=set)
    folded: int = 0
    said: dict[int, bytes] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    over: bool = False


class Exhaustion:
    """The answers of a run.

    Args:
        own: what the pair of a seed says, by the seed's id; None where there is none that is trained on.
        seeds: how many there are.
        strategies: how many have a share.
    """

    def __init__(self, own: Callable[[str], bytes | None], seeds: int, strategies: int) -> None:
        self._lag = max(1, math.ceil(LAG / seeds))
        self._pairs = seeds * strategies
        self._over = 0
        self._answers: dict[tuple[str, str], _Answers] = {}
        self._own = own

    @property
    def complete(self) -> bool:
        """Return whether every seed is exhausted."""
        return self._over == self._pairs

    def is_over(self, strategy: str, seed: str) -> bool:
        """Return whether a seed is known to be exhausted."""
        return self._of(strategy, seed).over

    def started(self, strategy: str, seed: str, round: int) -> None:
        insort(self._of(strategy, seed).open, round)

    def ended(self, strategy: str, seed: str, round: int, said: bytes | None) -> None:
        """Note what a candidate says; None for one that failed, which says nothing about the seed and counts as something new."""
        answers = self._of(strategy, seed)
        if (at := bisect_left(answers.open, round)) < len(answers.open) and answers.open[at] == round:
            del answers.open[at]
        key = said if said is not None else b"failed %d" % round
        if round < answers.folded:
            answers.before.add(key)
        else:
            answers.said[round] = key

    def decide(self, strategy: str, seed: str, round: int) -> bool | None:
        """Return whether the seed is exhausted, so that this round is not asked; None where candidates under way will tell."""
        answers = self._of(strategy, seed)
        last = round - self._lag
        first = last - IN_A_ROW + 1
        if answers.over or first < 0:
            return answers.over
        if answers.folded == 0 and (own := self._own(seed)) is not None:
            answers.before.add(own)
        while answers.folded < first:
            if (key := answers.said.pop(answers.folded, None)) is not None:
                answers.before.add(key)
            answers.folded += 1
        looked_at = {answers.said[number] for number in range(first, last + 1) if number in answers.said}
        unknown = bisect_right(answers.open, last)
        # Each that is under way can turn out to have said one of these before.
        if (new := len(looked_at - answers.before)) > unknown:
            return False
        if unknown:
            return None
        answers.over = not new
        self._over += answers.over
        return answers.over

    def _of(self, strategy: str, seed: str) -> _Answers:
        return self._answers.setdefault((strategy, seed), _Answers())
