"""What a strategy is, and how one is found by name. Each of the paper's three has a file of its own (arXiv 2409.19759).

A strategy says which calls make one sample out of one seed, in which order; who makes them, and what they cost, is for
`pipelines/`. It judges nothing: that is for `checks/`.
"""

from __future__ import annotations

import importlib
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from axolotl_synthetic.records import NEW_QUESTION, STRATEGIES, Candidate, Reply, Request, Seed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

# Four worked examples: what made a small teacher right in more than half of its answers, where none made it right in a quarter.
WORKED_EXAMPLES = 4

# … and one of each label, of so many labels: more would cost more than the text that is to be labelled.
MOST_KINDS = 12

# Seeds change places with those up to so far away alone, so that a short run still asks about any of them, and not of a few contexts.
NEAR = 64

Ask = Callable[[Request], Awaitable[Reply]]
"""Makes one call (or finds its reply in the ledger); raises CallFailed."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a candidate is made of.

    Attributes:
        seed: the seed.
        examples: other seeds with answers, whose questions are patterns of new ones.
        worked: those of them that the teacher is shown with each question.
        reuse_answer: a reworded question takes the seed's answer instead of asking the teacher.
        round: how many candidates of this strategy the seed has had before, from 0: the sample number of its calls.
        keep_thinking: the teacher's thoughts before an answer are kept for the training file.
        rounds: so many candidates of this strategy the seed will have for sure.
    """

    seed: Seed
    examples: Sequence[Seed]
    round: int
    reuse_answer: bool = False
    keep_thinking: bool = False
    shown: int = WORKED_EXAMPLES
    rounds: int = 0

    @property
    def worked(self) -> Sequence[Seed]:
        return self.examples[: self.shown]


class Strategy(Protocol):
    """One file of this folder."""

    calls: int
    """Calls for one sample, when all goes well."""
    keeps_answer: bool
    """Whether the sample's final answer must be the seed's."""

    def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Awaitable[Candidate]:
        """The candidate with its question and answer; failed, with the reason, where a reply could not be read."""


def load_strategies(turns: int | None = None) -> Mapping[str, Strategy]:
    """All strategies by name.

    Args:
        turns: the config's: new questions are whole conversations of so many turns of the user's.
    """
    loaded = {name: importlib.import_module(f"{__name__}.{name}").STRATEGY for name in STRATEGIES}
    if turns is not None:
        loaded[NEW_QUESTION] = replace(loaded[NEW_QUESTION], turns=turns, calls=2 * turns + 1)
    return loaded


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of a run: one more than is shown, for the seeds that are among them.

    Attributes:
        shown: as many are shown as worked examples; patterns of new questions are a few even where that is none.
    """

    drawn: tuple[Seed, ...]
    shown: int = WORKED_EXAMPLES

    def beside(self, seed: Seed) -> tuple[Seed, ...]:
        """Return what is there beside a seed: never itself."""
        return tuple(other for other in self.drawn if other.id != seed.id)[: max(self.shown, WORKED_EXAMPLES)]


def worked_examples(
    seeds: Sequence[Seed], draw: int, shown: int | None = None, kinds: Callable[[Seed], Sequence[str]] | None = None
) -> Examples:
    """Draw from the seeds with answers. Every seed is shown the same ones, so that all prompts begin alike and a server's prefix
    cache serves them.

    Args:
        seeds: all seeds of the run.
        draw: the config's `seed`.
        shown: the config's `examples`, None for the default.
        kinds: what a seed counts as, such as its labels: then each kind is shown in turn, and by default each of them once.
    """
    answered = [seed for seed in seeds if seed.answer is not None]
    if kinds is not None:
        return _of_each_kind(answered, draw, shown, kinds)
    shown = WORKED_EXAMPLES if shown is None else shown
    return Examples(tuple(random.Random(draw).sample(answered, min(len(answered), max(shown, WORKED_EXAMPLES) + 1))), shown)


def _of_each_kind(answered: Sequence[Seed], draw: int, shown: int | None, kinds: Callable[[Seed], Sequence[str]]) -> Examples:
    groups: dict[tuple[str, ...], list[Seed]] = {}
    for seed in random.Random(draw).sample(answered, len(answered)):
        groups.setdefault(tuple(kinds(seed)), []).append(seed)
    if shown is None:
        shown = min(max(WORKED_EXAMPLES, len(groups)), MOST_KINDS)
    in_turn = [seed for row in itertools.zip_longest(*groups.values()) for seed in row if seed is not None]
    return Examples(tuple(in_turn[: max(shown, WORKED_EXAMPLES) + 1]), shown)


def near(seeds: Sequence[Seed]) -> Sequence[Seed]:
    """Return the seeds with those of one context side by side, within each stretch of `NEAR`; without contexts their order stays."""
    ordered: list[Seed] = []
    for start in range(0, len(seeds), NEAR):
        by_context: dict[tuple[object, ...], list[Seed]] = {}
        for seed in seeds[start : start + NEAR]:
            # Chats with one system message begin alike.
            by_context.setdefault((seed.question.context, *seed.question.turns[:1]), []).append(seed)
        # All without one are a group of their own, and in a stretch without contexts the only one.
        ordered += [seed for group in by_context.values() for seed in group]
    return ordered
