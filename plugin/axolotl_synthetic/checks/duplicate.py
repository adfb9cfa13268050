"""Has an accepted sample before this one the same question and answer, or did the augmenter hand back the seed's own question?

Exact, after Unicode normalisation (NFKC), case folding and dropping all but letters, digits and the signs that carry meaning
in mathematics; that two texts are merely close is not for this file.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING

from axolotl_synthetic.checks import Judge
from axolotl_synthetic.records import Candidate, Seed, Verdict, failed, passed

if TYPE_CHECKING:
    from axolotl_synthetic.tasks import Task

IN_ORDER = True
DROPPED = re.compile(r"[^\w+\-*/=<>%.^]+|(?<!\d)\.|\.(?!\d)")


def make(task: Task, keeps_answer: Mapping[str, bool]) -> Judge:
    """The check. It remembers 16 bytes for each accepted sample."""
    seen: set[bytes] = set()

    def judge(candidate: Candidate, seed: Seed) -> Verdict:
        prompt, answer = normalised(candidate.prompt or ""), normalised(candidate.answer or "")
        own = candidate.question == seed.question
        if not own and prompt == normalised(task.prompt(seed.question)):
            return failed("the question is the seed's own")
        key = hashlib.blake2b(f"{prompt}\0{answer}".encode(), digest_size=16).digest()
        if key in seen:
            return failed("an earlier sample has the same question and answer")
        seen.add(key)
        return passed()

    return judge


def normalised(text: str) -> str:
    """The text without what two spellings of the same may differ in."""
    return " ".join(DROPPED.sub(" ", unicodedata.normalize("NFKC", text).casefold()).split())
