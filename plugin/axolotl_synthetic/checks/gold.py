"""Do the seeds' own answers pass the checks that their samples will be held to? Pure; who tells the user, and stops, is for `run.py`.

A gold answer that does not pass is wrong, or the check is wrong for this data: either way each call for that seed would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Check
from axolotl_synthetic.records import ANSWER_AUGMENTATION, Candidate, Seed, Verdict

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


def failing_seeds(seeds: Sequence[Seed], task: Task, checks: Sequence[Check]) -> Iterator[tuple[Seed, Verdict]]:
    """The seeds whose own answer does not pass, each with the first verdict against it.

    Args:
        seeds: those without an answer are passed over.
        checks: of the run; what compares samples with one another, or judges by what a model said, says nothing about a seed.
    """
    alone = [check for check in checks if not check.in_order and not check.asks]
    for seed in seeds:
        try:
            candidate = as_candidate(seed, task)
        except Exception as error:  # a class of the user's may break on an answer that none of its author's was like
            yield seed, Verdict("task", False, f"{type(error).__name__}: {error}", broken=True)
            continue
        if candidate is None:
            continue
        verdicts = (check(candidate, seed) for check in alone)
        if (against := next((verdict for verdict in verdicts if verdict.passed is False), None)) is not None:
            yield seed, against


def own_id(seed: Seed) -> str:
    """Return the id of the candidate that a seed's own pair is judged as."""
    return f"seed-{seed.id}"


def as_candidate(seed: Seed, task: Task) -> Candidate | None:
    """The seed's pair as the sample that Answer Augmentation would make of it at its best, None without an answer."""
    solution = task.solution(seed)
    if solution is None:
        return None
    return Candidate(
        0,
        own_id(seed),
        ANSWER_AUGMENTATION,
        seed.id,
        question=seed.question,
        prompt=task.prompt(seed.question),
        answer=solution,
        final_answer=task.final_answer(solution, seed.question),
    )
