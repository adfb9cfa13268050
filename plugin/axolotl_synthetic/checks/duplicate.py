"""Check that no earlier sample, and no seed pair that is trained on, has the same question and answer.

A generated question must also differ from the seed's own. Texts are compared exactly, after Unicode normalisation (NFKC), case folding
and dropping all but letters, digits and the signs that carry meaning in mathematics. `near_duplicate` finds texts that are merely similar.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import regex

from axolotl_synthetic.records import Candidate, Question, Seed, Verdict, failed, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

IN_ORDER = True
# Longest marks around a bare final answer, in characters: `Answer: `, `#### `, `\boxed{}`.
LONGEST_MARK = 40
# `re` would also drop the vowel signs of other scripts (Unicode's marks), so that दिन would equal दान.
DROPPED = regex.compile(r"[^\p{L}\p{M}\p{N}_+\-*/=<>%.^]+|(?<!\d)\.|\.(?!\d)")


def make(task: Task, keeps_answer: Mapping[str, bool], seeds: Sequence[Seed] = (), include_seeds: bool = False) -> Duplicates:
    """Return the check's judge; with `include_seeds` the seeds' pairs count as earlier samples."""
    return Duplicates(task, seeds if include_seeds else ())


class Duplicates:
    """The accepted samples so far and the seeds' pairs, in 16 bytes each."""

    def __init__(self, task: Task, trained: Sequence[Seed]) -> None:
        self._task = task
        self._seen: set[bytes] = set()
        self._trained = trained

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        own = candidate.question == seed.question
        if not own and normalised(candidate.prompt or "") == normalised(self._task.prompt(seed.question)):
            return failed("the question is the seed's own")
        key = self._key_of(candidate)
        if (pair := self._of_seeds.get(key)) is not None:
            return failed(f"the pair of the seed {pair}, which is trained on, has the same question and answer")
        if key in self._seen:
            return failed("an earlier sample has the same question and answer")
        return passed()

    @cached_property
    def _of_seeds(self) -> Mapping[bytes, str]:
        # Computed at the first sample: thousands of seeds take a moment, and by then the first calls are running.
        found = ((seed, self._pair(seed)) for seed in self._trained)
        return {self._key(self._task.prompt(seed.question), *pair): seed.id for seed, pair in found if pair is not None}

    def remember(self, candidate: Candidate) -> None:
        self._seen.add(self._key_of(candidate))

    def _pair(self, seed: Seed) -> tuple[str, str | None, Question] | None:
        """Return a seed's answer as the student should write it, its final answer and its question; None without an answer."""
        try:
            solution = self._task.solution(seed)
            return None if solution is None else (solution, self._task.gold_answer(seed), seed.question)
        except Exception:  # a user's class that fails on this seed: `verify_seeds` reports it
            return None

    def _key_of(self, candidate: Candidate) -> bytes:
        return self._key(candidate.prompt or "", candidate.answer or "", candidate.final_answer, candidate.question)

    def _key(self, prompt: str, answer: str, final_answer: str | None, question: Question | None) -> bytes:
        if final_answer is not None and question is not None and len(answer) <= len(final_answer) + LONGEST_MARK:
            # `B` and `Answer: B` are the same: a bare answer is compared as the student should write it.
            bare = self._task.solution(Seed("", question, final_answer))
            if bare is not None and normalised(answer.replace("*", "")) in (normalised(final_answer), normalised(bare)):
                answer = bare
        return said(prompt, answer)


def said(prompt: str, answer: str) -> bytes:
    """Return a digest of 16 bytes that is equal for equal samples."""
    return hashlib.blake2b(f"{normalised(prompt)}\0{normalised(answer)}".encode(errors="surrogatepass"), digest_size=16).digest()


# A seed's question returns with each of its samples, and an accepted answer is looked at twice.
@lru_cache(maxsize=4_096)
def normalised(text: str) -> str:
    """Normalise case, Unicode, punctuation and spaces."""
    # ASCII is NFKC already, and most texts are ASCII.
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFKC", text).casefold()
    return " ".join(DROPPED.sub(" ", plain).split())
