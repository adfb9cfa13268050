"""Is the answer there, whole, and in the task's form? Whether it is right is for `final_answer`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task


def make(task: Task, keeps_answer: Mapping[str, bool]) -> Judge:
    """The check."""

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if not candidate.answer:
            return failed("there is no answer")
        if candidate.answer_cut_off:
            return failed("the answer was cut off at max_new_tokens; raise teacher.generation.max_new_tokens if this is frequent")
        if task.has_final_answer and candidate.final_answer is None:
            return failed(f"the answer marks no final answer of the form that {task.name} has")
        return passed()

    return judge
