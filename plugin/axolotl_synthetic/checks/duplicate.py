"""Has an accepted sample before this one the same question and answer, or did the augmenter hand back the seed's own question?

Exact, after Unicode normalisation (NFKC), case folding and dropping all but letters, digits and the signs that carry meaning
in mathematics; that two texts are merely close is for `near_duplicate`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

IN_ORDER = True
DROPPED = re.compile(r"[^\w+\-*/=<>%.^]+|(?<!\d)\.|\.(?!\d)")


def make(task: Task, keeps_answer: Mapping[str, bool]) -> Duplicates:
    """The check."""
    return Duplicates(task)


class Duplicates:
    """The accepted samples so far, 16 bytes each."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._seen: set[bytes] = set()

    def __call__(self, candidate: Candidate, seed: Seed) -> Verdict:
        own = candidate.question == seed.question
        if not own and normalised(candidate.prompt or "") == normalised(self._task.prompt(seed.question)):
            return failed("the question is the seed's own")
        if self._key(candidate) in self._seen:
            return failed("an earlier sample has the same question and answer")
        return passed()

    def remember(self, candidate: Candidate) -> None:
        self._seen.add(self._key(candidate))

    @staticmethod
    def _key(candidate: Candidate) -> bytes:
        prompt, answer = normalised(candidate.prompt or ""), normalised(candidate.answer or "")
        return hashlib.blake2b(f"{prompt}\0{answer}".encode(), digest_size=16).digest()


# A seed's question comes again with each of its samples, and an accepted answer is looked at twice.
@lru_cache(maxsize=4_096)
def normalised(text: str) -> str:
    """The text without what two spellings of the same may differ in."""
    return " ".join(DROPPED.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())
