"""Rounds of a seed that are asked ahead of their decision where calls go out in waves.

The replies of a seed's earlier rounds decide whether its next round is asked (exhaustion.py). A rolling window has those replies in time.
In a wave the deciding rounds are still open, and waiting for each decision would cost a wave. So rounds are asked ahead, and a round that
turns out not wanted is left out when it ends. Thus the way in which calls are sent does not change a run's candidates. At most twice as
many rounds of a seed are asked as have ended, so an exhausted seed costs little more than it would otherwise. This file does no I/O.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from axolotl_synthetic.pipelines.exhaustion import Exhaustion
from axolotl_synthetic.records import Candidate

Name = tuple[str, str]
"""A strategy and the id of a seed."""


@dataclass
class _Rounds:
    """Rounds of one seed by one strategy.

    Attributes:
        ended: number of rounds that have ended.
        undecided: rounds asked ahead, in their order.
        asked: for each round asked ahead and decided since, whether it was wanted.
        held: candidates of rounds that ended before their decision.
    """

    ended: int = 0
    undecided: deque[int] = field(default_factory=deque)
    asked: dict[int, bool] = field(default_factory=dict)
    held: dict[int, Candidate] = field(default_factory=dict)


class Ahead:
    """Rounds of a run, with those asked ahead.

    Args:
        exhaustion: decides whether a round is asked.
    """

    def __init__(self, exhaustion: Exhaustion) -> None:
        self._exhaustion = exhaustion
        self._rounds: dict[Name, _Rounds] = {}

    def may_start(self, name: Name, round: int) -> bool | None:
        """Return whether to ask a seed's next round now; None where other rounds must end first."""
        rounds = self._rounds.setdefault(name, _Rounds())
        if self._exhaustion.is_over(*name):
            return False
        if not rounds.undecided and (exhausted := self._exhaustion.decide(*name, round)) is not None:
            if not exhausted:
                self._exhaustion.started(*name, round)
            return not exhausted
        if round >= 2 * rounds.ended:
            return None
        rounds.undecided.append(round)
        self._exhaustion.started(*name, round)
        return True

    def ended(self, name: Name, round: int, candidate: Candidate) -> list[tuple[Candidate, bool]]:
        """Return the candidates decided now, each with whether it belongs to the run.

        `exhaustion` must have recorded this candidate already.
        """
        rounds = self._rounds[name]
        rounds.ended += 1
        decided: list[tuple[Candidate, bool]] = []
        # While one round is undecided, all later rounds are too.
        if round in rounds.asked or (rounds.undecided and round >= rounds.undecided[0]):
            rounds.held[round] = candidate
        else:
            decided.append((candidate, True))
        while rounds.undecided and (exhausted := self._exhaustion.decide(*name, rounds.undecided[0])) is not None:
            rounds.asked[rounds.undecided.popleft()] = not exhausted
        for number in sorted(rounds.held.keys() & rounds.asked.keys()):
            decided.append((rounds.held.pop(number), rounds.asked.pop(number)))
        return decided
