"""Check that the majority of k sampled answers has this answer's final answer (Wang et al. 2022, arXiv 2203.11171).

The answers are further samples of the answer's own prompt. Those to a seed's own question are samples 0 to k-1 of that request, which are
also candidates' answers. All candidates of the seed share them through the ledger, so with k or more answers a seed the votes cost nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from axolotl_synthetic.checks import Ask, Judge
from axolotl_synthetic.config import Block
from axolotl_synthetic.records import ANSWER_AUGMENTATION, Candidate, Question, Request, Seed, Verdict, failed, passed
from axolotl_synthetic.spoken import answer_in

if TYPE_CHECKING:
    from axolotl_synthetic.strategies import Source
    from axolotl_synthetic.tasks import Task

NAME = "self_consistency"
LONGEST_SHOWN = 80


class Options(Block):
    """How many answers are sampled, and how many of them must agree."""

    k: int = Field(default=5, ge=2, le=100)
    """Answers to one question."""
    threshold: float = Field(default=0.5, gt=0, le=1)
    """The share of the k answers that the majority needs; one that marks no final answer counts among the k."""


def problem(options: Options, task: Task) -> str | None:
    """Return the problem of a task without final answers, which no vote can compare."""
    if task.has_final_answer:
        return None
    return f": {task.name} has no final answers that could agree; leave it out, or use judge"


def calls(options: Options, strategy: str, round: int) -> int:
    """Return the number of calls. A seed's answers after the first k are not among the votes on its question."""
    return options.k if strategy == ANSWER_AUGMENTATION and round >= options.k else options.k - 1


def expected(options: Options, strategy: str, rounds: int) -> float:
    """Return the average number of calls. The votes on a seed's own question are its first k answers, which its candidates share."""
    return max(options.k, rounds) / rounds - 1 if strategy == ANSWER_AUGMENTATION else options.k - 1


async def inquire(candidate: Candidate, source: Source, task: Task, ask: Ask, options: Options) -> Candidate:
    """Return the candidate with the votes of k answers to its question."""
    assert candidate.question is not None
    if candidate.strategy == ANSWER_AUGMENTATION:
        samples: Sequence[int] = range(options.k)
    else:
        samples = [source.round, *(sample for sample in range(options.k) if sample != source.round)][: options.k]
    messages = answer_in(task.answer_messages(candidate.question, source.worked), task)
    votes = []
    for place, sample in enumerate(samples, 1):
        reply = await ask(Request("answer", "teacher", messages, sample, samples[place:]))
        votes.append(None if reply.cut_off else task.final_answer(reply.text, candidate.question))
    return replace(candidate, votes=tuple(votes))


def make(task: Task, keeps_answer: Mapping[str, bool], options: Options | None = None) -> Judge:
    """Return the check's judge."""
    chosen = options or Options()

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        if not candidate.votes or candidate.question is None:
            return failed("there is no answer to ask for again")
        groups = sorted(_groups(candidate.votes, task, candidate.question), key=len, reverse=True)
        said = f"votes: {json.dumps([shortened(vote) for vote in candidate.votes], ensure_ascii=False)}"
        if not groups:
            return failed(f"none of {len(candidate.votes)} answers marks a final answer; {said}", agree=0, of=len(candidate.votes))
        most, share = groups[0], len(groups[0]) / len(candidate.votes)
        data = {"agree": len(most), "of": len(candidate.votes), "threshold": chosen.threshold}
        count = f"{len(most)} of {len(candidate.votes)} answers ({share:.0%}) say {shortened(most[0])}"
        if len(groups) > 1 and len(groups[1]) == len(most):
            return failed(f"no majority: {count}, and as many {shortened(groups[1][0])}; {said}", **data)
        if share < chosen.threshold:
            return failed(f"{count}, fewer than {chosen.threshold:.0%}; {said}", **data)
        if candidate.final_answer is None or not all(
            task.equivalent(vote, candidate.final_answer, candidate.question) for vote in set(most)
        ):
            return failed(f"{count}, and this one {shortened(candidate.final_answer)}; {said}", **data)
        return passed(f"{count}; {said}", **data)

    return judge


def _groups(votes: Sequence[str | None], task: Task, question: Question) -> list[list[str]]:
    """Return the largest sets of votes that all agree, earliest votes first; votes without a final answer are in none.

    `5` equals `5 apples` and `5 pears`, which differ. It is in both sets, so that the order of the votes decides nothing.
    """
    said = [vote for vote in votes if vote is not None]
    sets: list[set[str]] = []
    for vote in dict.fromkeys(said):
        joined = [{*(other for other in group if task.equivalent(other, vote, question)), vote} for group in sets] or [{vote}]
        every = [*sets, *joined]
        sets = [group for at, group in enumerate(every) if not _is_within(group, every, at)]
    return [[vote for vote in said if vote in group] for group in sets]


def _is_within(group: set[str], every: list[set[str]], at: int) -> bool:
    return any(group < other or (group == other and before < at) for before, other in enumerate(every))


def shortened(vote: str | None) -> str | None:
    """Return a final answer, shortened for a verdict's detail."""
    return vote if vote is None or len(vote) <= LONGEST_SHOWN else vote[: LONGEST_SHOWN - 1] + "…"
