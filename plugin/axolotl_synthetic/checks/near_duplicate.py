"""Has an accepted sample before this one, or a seed, almost the same question; or almost the same question and answer together?

Alike is measured by runs of three words (Jaccard similarity; `words.py`). That two are the same to the letter is for `duplicate`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from axolotl_synthetic.checks.words import Alike, Sketch, asked
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

IN_ORDER = True


class Options(Block):
    """How alike is too much."""

    threshold: float = Field(default=0.8, ge=0.5, le=1)
    """Jaccard similarity of the runs of three words; 1: the same runs."""


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None, seeds: Sequence[Seed] = ()) -> NearDuplicates:
    """The check."""
    return NearDuplicates(options or Options(), seeds)


class NearDuplicates:
    """The seeds' questions and the accepted samples so far; about 2 kB a sample."""

    def __init__(self, options: Options, seeds: Sequence[Seed]) -> None:
        self._questions = Alike(options.threshold)
        self._samples = Alike(options.threshold)
        self._last: tuple[str, Sketch | None, Sketch] | None = None
        for seed in seeds:
            self._questions.add(f"the seed {seed.id}", self._questions.sketch(asked(seed.question)))

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.question is None:
            return failed("there is no question")
        text = asked(candidate.question)
        # The seed's own question is the strategy's intention, not a likeness.
        question = None if candidate.question == seed.question else self._questions.sketch(text)
        sample = self._samples.sketch(text, candidate.answer or "")
        self._last = candidate.id, question, sample
        if question is not None and (near := self._questions.nearest(question)) is not None:
            return failed(f"its question is {near[1]:.0%} like that of {near[0]}")
        if (near := self._samples.nearest(sample)) is not None:
            return failed(f"its question and answer are {near[1]:.0%} like those of {near[0]}")
        return passed()

    def remember(self, candidate: Candidate) -> None:
        assert self._last is not None and self._last[0] == candidate.id
        _, question, sample = self._last
        if question is not None:
            self._questions.add(candidate.id, question)
        self._samples.add(candidate.id, sample)
