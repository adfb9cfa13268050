"""Recover the parts of a sample's question (text, choices, context); `samples.jsonl` has only the student's prompt.

To recover them, the strategy runs again with the sample's replies from the ledger.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from axolotl_synthetic.errors import CallFailed
from axolotl_synthetic.records import Candidate, Question, Reply, Request, Seed
from axolotl_synthetic.review.work import Work
from axolotl_synthetic.strategies import Source, load_strategies


class Origins:
    """Origins of the samples of one run."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._seeds: Mapping[str, Seed] = {seed.id: seed for seed in work.seeds}
        self._strategies = load_strategies(work.settings.turns)

    def seed(self, row: Mapping[str, Any]) -> Seed:
        """Return the seed of a row of `samples.jsonl`."""
        return self._seeds[row["seed_id"]]

    def candidate(self, row: Mapping[str, Any]) -> Candidate:
        """Return a row of `samples.jsonl` as the candidate that it was, with its question in parts.

        If the ledger or the task has changed and gives another question, the row's whole text becomes the question's text.
        """
        bare = Candidate(0, row["id"], row["strategy"], row["seed_id"])
        made = asyncio.run(self._made(bare, row)) if row["requests"] else bare
        if made.question is None or made.prompt != row["question"]:
            seed = self.seed(row)
            same = self._work.task.prompt(seed.question) == row["question"]
            made = replace(bare, question=seed.question if same else as_written(row, seed))
        return replace(
            made, prompt=row["question"], answer=row["answer"], final_answer=row["final_answer"], requests=tuple(row["requests"])
        )

    def tokens(self, row: Mapping[str, Any]) -> int:
        """Return the prompt and completion tokens of the calls that made a sample."""
        replies = [reply for _, reply in self._work.ledger.replies(row["requests"])]
        return sum((reply.prompt_tokens or 0) + (reply.completion_tokens or 0) for reply in replies)

    async def _made(self, bare: Candidate, row: Mapping[str, Any]) -> Candidate:
        kept = self._work.ledger.replies(row["requests"])

        async def ask(request: Request) -> Reply:
            # Take the first reply of a purpose: later ones are from checks that asked for more answers.
            for at, (purpose, reply) in enumerate(kept):
                if purpose == request.purpose:
                    del kept[at]
                    return reply
            raise CallFailed("missing", "the ledger has no such reply")

        source = Source(self.seed(row), (), 0, self._work.settings.reuse_seed_answers)
        try:
            return await self._strategies[bare.strategy](bare, source, self._work.task, ask)
        except CallFailed:
            return bare


def as_written(row: Mapping[str, Any], seed: Seed) -> Question:
    """Return a row's question as one text, after the turns of its chat."""
    *before, last = row.get("messages") or [{"content": row["question"]}]
    turns = tuple((turn["role"], turn["content"]) for turn in before)
    return Question(last["content"], decimal=seed.question.decimal, turns=turns)
