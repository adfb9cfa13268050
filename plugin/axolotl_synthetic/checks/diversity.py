"""Limit on the accepted samples of one seed, whatever their strategy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from axolotl_synthetic.config import Block
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, passed
from axolotl_synthetic.wording import number_of

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

IN_ORDER = True


class Options(Block):
    """The limit."""

    per_seed: int = Field(ge=1)
    """The largest number of accepted samples of one seed."""


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options) -> Diversity:
    """Return the check's judge."""
    return Diversity(options.per_seed)


class Diversity:
    """Counts the accepted samples of each seed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._accepted: Counter[str] = Counter()

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        if (count := self._accepted[seed.id]) >= self._most:
            return failed(f"the seed has {number_of(count, 'sample')} already, as many as it may have")
        return passed(f"sample {count + 1} of at most {self._most} of this seed")

    def remember(self, candidate: Candidate) -> None:
        self._accepted[candidate.seed_id] += 1
