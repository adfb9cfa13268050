"""Decision whether the augmenter is strong enough to invent questions.

It uses the config's own statement, else what pilots measured, else the sizes in the models' names.

The paper's strong augmenter was as large as the teacher (Llama 3.1 70B), its weak one was Llama 2 7B (arXiv 2409.19759). A size is a poor
guess: how well a model solves problems does not say how well it writes data for others to learn from (AgoraBench, arXiv 2412.03679). So it
decides only if nothing was measured. `words_of_pilots.py` explains what pilots of several models measured.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

# "70B", "135M", "1.5b"; "8x7B" is a mixture of experts. "A3B" (active parameters), "4bit" and "Llama-3.1" are not sizes.
_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([mbt])(?![a-z0-9])", re.IGNORECASE)
_BILLIONS = {"m": 1e-3, "b": 1.0, "t": 1e3}

# The paper's weak augmenter, in billions of parameters.
PAPERS_WEAK = 7.0


@dataclass(frozen=True)
class Strength:
    """An augmenter's strength and its reason. `said`: the config states it."""

    weak: bool
    why: str
    said: bool = False


def billions(name: str) -> float | None:
    """Return the parameters that a model's name states, in billions: 70 for `Llama-3.1-70B`, 56 for `Mixtral-8x7B`; None without a size.

    The largest number counts: smaller ones may be context lengths (`7B-1M`).
    """
    sizes = [int(experts or 1) * float(number) * _BILLIONS[unit.lower()] for experts, number, unit in _SIZE.findall(name)]
    return max(sizes, default=None)


def strength(said: Literal["strong", "weak"] | None, *, augmenter: str, teacher: str) -> Strength:
    """Return whether the augmenter is weak, and why.

    Args:
        said: the config's `augmenter.strength`, which is trusted.
        augmenter, teacher: names of the models.
    """
    if said is not None:
        return Strength(said == "weak", f"the config calls the augmenter {said}", said=True)
    size, other = billions(augmenter), billions(teacher)
    if augmenter == teacher:
        small = " (the paper's weak one was a 7B: if its questions are poor, say `augmenter: {…, strength: weak}`)"
        return Strength(False, f"the teacher is its own augmenter{small if size is not None and size <= PAPERS_WEAK else ''}")
    if size is None or other is None:
        unknown = " and ".join(name for name, known in ((augmenter, size), (teacher, other)) if known is None)
        return Strength(False, f"no size is known of {unknown}: taken to be strong; if it is not, say `strength: weak`")
    if size < other:
        return Strength(True, f"{augmenter} is smaller than {teacher} by its name; if it is strong all the same, say `strength: strong`")
    return Strength(False, f"{augmenter} is no smaller than {teacher} by its name")
