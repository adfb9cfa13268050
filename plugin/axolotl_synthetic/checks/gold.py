"""Judges the seeds' own answers by the checks that their samples must pass. Pure; `prepare.py` reports failures and stops the run.

If a gold answer does not pass, either it is wrong or the check does not fit this data. In both cases each call for that seed is wasted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Check
from axolotl_synthetic.records import ANSWER_AUGMENTATION, Candidate, Seed, Verdict

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


def failing_seeds(seeds: Sequence[Seed], task: Task, checks: Sequence[Check]) -> Iterator[tuple[Seed, Verdict]]:
    """Yield the seeds whose own answer does not pass, each with the first verdict against it.

    Args:
        seeds: those without an answer are skipped.
        checks: of the run; those that compare samples with one another or judge by a model's reply are skipped.
    """
    alone = [check for check in checks if not check.in_order and not check.asks]
    for seed in seeds:
        try:
            candidate = as_candidate(seed, task)
        except Exception as error:  # a user's class may fail on an answer that its author did not expect
            yield seed, Verdict("task", False, f"{type(error).__name__}: {error}", broken=True)
            continue
        if candidate is None:
            continue
        verdicts = (check(candidate, seed) for check in alone)
        if (against := next((verdict for verdict in verdicts if verdict.passed is False), None)) is not None:
            yield seed, against


def own_id(seed: Seed) -> str:
    """Return the id of the candidate that represents a seed's own pair."""
    return f"seed-{seed.id}"


def as_candidate(seed: Seed, task: Task) -> Candidate | None:
    """Return the seed's pair as a perfect sample of Answer Augmentation, None without an answer."""
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
