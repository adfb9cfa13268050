"""Does the answer end where the seed's does? Only where the strategy keeps the seed's answer: a new question has its own."""

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
    """The check."""

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if not task.has_final_answer:
            return not_applicable(f"{task.name} has no final answers to compare")
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
