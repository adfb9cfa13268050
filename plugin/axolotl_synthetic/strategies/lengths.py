"""Expected lengths of the strategies' calls, from the prompts for the seeds; used by the estimates of `plan`.

Prompts are built and counted as in a run. Replies are unknown, so the seeds' own questions and answers are counted instead.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from axolotl_synthetic.config import Settings
from axolotl_synthetic.errors import ConfigError
from axolotl_synthetic.plan.costs import CHARACTERS_PER_TOKEN, ROLES, SELF_CHECK_TOKENS, SHORTEST_ANSWER, Length
from axolotl_synthetic.records import Message, Purpose, Seed
from axolotl_synthetic.strategies import Examples, near, worked_examples

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

# Seeds come in random order, so this many determine their mean lengths well enough.
SEEDS_READ = 200


@dataclass(frozen=True)
class _Read:
    """One seed's prompts, and the characters that are counted as its replies; `solution` is None without an answer."""

    prompts: Mapping[Purpose, Sequence[Message]]
    question: int
    shown: int
    solution: int | None


def lengths(settings: Settings, task: Task, seeds: Sequence[Seed], worst: Callable[[Sequence[Message]], int]) -> dict[Purpose, Length]:
    """Return the tokens of each kind of call.

    Args:
        settings: the user's.
        task: builds the prompts.
        seeds: the run's seeds in their order.
        worst: returns an upper bound of a chat's tokens, as the ledger does.

    Raises:
        ConfigError: if the task can build prompts for no seed.
    """
    read = _read(task, near(seeds)[:SEEDS_READ], worked_examples(seeds, settings.seed, settings.examples, getattr(task, "kinds", None)))
    solutions = [one.solution for one in read if one.solution is not None]
    replies: dict[Purpose, float] = {
        "answer": max(_tokens(solutions) if solutions else 0.0, SHORTEST_ANSWER),
        "rephrase": _tokens(one.question for one in read),
        "new_question": _tokens(one.shown for one in read),
        "self_check": SELF_CHECK_TOKENS,
    }
    return {
        purpose: Length(
            prompt=_tokens(sum(len(turn["content"]) for turn in one.prompts[purpose]) for one in read),
            completion=min(reply, settings.model_for(ROLES[purpose]).generation.max_new_tokens),
            worst_prompt=min(worst(one.prompts[purpose]) for one in read),
            shared=_shared([one.prompts[purpose] for one in read]),
        )
        for purpose, reply in replies.items()
    }


def _read(task: Task, seeds: Sequence[Seed], drawn: Examples) -> list[_Read]:
    read, broken = [], ""
    for seed in seeds:
        question, examples = seed.question, drawn.beside(seed)
        try:
            prompts: dict[Purpose, Sequence[Message]] = {
                "answer": task.answer_messages(question, examples[: drawn.shown]),
                "rephrase": task.rephrase_messages(question, examples),
                "new_question": task.new_question_messages(question, examples),
                "self_check": task.self_check_messages(question),
            }
            solution = task.solution(seed)
            read.append(_Read(prompts, len(question.text), len(task.prompt(question)), None if solution is None else len(solution)))
        except Exception as error:  # the run will report a seed on which a user's task fails
            broken = f"{type(error).__name__}: {error}"
    if not read:
        raise ConfigError(f"synthetic.task: {task.name} can make prompts for no seed: {broken}; correct the task's class")
    return read


def _shared(prompts: Sequence[Sequence[Message]]) -> float:
    """Return the mean share of a prompt that it has in common with the prompt before it: the part that a prefix cache can serve."""
    texts = ["\0".join(f"{turn['role']}\0{turn['content']}" for turn in prompt) for prompt in prompts]
    shares = [shared_beginning(before, text) / len(text) for before, text in itertools.pairwise(texts)]
    return sum(shares) / len(shares) if shares else 0.0


def shared_beginning(one: str, other: str) -> int:
    """Return the length of two texts' common prefix in characters."""
    longest = min(len(one), len(other))
    return bisect.bisect_left(range(longest + 1), True, key=lambda length: one[:length] != other[:length]) - 1


def _tokens(characters: Iterable[int]) -> float:
    """Return the mean in tokens, estimated from characters."""
    numbers = list(characters)
    return sum(numbers) / len(numbers) / CHARACTERS_PER_TOKEN
