"""Asks more rounds of a seed than are decided on, where calls go out in waves: to wait for a decision would cost a wave each time.

Whether a round is asked is decided by what its seed's earlier rounds said (exhaustion.py). In a rolling window the answer is there in time;
in a wave the rounds that decide are under way themselves. So rounds are asked ahead of their decision, and one that turns out not to
have been asked is left out when it ends: which candidates a run has does not depend on how its calls were sent. Of a seed at most twice
as many rounds are asked as have ended, so that a seed with nothing new to say costs little more than it would else. Pure, like exhaustion.
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
    """The rounds of one seed by one strategy.

    Attributes:
        ended: how many have ended.
        undecided: rounds that were asked ahead, in their order.
        asked: whether each that was decided since was to be asked.
        held: those that have ended before they were decided.
    """

    ended: int = 0
    undecided: deque[int] = field(default_factory=deque)
    asked: dict[int, bool] = field(default_factory=dict)
    held: dict[int, Candidate] = field(default_factory=dict)


class Ahead:
    """The rounds of a run.

    Args:
        exhaustion: decides.
    """

    def __init__(self, exhaustion: Exhaustion) -> None:
        self._exhaustion = exhaustion
        self._rounds: dict[Name, _Rounds] = {}

    def may_start(self, name: Name, round: int) -> bool | None:
        """Return whether a seed's next round is asked now, None where others must end first."""
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
        """Return the candidates that are decided now, with whether each is one of the run's; `exhaustion` knows what this one said."""
        rounds = self._rounds[name]
        rounds.ended += 1
        decided: list[tuple[Candidate, bool]] = []
        # While one is undecided, so are all later ones.
        if round in rounds.asked or (rounds.undecided and round >= rounds.undecided[0]):
            rounds.held[round] = candidate
        else:
            decided.append((candidate, True))
        while rounds.undecided and (exhausted := self._exhaustion.decide(*name, rounds.undecided[0])) is not None:
            rounds.asked[rounds.undecided.popleft()] = not exhausted
        for number in sorted(rounds.held.keys() & rounds.asked.keys()):
            decided.append((rounds.held.pop(number), rounds.asked.pop(number)))
        return decided
