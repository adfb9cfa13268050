"""Labelled texts: the closed set of their labels, given or read from the seeds, goes with every question.

How a label is found in a text is for `labels.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from axolotl_synthetic.errors import SeedsError
from axolotl_synthetic.labels import BETWEEN, named, spellings, written
from axolotl_synthetic.records import Seed

# Every prompt has all labels; more than these, where most texts have one of their own, are another column.
MOST_LABELS = 50


def with_labels(seeds: Sequence[Seed], given: Sequence[str] | None) -> list[Seed]:
    """Return the seeds with the set of labels beside each question, and their own labels in its spelling.

    Args:
        seeds: all usable ones, whose answers are labels, one a line.
        given: the set, None to read it from the seeds.

    Raises:
        SeedsError: if there are fewer than two labels, or so many that the column seems to hold something else.
    """
    labels = tuple(given) if given is not None else spellings(one for seed in seeds for one in (seed.answer or "").split(BETWEEN) if one)
    if len(labels) < 2:
        what = f"only the label {labels[0]!r}" if labels else "no label"
        raise SeedsError(
            f"synthetic.seeds: its rows have {what}, and texts are told apart by two or more; point seeds.fields.label at the column of"
            " labels, or write them as `labels: [one, another]`"
        )
    if given is None and len(labels) > max(MOST_LABELS, len(seeds) // 3):
        raise SeedsError(
            f"synthetic.seeds: its {len(seeds):,} rows have {len(labels):,} different labels, such as {labels[0]!r:.60}; point"
            " seeds.fields.label at the column of labels, or write them as `labels: [one, another]` if these are what is meant"
        )
    own = [None if seed.answer is None else _own(seed.answer, labels) for seed in seeds]
    several = any(one is not None and len(one) > 1 for one in own)
    made = []
    for seed, found in zip(seeds, own, strict=True):
        meant = None if found is None else written(found)
        question = replace(seed.question, labels=labels, several=several, meant=meant)
        made.append(replace(seed, question=question, answer=meant))
    return made


def _own(answer: str, labels: Sequence[str]) -> tuple[str, ...]:
    """Return a seed's labels. Read from the seeds, each line of an answer is one; given, an answer may name several in a line."""
    lines = [named(line, labels) or () for line in answer.split(BETWEEN)]
    found = {label for line in lines for label in line}
    return tuple(label for label in labels if label in found)
