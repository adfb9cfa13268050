"""Check of the augmenter's own judgement of its new question: answerable, complete, well formed. For New Question only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, not_applicable, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

SHOWN = 120


def make(task: Task, keeps_answer: Mapping[str, bool]) -> Judge:
    """Return the check's judge."""

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if candidate.self_check is None:
            return not_applicable(f"{candidate.strategy} keeps the seed's question")
        stands = task.read_self_check(candidate.self_check)
        said = " ".join(candidate.self_check.split())[-SHOWN:]
        if stands is None:
            return failed(f"the augmenter's judgement cannot be read: {said!r}")
        return passed() if stands else failed(f"the augmenter does not stand by its question: {said!r}")

    return judge
