"""Judging of candidates one after another: first by checks that need only the candidate, then against earlier accepted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from axolotl_synthetic.checks import Check
from axolotl_synthetic.errors import SyntheticError
from axolotl_synthetic.records import Candidate, Seed, Verdict, judged
from axolotl_synthetic.tasks import Task


class Judging:
    """Checks of one run or step, with the memory of those that compare candidates in order.

    Args:
        task: reads the final answers.
        checks: all checks; those in order come last.
    """

    def __init__(self, task: Task, checks: Sequence[Check]) -> None:
        self._task = task
        self._single = [check for check in checks if not check.in_order]
        self._ordered = [check for check in checks if check.in_order]

    def judge(self, candidate: Candidate, seed: Seed) -> Candidate:
        """Return the candidate with its verdicts and status; the ordered checks remember an accepted one."""
        candidate, verdicts = self.alone(candidate, seed)
        return self.in_order(candidate, seed, verdicts)

    def alone(self, candidate: Candidate, seed: Seed) -> tuple[Candidate, Sequence[Verdict]]:
        """Apply the checks that need only the candidate; return it, with a status if it is rejected, and its verdicts."""
        if candidate.answer is not None and candidate.question is not None:
            try:
                final_answer = self._task.final_answer(candidate.answer, candidate.question)
            except SyntheticError:
                raise
            except (Exception, SystemExit) as error:  # one unreadable answer must not end the run
                return candidate.fail(f"task broken: {type(error).__name__}: {error}"), ()
            candidate = replace(candidate, final_answer=final_answer)
        verdicts = [check(candidate, seed) for check in self._single]
        if any(verdict.passed is False for verdict in verdicts):
            return judged(candidate, verdicts), ()
        if not candidate.answer:
            return judged(candidate, verdicts).fail("no answer, and no check that rejects it; add `format` to verify"), ()
        return candidate, verdicts

    def in_order(self, candidate: Candidate, seed: Seed, verdicts: Sequence[Verdict]) -> Candidate:
        """Return the candidate with its status after the ordered checks; call this for all candidates in their order."""
        if candidate.status is not None:
            return candidate
        candidate = judged(candidate, [*verdicts, *(check(candidate, seed) for check in self._ordered)])
        if candidate.status == "accepted":
            for check in self._ordered:
                check.remember(candidate)
        return candidate
