"""Check that no earlier sample or seed has almost the same question, and no earlier sample almost the same question and answer.

The similarity is the Jaccard similarity of the runs of three words (`words.py`). `duplicate` finds exact copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from axolotl_synthetic.checks.words import Alike, Sketch, asked
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import Candidate, Question, Seed, Verdict, failed, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

IN_ORDER = True
Turns = tuple[tuple[str, str], ...]


class Options(Block):
    """How similar two texts may be."""

    threshold: float = Field(default=0.8, ge=0.5, le=1)
    """Jaccard similarity of the runs of three words; 1: the same runs."""


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None, seeds: Sequence[Seed] = ()) -> NearDuplicates:
    """Return the check's judge."""
    return NearDuplicates(options or Options(), seeds)


class NearDuplicates:
    """The seeds' questions and the accepted samples so far; about 2 kB a sample.

    Messages are compared only with those after the same earlier turns, because `And on Sunday?` may follow anything. Whole new
    conversations are compared by all that the user says in them.
    """

    def __init__(self, options: Options, seeds: Sequence[Seed]) -> None:
        self._threshold = options.threshold
        self._questions: dict[Turns, Alike] = {}
        self._samples: dict[Turns, Alike] = {}
        self._last: tuple[str, Turns, Sketch | None, Sketch] | None = None
        for seed in seeds:
            place = _said(seed.question)
            questions = self._among(self._questions, place)
            questions.add(f"the seed {seed.id}", questions.sketch("\n".join((seed.question.text, *seed.question.choices))))

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.question is None:
            return failed("there is no question")
        place = _said(candidate.question)
        if place == _said(seed.question):
            text = "\n".join((candidate.question.text, *candidate.question.choices))
        else:
            place, text = (), asked(candidate.question)
        questions, samples = self._among(self._questions, place), self._among(self._samples, place)
        # Answer Augmentation keeps the seed's own question on purpose.
        question = None if candidate.question == seed.question else questions.sketch(text)
        sample = samples.sketch(text, candidate.answer or "")
        self._last = candidate.id, place, question, sample
        if question is not None and (near := questions.nearest(question)) is not None:
            return failed(f"its question is {near[1]:.0%} like that of {near[0]}", similarity=round(near[1], 4))
        if (near := samples.nearest(sample)) is not None:
            return failed(f"its question and answer are {near[1]:.0%} like those of {near[0]}", similarity=round(near[1], 4))
        return passed()

    def remember(self, candidate: Candidate) -> None:
        assert self._last is not None and self._last[0] == candidate.id
        _, place, question, sample = self._last
        if question is not None:
            self._among(self._questions, place).add(candidate.id, question)
        self._among(self._samples, place).add(candidate.id, sample)

    def _among(self, alike: dict[Turns, Alike], place: Turns) -> Alike:
        if place not in alike:
            alike[place] = Alike(self._threshold)
        return alike[place]


def _said(question: Question) -> Turns:
    """Return the turns of user and assistant before a question."""
    return tuple(turn for turn in question.turns if turn[0] != "system")
