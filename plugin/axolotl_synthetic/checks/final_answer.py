"""Check that the answer has the seed's final answer, where the strategy keeps it.

A new question has an answer of its own; it is compared only if the question was written for a given answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, not_applicable, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


def serves(task: Task) -> bool:
    return task.has_final_answer


def make(task: Task, keeps_answer: Mapping[str, bool]) -> Judge:
    """Return the check's judge."""

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if not task.has_final_answer:
            return not_applicable(f"{task.name} has no final answers to compare")
        meant = None if candidate.question is None else candidate.question.meant
        if meant is not None and not keeps_answer[candidate.strategy]:
            return _as_meant(meant, candidate, task)
        if not keeps_answer[candidate.strategy]:
            return not_applicable(f"{candidate.strategy} asks for another answer than the seed's")
        gold = task.gold_answer(seed)
        if gold is None:
            return not_applicable("off: the seed has no answer to compare with")
        if candidate.final_answer is None or candidate.question is None:
            return failed(f"no final answer, where the seed's is {gold}")
        if task.equivalent(gold, candidate.final_answer, candidate.question):
            return passed(f"{candidate.final_answer} agrees with the seed's {gold}")
        return failed(f"{candidate.final_answer} is not the seed's {gold}")

    return judge


def _as_meant(meant: str, candidate: Candidate, task: Task) -> Verdict:
    """Judge the answer to a question that was written for a given final answer, which the teacher was not told."""
    found = candidate.final_answer
    if found is None or candidate.question is None:
        return failed(f"no final answer, where the question was written for {meant}")
    if task.equivalent(meant, found, candidate.question):
        return passed(f"{found}, for which the question was written")
    return failed(f"{found}, where the question was written for {meant}")
