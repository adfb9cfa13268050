"""The interface of a strategy, and the lookup of one by name; each of the paper's three has a file of its own (arXiv 2409.19759).

A strategy says which calls make one sample from one seed, and in which order. `pipelines/` makes and pays for them; `checks/` judges the
sample.
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

# With four worked examples a small teacher was right in more than half of its answers; without any, in a quarter.
WORKED_EXAMPLES = 4

# Most examples when one of each label is shown: more would cost more than the text to label.
MOST_KINDS = 12

# Reorder seeds only within stretches of this length, so that a short run draws from all seeds and not from a few contexts.
NEAR = 64

Ask = Callable[[Request], Awaitable[Reply]]
"""Function that makes one call or finds its reply in the ledger; it raises CallFailed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Input of a strategy for one candidate.

    Attributes:
        seed: the seed.
        examples: other seeds with answers, whose questions are patterns for new ones.
        worked: the examples that the teacher is shown with each question.
        reuse_answer: whether a reworded question takes the seed's answer instead of a new one.
        round: number of the seed's earlier candidates by this strategy, which is the sample number of its calls.
        keep_thinking: whether to keep the teacher's thoughts before an answer for the training file.
        rounds: lower bound of the candidates by this strategy that the seed will have.
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
    """A strategy, as each file of this folder defines one."""

    calls: int
    """Calls for one sample when none fails."""
    keeps_answer: bool
    """True if the sample's final answer must be the seed's."""

    def __call__(self, candidate: Candidate, source: Source, task: Task, ask: Ask) -> Awaitable[Candidate]:
        """Return the candidate with its question and answer, or failed with the reason if a reply could not be read."""


def load_strategies(turns: int | None = None) -> Mapping[str, Strategy]:
    """Return all strategies by name.

    Args:
        turns: the config's; new questions are then whole conversations with this many turns by the user.
    """
    loaded = {name: importlib.import_module(f"{__name__}.{name}").STRATEGY for name in STRATEGIES}
    if turns is not None:
        loaded[NEW_QUESTION] = replace(loaded[NEW_QUESTION], turns=turns, calls=2 * turns + 1)
    return loaded


@dataclass(frozen=True, slots=True)
class Examples:
    """Worked examples of a run: one more than is shown, because a seed's own pair is left out.

    Attributes:
        shown: number of worked examples; new questions have a few patterns even where it is 0.
    """

    drawn: tuple[Seed, ...]
    shown: int = WORKED_EXAMPLES

    def beside(self, seed: Seed) -> tuple[Seed, ...]:
        """Return the examples for a seed, without the seed itself."""
        return tuple(other for other in self.drawn if other.id != seed.id)[: max(self.shown, WORKED_EXAMPLES)]


def worked_examples(
    seeds: Sequence[Seed], draw: int, shown: int | None = None, kinds: Callable[[Seed], Sequence[str]] | None = None
) -> Examples:
    """Draw examples from the seeds with answers, the same for every seed, so that all prompts share a prefix that a server can cache.

    Args:
        seeds: all seeds of the run.
        draw: the config's `seed`.
        shown: the config's `examples`, None for the default.
        kinds: returns a seed's kinds, such as its labels. If given, examples of each kind alternate; by default one of each is shown.
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
    """Return the seeds with equal contexts side by side, within stretches of `NEAR`; without contexts the order stays."""
    ordered: list[Seed] = []
    for start in range(0, len(seeds), NEAR):
        by_context: dict[tuple[object, ...], list[Seed]] = {}
        for seed in seeds[start : start + NEAR]:
            # Chats with the same system message share a prefix, so they form a group.
            by_context.setdefault((seed.question.context, *seed.question.turns[:1]), []).append(seed)
        # Seeds without a context form one group.
        ordered += [seed for group in by_context.values() for seed in group]
    return ordered
